"""How a metric differs between two arms: means of the kept weights, and paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tune.reporting.pair import ArmTrial, Pair

MIN_SEEDS = 3  # paired seeds that an interval needs


@dataclass(frozen=True)
class Difference:
    """One metric in two arms, over `count` paired seeds.

    error: standard error of the mean paired difference. low, high: its 95 % t-interval over seeds.
    NaN with too few seeds.
    """

    first: float
    second: float
    count: int
    error: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def change(self) -> float:
        """The second arm minus the first; with paired seeds, the mean of the paired differences."""
        return self.second - self.first

    @property
    def percent(self) -> float:
        """The change relative to the first arm."""
        return 100 * self.change / abs(self.first) if self.first else math.nan

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def difference(pair: Pair, key: str) -> Difference:
    """Compare a metric of the kept weights. A seed needs the metric in both arms."""
    first, second = (_metric(side, key) for side in pair.compared)
    if not pair.seeds:
        return Difference(mean(first), mean(second), 0)
    both = np.isfinite(first) & np.isfinite(second)
    return paired(first[both], second[both])


def paired(first: np.ndarray, second: np.ndarray) -> Difference:
    """Compare values paired by seed. Shapes: (seeds,), finite."""
    count, changes = len(first), second - first
    if count < 2:
        return Difference(mean(first), mean(second), count)
    error = float(changes.std(ddof=1)) / math.sqrt(count)
    if count < MIN_SEEDS:
        return Difference(mean(first), mean(second), count, error)
    from scipy import stats

    # The interval of the paired t-test. `ttest_rel` would warn where all changes are equal.
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    change = float(changes.mean())
    return Difference(mean(first), mean(second), count, error, change - reach, change + reach)


def best_means(trials: list[ArmTrial]) -> dict[str, float]:
    """Return the mean of each metric of the kept weights, over the trials that have it."""
    keys = dict.fromkeys(key for trial in trials for key in trial.row.metrics)
    means = {key: mean(_metric(trials, key)) for key in keys}
    return {key: value for key, value in means.items() if math.isfinite(value)}


def mean(values: np.ndarray) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _metric(trials: list[ArmTrial], key: str) -> np.ndarray:
    """Return a metric of each trial with its kept weights, NaN if it lacks it. Shape: (trials,)."""
    return np.array([trial.row.metrics.get(key) for trial in trials], dtype=float)
