"""How a metric differs between two arms: means at the best epochs, and the differences paired by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tune.reporting.pair import ArmTrial, Pair

ENOUGH = (
    3  # paired seeds from which on there is an interval, and more is said than that a run differs
)


@dataclass(frozen=True)
class Difference:
    """One metric in two arms. `count` paired seeds; NaN for what so few do not tell.

    `error` is the standard error of the mean paired difference, `low` to `high` its 95 % t-interval over seeds.
    """

    first: float
    second: float
    count: int
    error: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def change(self) -> float:
        """Second arm minus first; with paired seeds this is the mean of the paired differences."""
        return self.second - self.first

    @property
    def percent(self) -> float:
        """The change relative to the first arm."""
        return 100 * self.change / abs(self.first) if self.first else math.nan

    @property
    def contains_zero(self) -> bool:
        return self.low <= 0 <= self.high


def difference(pair: Pair, key: str) -> Difference:
    """A metric of the trials at their best epochs; a seed for which either arm lacks the metric does not count."""
    first, second = (
        np.array([trial.row.metrics.get(key) for trial in side], dtype=float)
        for side in pair.compared
    )
    if not pair.seeds:
        first, second = first[np.isfinite(first)], second[np.isfinite(second)]
        return Difference(mean(first), mean(second), 0)
    both = np.isfinite(first) & np.isfinite(second)
    return paired(first[both], second[both])


def paired(first: np.ndarray, second: np.ndarray) -> Difference:
    """The difference of values paired by seed. Shapes: (seeds,), finite."""
    count, changes = len(first), second - first
    means = mean(first), mean(second)
    if count < 2:
        return Difference(*means, count)
    error = float(changes.std(ddof=1)) / math.sqrt(count)
    if count < ENOUGH:
        return Difference(*means, count, error)
    from scipy import stats

    reach = float(stats.t.ppf(0.975, count - 1)) * error
    return Difference(
        *means, count, error, float(changes.mean()) - reach, float(changes.mean()) + reach
    )


def best_means(trials: list[ArmTrial]) -> dict[str, float]:
    """The means of each metric over the trials' best epochs; without a metric that none of them has."""
    means = {
        key: mean(np.array([trial.row.metrics.get(key) for trial in trials], dtype=float))
        for key in {key: None for trial in trials for key in trial.row.metrics}
    }
    return {key: value for key, value in means.items() if math.isfinite(value)}


def mean(values: np.ndarray) -> float:
    """The mean of the values that are finite; NaN of none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan
