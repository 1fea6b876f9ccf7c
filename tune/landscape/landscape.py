"""What the contrastive trials of a search say about its space: their values, a model of them, and how well it predicts trials left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ganhtr.seeds import generator
from tune.landscape.surrogate import Basis, Surrogate, fit, total_effects
from tune.landscape.trial_points import TrialPoints
from tune.space.space import Space
from tune.study.trial_table import Row

FEWEST, MOST = 10, 2000  # trials that it takes, and takes
FOLDS = 10
CHANCE = 1.25  # over the root of the trials: noise alone has a higher skill in a tenth of searches of ten trials, in none of a hundred
PAIRED = 4  # the strongest parameters, whose pairs have effects of their own
FENCE = (
    1.5  # interquartile ranges below the lower quartile: lower values count as this (Tukey's fence)
)
DRAWN = 512  # points of the space over which effects are compared
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Observations:
    """The trials that the model learns from. lifted: how many values were raised to the fence.

    Shapes: values (trials,), higher is better; ended (trials,), False for a trial that the pruner gave up; offsets (trials, offsets): what
    else moves a value, which is no matter of the space: that it was given up, and how late.
    """

    points: TrialPoints
    values: np.ndarray
    ended: np.ndarray
    offsets: np.ndarray
    lifted: int

    @property
    def finished(self) -> int:
        return int(self.ended.sum())


@dataclass(frozen=True, eq=False)
class Landscape:
    """A model of a search's objective. skill: the part of the variance of trials left out that it explains.

    Shapes: columns (trials, columns); resampled (resamples, columns): the coefficients with trials drawn anew, none if it is not believed.
    """

    space: Space
    seen: Observations
    basis: Basis
    columns: np.ndarray
    model: Surrogate
    skill: float
    resampled: np.ndarray

    @property
    def chance(self) -> float:
        """The skill that a model of nothing rarely reaches."""
        return CHANCE / math.sqrt(len(self.seen.values))

    @property
    def believed(self) -> bool:
        """Whether the model predicts better than the mean by more than chance would."""
        return self.skill >= self.chance

    @property
    def groups(self) -> np.ndarray:
        """The effect that each column belongs to."""
        own = self.basis.groups()
        return np.append(own, own[-1] + 1 + np.arange(self.seen.offsets.shape[1]))

    def at(self, points: TrialPoints) -> np.ndarray:
        """The model's columns at other points, as for trials that ran to their end. Shape: (points, columns)."""
        own = self.basis.columns(points)
        return np.concatenate([own, np.zeros((len(own), self.seen.offsets.shape[1]))], axis=1)

    def effect_columns(self, seed: int) -> np.ndarray:
        """Columns at random points, and at the same with each parameter drawn anew. Shape: (1 + parameters, points, columns)."""
        base, other = generator(seed, "landscape", "points").random(
            (2, DRAWN, len(self.space.parameters))
        )
        sets = [base]
        for number in range(len(self.space.parameters)):
            changed = base.copy()
            changed[:, number] = other[:, number]
            sets.append(changed)
        return np.stack([self.at(TrialPoints.at(self.space, places)) for places in sets])


def observe(space: Space, rows: Sequence[Row], seed: int = 0) -> Observations:
    """The contrastive trials that have a value, 2,000 at most.

    One that the pruner gave up counts with the best that it had reached, or its place would look untried. One very bad trial would outweigh
    all others, so no value counts as lower than Tukey's fence of those that ended as it did.
    """
    held = [
        row
        for row in rows
        if row.arm == "on" and row.value is not None and (row.finished or row.status == "pruned")
    ]
    if len(held) > MOST:
        held = [
            held[i]
            for i in sorted(
                generator(seed, "landscape", "kept").choice(len(held), MOST, replace=False)
            )
        ]
    keys = {parameter.key for parameter in space.parameters}
    points = TrialPoints.of(
        space, [{key: value for key, value in row.values.items() if key in keys} for row in held]
    )
    found = np.array([row.value for row in held], dtype=float)
    ended, epochs = (
        np.array([row.finished for row in held], dtype=bool),
        np.array([row.epochs for row in held], dtype=float),
    )
    values, offsets = found.copy(), []
    for group in (ended, ~ended):
        if group.any():
            low, high = np.quantile(found[group], [0.25, 0.75])
            values[group] = np.maximum(found[group], low - FENCE * (high - low))
    if not ended.all():
        late = np.where(ended, 0.0, epochs - epochs[~ended].mean())
        offsets = [~ended, *([late / late.std()] if late.any() else [])]
    table = np.array(offsets, dtype=float).reshape(len(offsets), len(held)).T
    return Observations(points, values, ended, table, int((values > found).sum()))


def landscape(space: Space, rows: Sequence[Row], seed: int = 0) -> Landscape | None:
    """The model of a search; None with fewer than ten finished trials, or where all have the same value."""
    seen = observe(space, rows, seed)
    if seen.finished < FEWEST or not np.ptp(seen.values[seen.ended]):
        return None
    alone = fitted(Basis(space.parameters), space, seen, seed)
    shares = total_effects(alone.model.coefficients, alone.effect_columns(seed))
    strongest = sorted(np.argsort(-shares, kind="stable")[:PAIRED].tolist())
    paired = fitted(Basis(space.parameters, tuple(combinations(strongest, 2))), space, seen, seed)
    held = max(alone, paired, key=lambda each: each.skill)
    return (
        replace(held, resampled=resample(held, generator(seed, "landscape", "resamples")))
        if held.believed
        else held
    )


def fitted(basis: Basis, space: Space, seen: Observations, seed: int) -> Landscape:
    """The model with these columns; its skill is against one of the offsets alone, on each tenth of the trials left out in turn."""
    columns = np.concatenate([basis.columns(seen.points), seen.offsets], axis=1)
    held = Landscape(
        space,
        seen,
        basis,
        columns,
        Surrogate(*(np.zeros(0),) * 3, 0.0),
        -math.inf,
        np.zeros((0, columns.shape[1])),
    )
    fold = generator(seed, "landscape", "folds").permutation(np.arange(len(seen.values)) % FOLDS)
    without = np.concatenate([columns[:, :1], seen.offsets], axis=1)
    squares = [0.0, 0.0]
    for number, (groups, given) in enumerate(
        ((held.groups, columns), (np.arange(without.shape[1]), without))
    ):
        for part in range(FOLDS):
            kept = fold != part
            model = fit(groups, given[kept], seen.values[kept])
            squares[number] += float(((seen.values - given @ model.coefficients)[~kept] ** 2).sum())
    return replace(
        held, model=fit(held.groups, columns, seen.values), skill=1 - squares[0] / squares[1]
    )


def resample(held: Landscape, draw: np.random.Generator) -> np.ndarray:
    """The coefficients of models of the trials drawn anew with replacement. Shape: (resamples, columns)."""
    count, found = len(held.seen.values), []
    for _ in range(RESAMPLES):
        times = np.bincount(draw.integers(0, count, count), minlength=count).astype(float)
        found.append(
            fit(held.groups, held.columns, held.seen.values, times, held.model).coefficients
        )
    return np.array(found)
