"""Requests to a running search from a second terminal: files in the study's `control/` folder.

Every machine of a cluster sees them.

    control/stop/<trial>   stop this trial at the end of its epoch
    control/pause          start no trial; running ones wait at the end of their epoch
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

    def request_stop(self, trial: str) -> None:
        """Request that one trial stops."""
        (self.folder / "stop").mkdir(parents=True, exist_ok=True)
        (self.folder / "stop" / trial).touch()

    def request_pause(self) -> None:
        """Request a pause."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "pause").touch()

    def request_end(self) -> None:
        """Request the end of the search, which can be resumed later."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "end").touch()

    def end_pause(self) -> None:
        """Withdraw the pause."""
        (self.folder / "pause").unlink(missing_ok=True)

    @property
    def paused(self) -> bool:
        return (self.folder / "pause").exists()

    @property
    def end_requested(self) -> bool:
        return (self.folder / "end").exists()

    def take_stop(self, trial: str) -> bool:
        """Return whether a stop of this trial was requested, and remove the request."""
        path = self.folder / "stop" / trial
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        return True

    def clear(self) -> None:
        """Remove all requests: those made to an earlier search do not apply to this one."""
        shutil.rmtree(self.folder, ignore_errors=True)
