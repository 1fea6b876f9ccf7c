"""The status of a trial."""

from __future__ import annotations

from enum import StrEnum

from optuna.trial import TrialState


class TrialStatus(StrEnum):
    """The status of a trial, stored in files and in Optuna's user attributes in lower case."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"  # ran to its last epoch
    STOPPED = "stopped"  # no improvement within the patience
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


FINISHED = (
    TrialStatus.COMPLETE,
    TrialStatus.STOPPED,
)  # ran to the last epoch, or until the patience was exhausted
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
