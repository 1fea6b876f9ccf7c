"""What a person asks of a running search from a second terminal: files in the study's `control/`, which every machine of a cluster sees.

control/stop/<trial>   stop this trial at the end of its epoch
control/pause          no trial starts, those that run wait at the end of their epoch
control/end            end the search as Ctrl-C does
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ControlFiles:
    """The control files of a study."""

    study: Path

    @property
    def folder(self) -> Path:
        return self.study / "control"

    def ask_stop(self, trial: str) -> None:
        """Asks for one trial to be stopped."""
        (self.folder / "stop").mkdir(parents=True, exist_ok=True)
        (self.folder / "stop" / trial).touch()

    def ask_pause(self) -> None:
        """Asks the search to hold."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "pause").touch()

    def ask_end(self) -> None:
        """Asks the search to end, to be resumed later."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "end").touch()

    def go_on(self) -> None:
        """Takes a pause back."""
        (self.folder / "pause").unlink(missing_ok=True)

    @property
    def paused(self) -> bool:
        return (self.folder / "pause").exists()

    @property
    def end_asked(self) -> bool:
        return (self.folder / "end").exists()

    def takes_stop(self, trial: str) -> bool:
        """Whether this trial is asked to stop; the wish is taken down with that."""
        path = self.folder / "stop" / trial
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        return True

    def clear(self) -> None:
        """Forgets all wishes: those of an earlier search are not meant for this one."""
        shutil.rmtree(self.folder, ignore_errors=True)
