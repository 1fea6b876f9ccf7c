"""A searcher that runs a given list of trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from tune.searcher.proposal import Proposal
from tune.study.trial_folder import TrialFolder
from tune.study.trial_status import TrialStatus


class PlannedSearcher(Searcher):
    """Runs every proposal once; the trials' own folders tell which of them have ended.

    A trial that ended in an earlier run is not run again; an interrupted one continues.
    folder: of the study; within: the part of it that holds these trials.
    """

    def __init__(self, folder: Path, within: str, proposals: Sequence[Proposal]):
        super().__init__()
        self.folder, self.within, self.proposals = folder, within, list(proposals)
        self.paused = False
        self.waiting: list[Proposal] = []

    def open(self) -> None:
        """Find the trials that are still to run."""
        self.waiting = [
            proposal
            for proposal in self.proposals
            if self._folder(proposal.id).status == TrialStatus.RUNNING
        ]

    def result(self, trial: str) -> dict[str, Any]:
        """A trial's latest result; empty before the end of its first epoch."""
        return self._folder(trial).result()

    def _folder(self, trial: str) -> TrialFolder:
        return TrialFolder(self.folder / self.within / "trials" / trial)

    @property
    def remaining(self) -> int:
        """The number of trials that have not been proposed yet."""
        return len(self.waiting)

    def suggest(self, trial_id: str) -> Any:
        """The next trial of the list; None during a pause."""
        if self.paused:
            return None
        if not self.waiting:
            return Searcher.FINISHED
        return {**vars(self.waiting.pop(0)), "within": self.within}

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never: all trials of a confirmation run under the same rules."""
        return False

    def halt(self, trial_id: str) -> None:
        """Do nothing: a trial that a person stopped runs again with the next confirmation."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the trial's folder records how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Write the file that Ray asks for. The trial folders are the memory."""
        Path(checkpoint_path).write_text(str(self.folder), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Read the trial folders again."""
        self.open()
