"""Pruners by name: which trials are stopped early, from the values that all trials report.

A trial reports its best value so far, because its best epoch is what counts in the end. Every
decision follows from the journal. A pruner keeps no state of its own, so that a resumed search
decides as an uninterrupted one. Trials of earlier studies have no epochs here and do not count.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tune.metric import OBJECTIVES
from tune.study.trial_folder import TrialFolder

REDUCTION = 3  # a rung keeps the best third
MEDIAN_AFTER = 4  # finished trials that reached the epoch
WILCOXON_P = 0.05
# System attribute of a trial: the number of rungs at which it was not stopped.
RUNGS_PASSED = "rungs_passed"


class ResumableHalving(BasePruner):
    """Optuna's successive halving or Hyperband, which repeats a decision that a kill interrupts.

    At a rung, Optuna writes the trial's value into the journal, then decides, and never decides at
    that rung again. If the process is killed before the trial is recorded as pruned, the resumed
    trial would continue. Here the journal also says how many rungs a trial has passed. A value that
    was written at a later rung is deleted, so that Optuna decides there again.

    If a study's pruner is a `HyperbandPruner`, Optuna's samplers learn from one bracket only. They
    do not see the one inside this class, and learn from all trials.
    """

    def __init__(self, pruner: SuccessiveHalvingPruner | HyperbandPruner):
        self.pruner = pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial is stopped at its last epoch."""
        stored = study._storage.get_trial(trial._trial_id)
        passed = stored.system_attrs.get(RUNGS_PASSED, 0)
        for key in rung_keys(stored)[passed:]:
            # The storage's own object, not a copy: the trial must not count among its own rivals.
            del stored.system_attrs[key]
        stop = self.pruner.prune(study, stored)
        reached = len(rung_keys(study._storage.get_trial(trial._trial_id)))
        if not stop and reached > passed:
            study._storage.set_trial_system_attr(trial._trial_id, RUNGS_PASSED, reached)
        return stop


def rung_keys(trial: FrozenTrial) -> list[str]:
    """Return the names under which Optuna keeps a trial's values at its rungs, in their order."""
    return [key for key in trial.system_attrs if key.startswith("completed_rung_")]


class WilcoxonPruner(BasePruner):
    """Stop a trial whose lines are worse than those of the best trial at the same epoch.

    The test is Wilcoxon's signed-rank test over the lines, one-sided, p < 0.05. The best trial is
    the rival with the highest value so far. If its lines of that epoch are missing, the trial
    continues. Optuna's `WilcoxonPruner` pairs epochs, not lines.
    """

    def __init__(self, warmup: int, trials_folder: Path, objective: str):
        self.warmup, self.folder, self.objective = warmup, trials_folder, objective

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial is stopped at its last epoch."""
        epoch = trial.last_step
        if epoch is None or epoch < self.warmup:
            return False
        best = max(rivals(study, trial), key=best_value, default=None)
        if best is None:
            return False
        lines, best_lines = (self.line_values(each, epoch) for each in (trial, best))
        return lines is not None and best_lines is not None and clearly_worse(lines, best_lines)

    def line_values(self, trial: FrozenTrial, epoch: int) -> np.ndarray | None:
        """Return what each line is worth at an epoch; None if there is no readable file.

        Shape: (N,).
        """
        trial_id = json.loads(trial.user_attrs["proposal"])["id"]
        path = TrialFolder(self.folder / trial_id).lines_of(epoch)
        try:
            with np.load(path, allow_pickle=False) as lines:
                return OBJECTIVES[self.objective].line_values(lines)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None


def rivals(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """Return the other trials of this study that can win.

    These are the unfinished ones, and the complete ones that break no constraint.
    """
    # WAITING: a trial that a killed search left unfinished.
    states = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
    return [
        other
        for other in study.get_trials(deepcopy=False, states=states)
        if other.number != trial.number
        and "proposal" in other.user_attrs
        and other.intermediate_values
        and not any(amount > 0 for amount in other.user_attrs.get("constraints", ()))
    ]


def best_value(trial: FrozenTrial) -> float:
    """Return a trial's best value so far."""
    return max(trial.intermediate_values.values())


def clearly_worse(lines: np.ndarray, best_lines: np.ndarray) -> bool:
    """Return whether lines are worse than the same lines of another trial, beyond chance.

    False if their numbers differ. Shapes: (N,) each.
    """
    from scipy.stats import wilcoxon

    if lines.shape != best_lines.shape or not lines.mean() < best_lines.mean():
        return False
    return bool(wilcoxon(lines, best_lines, alternative="less").pvalue < WILCOXON_P)


# Name in a space file -> builder, which takes the arguments of `build_pruner` after the name.
PRUNERS: dict[str, Callable[[int, int, Path, str], BasePruner]] = {
    # Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
    # The rungs are at warmup x 1, 3, 9, ... epochs.
    "asha": lambda warmup, *_: ResumableHalving(
        SuccessiveHalvingPruner(min_resource=warmup, reduction_factor=REDUCTION)
    ),
    # Source: Li et al. 2018, "Hyperband". Bracket s has its first rung at warmup x 3^s; none has it
    # at the last epoch, where nothing is left to save.
    "hyperband": lambda warmup, epochs, *_: ResumableHalving(
        HyperbandPruner(warmup, max(warmup, epochs - 1), REDUCTION)
    ),
    # Source: Golovin et al. 2017, "Google Vizier", the median stopping rule.
    "median": lambda warmup, *_: MedianPruner(MEDIAN_AFTER, warmup, n_min_trials=MEDIAN_AFTER),
    "wilcoxon": lambda warmup, _, folder, objective: WilcoxonPruner(warmup, folder, objective),
    "none": lambda *_: NopPruner(),
}


def build_pruner(
    name: str, warmup: int, epochs: int, trials_folder: Path, objective: str
) -> BasePruner:
    """Build the pruner of that name. It stops no trial before `warmup` epochs are reported.

    epochs: of a trial that runs to its end. trials_folder: has the trials' values of each line.

    Raises: KeyError if there is no such pruner.
    """
    return PRUNERS[name](max(1, warmup), epochs, trials_folder, objective)
