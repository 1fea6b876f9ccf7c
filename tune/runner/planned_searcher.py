"""Trials from a list: a Searcher that proposes what it was given, and knows from the trials' own folders which of them ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from tune.searcher.proposal import Proposal
from tune.study.trial_folder import TrialFolder


class PlannedSearcher(Searcher):
    """Runs every proposal once. A trial that ended in an earlier run is not run again; one that was cut off goes on.

    folder: of the study; within: the part of it that holds these trials.
    """

    def __init__(self, folder: Path, within: str, proposals: Sequence[Proposal]):
        super().__init__()
        self.folder, self.within, self.proposals = folder, within, list(proposals)
        self.paused = False
        self.waiting: list[Proposal] = []

    def open(self) -> None:
        """Looks which trials are still to run."""
        self.waiting = [
            proposal
            for proposal in self.proposals
            if self.result(proposal.id).get("status", "running") == "running"
        ]

    def result(self, trial: str) -> dict[str, Any]:
        """How a trial stands; empty where it has not ended its first epoch."""
        return TrialFolder(self.folder / self.within / "trials" / trial).result()

    @property
    def remaining(self) -> int:
        """Trials that were not handed out yet."""
        return len(self.waiting)

    def suggest(self, trial_id: str) -> Any:
        """The next trial of the list."""
        if self.paused:
            return None
        return (
            {**vars(self.waiting.pop(0)), "within": self.within}
            if self.waiting
            else Searcher.FINISHED
        )

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never: each trial runs as its arm's other trials do."""
        return False

    def halt(self, trial_id: str) -> None:
        """A trial that a person stopped has not ended: it is run again when the list is gone through again."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to note: the trial's folder holds how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; the folders are the memory."""
        Path(checkpoint_path).write_text(str(self.folder), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """The folders are the memory."""
        self.open()
