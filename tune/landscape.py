"""What the contrastive trials of a search say about its space: their values, a model of them, and how well it predicts trials it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ganhtr.seeds import generator
from tune.space import Space
from tune.surrogate import Basis, Surrogate, fit, total_effects
from tune.trial_points import TrialPoints
from tune.trial_table import Row

FEWEST, MOST = 10, 2000  # trials that it takes, and takes
FOLDS = 10
SKILL = 0.1  # share of the variance of unseen trials that a model must explain to be believed
PAIRED = 4  # the strongest parameters, whose pairs have effects of their own
FENCE = 1.5  # interquartile ranges below the lower quartile: lower values count as this (Tukey's fence)
DRAWN = 512  # points of the space over which effects are compared
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Observations:
    """The trials that the model learns from. lifted: how many values were raised to the fence.

    Shapes: values (trials,), higher is better; ended (trials,), False for a trial that the pruner gave up.
    """

    points: TrialPoints
    values: np.ndarray
    ended: np.ndarray
    lifted: int

    @property
    def finished(self) -> int:
        return int(self.ended.sum())


@dataclass(frozen=True, eq=False)
class Landscape:
    """A model of a search's objective. skill: R2 on trials left out, in ten parts; negative where the mean predicts better.

    Shapes: columns (trials, columns); resampled (resamples, columns): the coefficients with trials drawn anew, empty where nothing is told.
    """

    space: Space
    seen: Observations
    model: Surrogate
    columns: np.ndarray
    skill: float
    resampled: np.ndarray

    @property
    def believed(self) -> bool:
        """Whether the model predicts better than the mean by more than chance would."""
        return self.skill >= SKILL


def observe(space: Space, rows: Sequence[Row], seed: int = 0) -> Observations:
    """The contrastive trials that have a value, 2,000 at most.

    One that the pruner gave up counts with the best that it had reached, or its place would look untried; since so early a value may lie far
    down, and one very bad trial would outweigh all others, no value counts as lower than Tukey's fence of the finished ones.
    """
    held = [row for row in rows if row.arm == "on" and row.value is not None and (row.finished or row.status == "pruned")]
    if len(held) > MOST:
        held = [held[i] for i in sorted(generator(seed, "landscape", "kept").choice(len(held), MOST, replace=False))]
    keys = {parameter.key for parameter in space.parameters}
    points = TrialPoints.of(space, [{key: value for key, value in row.values.items() if key in keys} for row in held])
    values = np.array([row.value for row in held], dtype=float)
    finished = np.array([row.finished for row in held], dtype=bool)
    lifted = 0
    if finished.any():
        low, high = np.quantile(values[finished], [0.25, 0.75])
        fence = low - FENCE * (high - low)
        lifted = int((values < fence).sum())
        values = np.maximum(values, fence)
    return Observations(points, values, finished, lifted)


def landscape(space: Space, rows: Sequence[Row], seed: int = 0) -> Landscape | None:
    """The model of a search; None with fewer than ten finished trials, or where all have the same value."""
    seen = observe(space, rows, seed)
    if seen.finished < FEWEST or not np.ptp(seen.values):
        return None
    plain = fitted(Basis(space.parameters), space, seen, seed)
    shares = total_effects(plain.model.coefficients, effect_columns(plain.model.basis, space, seed))
    strongest = sorted(np.argsort(-shares, kind="stable")[:PAIRED].tolist())
    paired = fitted(Basis(space.parameters, tuple(combinations(strongest, 2))), space, seen, seed)
    held = max(plain, paired, key=lambda held: held.skill)
    return replace(held, resampled=resample(held, generator(seed, "landscape", "resamples"))) if held.believed else held


def resample(held: Landscape, draw: np.random.Generator) -> np.ndarray:
    """The coefficients of models of the trials drawn anew with replacement. Shape: (resamples, columns)."""
    count, found = len(held.seen.values), []
    for _ in range(RESAMPLES):
        times = np.bincount(draw.integers(0, count, count), minlength=count).astype(float)
        found.append(fit(held.model.basis, held.columns, held.seen.values, times, held.model).coefficients)
    return np.array(found)


def fitted(basis: Basis, space: Space, seen: Observations, seed: int) -> Landscape:
    """The model with these columns, and its skill."""
    columns = basis.columns(seen.points)
    fold = generator(seed, "landscape", "folds").permutation(np.arange(len(seen.values)) % FOLDS)
    misses = np.zeros((2, len(seen.values)))
    for part in range(FOLDS):
        kept, values = fold != part, seen.values
        misses[0, ~kept] = values[~kept] - fit(basis, columns[kept], values[kept]).mean(columns[~kept])
        misses[1, ~kept] = values[~kept] - values[kept].mean()
    own, without = (misses**2).sum(axis=1)
    return Landscape(space, seen, fit(basis, columns, seen.values), columns, float(1 - own / without), np.zeros((0, columns.shape[1])))


def effect_columns(basis: Basis, space: Space, seed: int) -> np.ndarray:
    """Columns at random points of the space, and at the same with each parameter drawn anew. Shape: (1 + parameters, points, columns)."""
    draw = generator(seed, "landscape", "points")
    base, other = draw.random((2, DRAWN, len(space.parameters)))
    sets = [base]
    for number in range(len(space.parameters)):
        changed = base.copy()
        changed[:, number] = other[:, number]
        sets.append(changed)
    return np.stack([basis.columns(TrialPoints.at(space, places)) for places in sets])
