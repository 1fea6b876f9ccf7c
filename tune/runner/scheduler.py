"""The scheduler: after every epoch, pruner and control files decide whether a trial continues.

It keeps no state. The pruner's state is the journal, a person's requests are files, so a resumed
search decides as an unbroken one does.
"""

from __future__ import annotations

from typing import Any, Protocol

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune.study.control_files import ControlFiles
from tune.study.disk import raise_disk_fault
from tune.study.trial_folder import TrialFolder
from tune.study.trial_status import TrialStatus


class TrialSource(Protocol):
    """A searcher that can be paused and opened again, and decides which trials to stop."""

    paused: bool

    def open(self) -> None: ...

    @property
    def remaining(self) -> int: ...

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool: ...

    def halt(self, trial_id: str) -> None: ...


class StudyScheduler(FIFOScheduler):
    """Starts trials in the order of their proposals; stops those that the pruner or a person ends.

    stopped: Ray's trial id -> PRUNED or HALTED.
    """

    def __init__(self, searcher: TrialSource, control: ControlFiles):
        super().__init__()
        self.searcher, self.control = searcher, control
        self.stopped: dict[str, TrialStatus] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """STOP or CONTINUE after an epoch. Raises: OSError for a disk fault; it ends the search."""
        raise_disk_fault(result)
        name = trial.config["id"]
        if result.get("epoch", 0) > trial.last_result.get("epoch", 0):
            # A trial may lose any number of workers, as long as each completes another epoch.
            trial.run_metadata.num_failures = 0
        if self.control.take_stop(name):
            self.searcher.halt(trial.trial_id)
            status = TrialStatus.HALTED
        elif self.searcher.should_stop(trial.trial_id, result):
            status = TrialStatus.PRUNED
        else:
            return TrialScheduler.CONTINUE
        self.stopped[trial.trial_id] = status
        self._folder(trial).end(status)
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Record that the trial failed: its worker died in the same epoch each time."""
        reason = "its worker died repeatedly (see logs/ray.log)"
        self._folder(trial).end(TrialStatus.FAILED, reason)

    def _folder(self, trial: Any) -> TrialFolder:
        part = self.control.study / trial.config.get("within", "")
        return TrialFolder(part / "trials" / trial.config["id"])
