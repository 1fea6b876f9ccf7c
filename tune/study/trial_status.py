"""The status of a trial."""

from __future__ import annotations

from enum import StrEnum

from optuna.trial import TrialState


class TrialStatus(StrEnum):
    """How a trial stands. Files and Optuna's user attributes hold the value, in lower case."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"  # ran to its last epoch
    STOPPED = "stopped"  # ended by patience
    PRUNED = "pruned"  # stopped by the pruner
    HALTED = "halted"  # stopped by a person
    FAILED = "failed"

    @property
    def state(self) -> TrialState:
        """The state under which Optuna stores the trial."""
        return _STATES[self]

    @classmethod
    def of(cls, state: TrialState) -> TrialStatus:
        """The status of a trial of which only Optuna's state is known."""
        return next(status for status, known in _STATES.items() if known == state)


FINISHED = (TrialStatus.COMPLETE, TrialStatus.STOPPED)  # ran until the end, or out of patience
OPEN = (TrialStatus.WAITING, TrialStatus.RUNNING)
_STATES = {
    TrialStatus.WAITING: TrialState.WAITING,
    TrialStatus.RUNNING: TrialState.RUNNING,
    TrialStatus.COMPLETE: TrialState.COMPLETE,
    TrialStatus.STOPPED: TrialState.COMPLETE,
    TrialStatus.PRUNED: TrialState.PRUNED,
    TrialStatus.HALTED: TrialState.PRUNED,
    TrialStatus.FAILED: TrialState.FAIL,
}
