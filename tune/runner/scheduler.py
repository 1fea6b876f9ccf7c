"""The scheduler: Ray asks it after every epoch whether a trial goes on; it asks the study's pruner, and whoever wrote into `control/`.

It keeps no state: the pruner's is the journal's, a person's wishes are files. A restored search decides as an unbroken one does.
"""

from __future__ import annotations

from typing import Any, Protocol

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune.study.control_files import ControlFiles
from tune.study.disk import raise_disk_fault
from tune.study.trial_folder import TrialFolder


class TrialSource(Protocol):
    """A searcher that knows what is left to run, can be held and cut off, and says which trials to give up."""

    paused: bool

    def open(self) -> None: ...

    @property
    def remaining(self) -> int: ...

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool: ...

    def halt(self, trial_id: str) -> None: ...


class StudyScheduler(FIFOScheduler):
    """Starts trials in the order they were proposed, and stops those that the pruner or a person gives up."""

    def __init__(self, searcher: TrialSource, control: ControlFiles):
        super().__init__()
        self.searcher, self.control = searcher, control
        self.stopped: dict[
            str, str
        ] = {}  # Ray's trial id -> how it ended: pruned, or halted by a person

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """STOP or CONTINUE after an epoch. Raises: OSError where the trial's disk took no more, which ends the search."""
        raise_disk_fault(result)
        name = trial.config["id"]
        if result.get("epoch", 0) > trial.last_result.get("epoch", 0):
            trial.run_metadata.num_failures = 0  # a trial outlives any number of its workers, as long as each gets an epoch further
        halted = self.control.takes_stop(name)
        if halted:
            self.searcher.halt(trial.trial_id)
        elif not self.searcher.should_stop(trial.trial_id, result):
            return TrialScheduler.CONTINUE
        self.stopped[trial.trial_id] = "halted" if halted else "pruned"
        TrialFolder(self.control.study / "trials" / name).end(self.stopped[trial.trial_id])
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Notes in the trial's folder that it failed: its worker died over the same epoch every time."""
        folder = TrialFolder(
            self.control.study / trial.config.get("within", "") / "trials" / trial.config["id"]
        )
        folder.end("failed", "its worker died again and again (see logs/ray.log)")
