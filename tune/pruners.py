"""Pruners by name: which trials are given up, from the values that all trials have reported. They keep no state of their own.

A trial is compared at rungs or epochs by its best value up to there, as it is its best epoch that counts in the end. A decision can be taken
again after a crash and is the same.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from optuna.pruners import BasePruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

REDUCTION = 3  # a rung keeps the best third
MEDIAN_AFTER = 4  # finished trials
WILCOXON_P = 0.05


def best_until(trial: FrozenTrial, epoch: int) -> float | None:
    """A trial's best value up to an epoch; None where it did not get there."""
    values = trial.intermediate_values
    if epoch not in values:
        return None
    return max(value for step, value in values.items() if step <= epoch)


def rungs(first: int, epochs: int) -> list[int]:
    """The epochs at which trials are compared: first, 3 x first, ..., below the last epoch."""
    count = max(0, math.ceil(math.log(epochs / first, REDUCTION) - 1e-9)) if epochs > first else 0
    return [first * REDUCTION**rung for rung in range(count)]


def survives(value: float, others: Iterable[float]) -> bool:
    """Whether a value is among the best third of a rung, itself included; of fewer than three only the best is."""
    held = list(others)
    return sum(other > value for other in held) < max(1, (len(held) + 1) // REDUCTION)


class RungPruner(BasePruner):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934): at a rung a trial goes on if it is among the best third so far.

    With brackets (Hyperband, Li et al. 2018, arXiv 1603.06560) each trial belongs to one by its number: bracket s has its first rung at
    warmup x 3^s and compares its own trials alone. Differs: trials are never paused and promoted later, as in Optuna.
    """

    def __init__(self, warmup: int, epochs: int, brackets: bool = False):
        ladder = rungs(warmup, epochs)
        self.ladders = [ladder[s:] for s in range(len(ladder))] if brackets and ladder else [ladder]
        deepest = len(self.ladders)
        shares = [math.ceil(deepest * REDUCTION**(deepest - 1 - s) / (deepest - s)) for s in range(deepest)]
        self.slots = [s for s, share in enumerate(shares) for _ in range(share)]

    def bracket(self, number: int) -> int:
        """The bracket of a trial."""
        return self.slots[zlib.crc32(str(number).encode()) % len(self.slots)]

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        epoch, own = trial.last_step, self.bracket(trial.number)
        if epoch not in self.ladders[own] or (value := best_until(trial, epoch)) is None:
            return False
        others = (best_until(other, epoch) for other in study.get_trials(deepcopy=False)
                  if other.number != trial.number and self.bracket(other.number) == own)
        return not survives(value, (other for other in others if other is not None))


class MedianPruner(BasePruner):
    """Golovin et al. 2017 (Vizier): gives a trial up whose best value lies below the median of the finished trials' at the same epoch."""

    def __init__(self, warmup: int):
        self.warmup = warmup

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        epoch = trial.last_step
        if epoch is None or epoch < self.warmup or (value := best_until(trial, epoch)) is None:
            return False
        finished = [best_until(other, epoch) for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        held = [other for other in finished if other is not None]
        return len(held) >= MEDIAN_AFTER and value < float(np.median(held))


LINE_VALUES: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    "psnr": lambda held: held["psnr"], "ssim": lambda held: held["ssim"],
    "cer": lambda held: -held["guide_char_edits"] / np.maximum(held["guide_char_lengths"], 1),
    "wer": lambda held: -held["guide_word_edits"] / np.maximum(held["guide_word_lengths"], 1),
    "score": lambda held: held["psnr"] - 50 * held["guide_char_edits"] / np.maximum(held["guide_char_lengths"], 1)}


class WilcoxonPruner(BasePruner):
    """Gives a trial up whose lines are worse than those of the best trial at the same epoch: Wilcoxon's signed-rank test, one-sided,
    paired by line, p below 0.05.

    folder: of the trials, whose per-line values are compared. The best is the other trial with the highest value so far.
    """

    def __init__(self, warmup: int, folder: Path, objective: str):
        self.warmup, self.folder, self.objective = warmup, folder, objective

    def line_values(self, trial: FrozenTrial, epoch: int) -> np.ndarray | None:
        """What each line was worth at an epoch, higher is better; None where it was not kept."""
        path = self.folder / json.loads(trial.user_attrs["proposal"])["id"] / "lines" / f"epoch_{epoch:04d}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as held:
            return LINE_VALUES[self.objective]({name: held[name] for name in held.files})

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is given up at its last epoch."""
        from scipy.stats import wilcoxon

        epoch = trial.last_step
        if epoch is None or epoch < self.warmup:
            return False
        others = [other for other in study.get_trials(deepcopy=False)
                  if other.number != trial.number and epoch in other.intermediate_values and "proposal" in other.user_attrs]
        if not others:
            return False
        best = max(others, key=lambda other: max(other.intermediate_values.values()))
        own, its = self.line_values(trial, epoch), self.line_values(best, epoch)
        if own is None or its is None or len(own) != len(its) or not np.any(own != its):
            return False
        return bool(own.mean() < its.mean() and wilcoxon(own, its, alternative="less").pvalue < WILCOXON_P)


def build_pruner(name: str, warmup: int, epochs: int, trials_folder: Path, objective: str) -> BasePruner:
    """The pruner of that name, which gives nothing up before `warmup` epochs."""
    if name in ("asha", "hyperband"):
        return RungPruner(warmup, epochs, brackets=name == "hyperband")
    if name == "median":
        return MedianPruner(warmup)
    return WilcoxonPruner(warmup, trials_folder, objective) if name == "wilcoxon" else NopPruner()
