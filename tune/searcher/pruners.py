"""Pruners by name: which trials are given up, from the values that all trials of the study have reported.

A trial is compared by its best value so far, as it is its best epoch that counts in the end. All that a pruner remembers is what it has
read of trials that ended, so that a report costs little in a long study; after a restart it reads them again and decides as before. Trials
of earlier studies have other epochs and do not count.
"""

from __future__ import annotations

import bisect
import json
import math
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path

import numpy as np
from optuna.pruners import BasePruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tune.searcher.shown_trials import TrialLog

REDUCTION = 3  # a rung keeps the best third
MEDIAN_AFTER = 4  # finished trials that reached the epoch
WILCOXON_P = 0.05


def news(log: TrialLog, study: Study) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """What the log has to tell of this study's own trials: those that ended, and those that have not."""
    ended, going = log.news(study)
    return [trial for trial in ended if "proposal" in trial.user_attrs], [
        trial for trial in going if "proposal" in trial.user_attrs
    ]


def best_so_far(trial: FrozenTrial) -> dict[int, float]:
    """Epoch -> best value up to it."""
    epochs = sorted(trial.intermediate_values)
    return dict(
        zip(
            epochs,
            accumulate((trial.intermediate_values[epoch] for epoch in epochs), max),
            strict=True,
        )
    )


class RungPruner(BasePruner):
    """Asynchronous successive halving: at a rung a trial goes on if it is among the best third of those that have reached it.

    Rungs are the epochs `warmup` x 1, 3, 9, ... below the last one. With `brackets` (Hyperband) each trial belongs to one by its number:
    bracket s has its first rung at warmup x 3^s and compares its own trials alone.
    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"; Li et al. 2018, "Hyperband".
    Differs: as in Optuna, a trial is never paused to be promoted later, and of fewer than three at a rung the best goes on. Optuna compares
    the values of the rung's epoch, not the best so far.
    """

    def __init__(self, warmup: int, epochs: int, brackets: bool = False):
        rungs = [
            rung
            for rung in (max(1, warmup) * REDUCTION**power for power in range(64))
            if rung < epochs
        ]
        self.ladders = [rungs[s:] for s in range(len(rungs))] if brackets and rungs else [rungs]
        deepest = len(self.ladders)
        shares = [
            math.ceil(deepest * REDUCTION ** (deepest - 1 - s) / (deepest - s))
            for s in range(deepest)
        ]
        self.places = [s for s, share in enumerate(shares) for _ in range(share)]
        self.log = TrialLog()
        self.ended: defaultdict[tuple[int, int], list[float]] = defaultdict(
            list
        )  # bracket, rung -> values in order

    def bracket(self, study: Study, trial: FrozenTrial) -> int:
        """The bracket of a trial, in the shares that Hyperband's brackets have."""
        return self.places[
            zlib.crc32(f"{study.study_name}_{trial.number}".encode()) % len(self.places)
        ]

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        own, rung = self.bracket(study, trial), trial.last_step
        if rung is None or rung not in self.ladders[own]:
            return False
        ended, running = news(self.log, study)
        for other in ended:
            bracket, best = self.bracket(study, other), best_so_far(other)
            for passed in self.ladders[bracket]:
                if passed in best:
                    bisect.insort(self.ended[bracket, passed], best[passed])
        value = best_so_far(trial)[rung]
        rivals = [
            best_so_far(other)[rung]
            for other in running
            if rung in other.intermediate_values
            and other.number != trial.number
            and self.bracket(study, other) == own
        ]
        held = self.ended[own, rung]
        better = (
            len(held) - bisect.bisect_right(held, value) + sum(rival > value for rival in rivals)
        )
        return better >= max(1, (len(held) + len(rivals) + 1) // REDUCTION)


class MedianPruner(BasePruner):
    """Gives a trial up whose best value so far lies below the median of what the finished trials had at the same epoch.

    Source: Golovin et al. 2017, "Google Vizier", the median stopping rule. Differs: they take the finished trials' running means, Optuna
    their values of the epoch itself.
    """

    def __init__(self, warmup: int):
        self.warmup, self.log = warmup, TrialLog()
        self.finished: defaultdict[int, list[float]] = defaultdict(list)  # epoch -> values in order

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        epoch = trial.last_step
        if epoch is None or epoch < self.warmup:
            return False
        for other in news(self.log, study)[0]:
            for reached, value in (
                best_so_far(other).items() if other.state == TrialState.COMPLETE else ()
            ):
                bisect.insort(self.finished[reached], value)
        held = self.finished[epoch]
        middle = len(held) // 2
        return (
            len(held) >= MEDIAN_AFTER
            and best_so_far(trial)[epoch] < (held[middle] + held[~middle]) / 2
        )


def error_rate(lines: Mapping[str, np.ndarray], unit: str) -> np.ndarray:
    """The guide's error rate of each line. Shape: (N,)."""
    return lines[f"guide_{unit}_edits"] / np.maximum(lines[f"guide_{unit}_lengths"], 1)


LINE_VALUES: dict[
    str, Callable[[Mapping[str, np.ndarray]], np.ndarray]
] = {  # an objective's value of each line, higher is better
    "score": lambda lines: lines["psnr"] - 50 * error_rate(lines, "char"),
    "psnr": lambda lines: lines["psnr"],
    "ssim": lambda lines: lines["ssim"],
    "cer": lambda lines: -error_rate(lines, "char"),
    "wer": lambda lines: -error_rate(lines, "word"),
}


class WilcoxonPruner(BasePruner):
    """Gives a trial up whose lines are worse than the best trial's at the same epoch: Wilcoxon's signed-rank test, one-sided, p < 0.05.

    The best is the other trial with the highest value so far that runs, or is finished and breaks no constraint. Where its lines of that
    epoch are not there, nothing is given up.
    """

    def __init__(self, warmup: int, trials_folder: Path, objective: str):
        self.warmup, self.folder, self.objective, self.log = (
            warmup,
            trials_folder,
            objective,
            TrialLog(),
        )
        self.best: FrozenTrial | None = None  # of those that are finished

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        epoch = trial.last_step
        if epoch is None or epoch < self.warmup:
            return False
        ended, running = news(self.log, study)
        finished = [
            other
            for other in ended
            if other.state == TrialState.COMPLETE
            and other.intermediate_values
            and not any(amount > 0 for amount in other.user_attrs.get("constraints", ()))
        ]
        self.best = max([*([self.best] if self.best else []), *finished], key=reached, default=None)
        others = [
            other for other in running if other.number != trial.number and other.intermediate_values
        ]
        best = max([*([self.best] if self.best else []), *others], key=reached, default=None)
        own, its = (self.line_values(each, epoch) for each in (trial, best))
        return own is not None and its is not None and clearly_worse(own, its)

    def line_values(self, trial: FrozenTrial | None, epoch: int) -> np.ndarray | None:
        """What each line was worth at an epoch, higher is better; None where that was not kept. Shape: (N,)."""
        if trial is None:
            return None
        path = (
            self.folder
            / json.loads(trial.user_attrs["proposal"])["id"]
            / "lines"
            / f"epoch_{epoch:04d}.npz"
        )
        try:
            with np.load(path, allow_pickle=False) as lines:
                return LINE_VALUES[self.objective](lines)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None


def reached(trial: FrozenTrial) -> float:
    """A trial's best value so far."""
    return max(trial.intermediate_values.values())


def clearly_worse(own: np.ndarray, its: np.ndarray) -> bool:
    """Whether lines are worse than the same lines of another trial, beyond chance. Shapes: (N,) each; nothing is said where N differs."""
    from scipy.stats import wilcoxon

    if own.shape != its.shape or not own.mean() < its.mean():
        return False
    return bool(wilcoxon(own, its, alternative="less").pvalue < WILCOXON_P)


def build_pruner(
    name: str, warmup: int, epochs: int, trials_folder: Path, objective: str
) -> BasePruner:
    """The pruner of that name, for one study. It gives up nothing before `warmup` epochs of a trial are reported.

    epochs: what a trial has that goes to its end; trials_folder: with the trials' per-line values.
    """
    pruners: dict[str, Callable[[], BasePruner]] = {
        "asha": lambda: RungPruner(warmup, epochs),
        "hyperband": lambda: RungPruner(warmup, epochs, brackets=True),
        "median": lambda: MedianPruner(warmup),
        "wilcoxon": lambda: WilcoxonPruner(warmup, trials_folder, objective),
        "none": NopPruner,
    }
    return pruners[name]()
