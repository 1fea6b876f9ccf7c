"""A model of a search's objective over its space, and how well it predicts left-out trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import sobol_indices, uniform

from ganhtr.seeds import generator
from tune.arm import ON
from tune.landscape.surrogate import Surrogate, effect_blocks, fit
from tune.landscape.trial_points import TrialPoints
from tune.space.space import Space
from tune.study.trial_status import TrialStatus
from tune.study.trial_table import Row

FEWEST, MOST = 10, 2000  # finished trials needed; trials used
FOLDS = 10
# Times 1 / sqrt(trials). Pure noise exceeds this R² in a tenth of searches of ten trials, and in
# none of a hundred.
CHANCE = 1.25
PAIRED = 4  # the strongest parameters, whose pairs have effects
FENCE = 1.5  # Tukey's fence, in interquartile ranges below the lower quartile
RESAMPLES = 200
SAMPLES = 512  # points of the space over which variances are computed; a power of 2


@dataclass(frozen=True, eq=False)
class Observations:
    """The trials that the model is fitted to. clipped: number of values raised to the fence.

    Shapes: values (trials,), higher is better; finished (trials,), False for a pruned trial;
    offsets (trials, offsets), what else changes a value: that the trial was pruned, and how late.
    """

    points: TrialPoints
    values: np.ndarray
    finished: np.ndarray
    offsets: np.ndarray
    clipped: int


@dataclass(frozen=True, eq=False)
class Landscape:
    """A model of a search's objective. skill: R² on left-out trials.

    Shapes: columns (trials, columns); groups (columns,), the effect of each column; resampled
    (resamples, columns), coefficients of models of resampled trials, none if the model is not
    better than chance.
    """

    space: Space
    observations: Observations
    pairs: tuple[tuple[int, int], ...]
    columns: np.ndarray
    groups: np.ndarray
    model: Surrogate
    skill: float
    resampled: np.ndarray

    @property
    def chance(self) -> float:
        """The R² that a model of pure noise rarely reaches."""
        return CHANCE / math.sqrt(len(self.observations.values))

    @property
    def better_than_chance(self) -> bool:
        """Whether the model predicts left-out trials better than a model of noise would."""
        return self.skill >= self.chance

    def columns_at(self, points: TrialPoints) -> np.ndarray:
        """The model's columns at other points, as of finished trials. Shape: (points, columns)."""
        offsets = np.zeros((len(points.coordinates), self.observations.offsets.shape[1]))
        return np.concatenate([*effect_blocks(points, self.pairs), offsets], axis=1)

    def total_effects(self, coefficients: np.ndarray, seed: int) -> np.ndarray:
        """Total Sobol' indices: the share of the variance that disappears if a parameter is fixed.

        The shares of one model add up to more than 1 if parameters interact.

        Shapes: coefficients (models, columns); result (models, parameters).

        Source: Jansen 1999, "Analysis of variance designs for model output", as in SciPy.
        """
        parameters = len(self.space.parameters)
        if parameters == 1:  # SciPy 1.17 fails here; a single parameter has all the variance
            return np.ones((len(coefficients), 1))
        indices = sobol_indices(
            func=lambda at: coefficients @ self.columns_at(TrialPoints.at(self.space, at.T)).T,
            n=SAMPLES,
            dists=[uniform()] * parameters,
            rng=generator(seed, "landscape", "points"),
        )
        return indices.total_order.reshape(-1, parameters)  # SciPy drops axes of length 1


def observe(space: Space, rows: Sequence[Row], seed: int = 0) -> Observations:
    """Select the trials of the ON arm that have a value, 2,000 at most.

    A pruned trial counts with its best value so far, or its neighbourhood would look untried. One
    very bad trial would outweigh all others, so no value counts as lower than Tukey's fence of the
    trials of its kind (finished or pruned).
    """
    ended = [row for row in rows if row.finished or row.status == TrialStatus.PRUNED]
    used = [row for row in ended if row.arm == ON and row.value is not None]
    if len(used) > MOST:
        kept = generator(seed, "landscape", "kept").choice(len(used), MOST, replace=False)
        used = [used[i] for i in sorted(kept)]
    raw = np.array([row.value for row in used], dtype=float)
    finished = np.array([row.finished for row in used], dtype=bool)
    values = raw.copy()
    for kind in (finished, ~finished):
        if kind.any():
            low, high = np.quantile(raw[kind], [0.25, 0.75])
            values[kind] = np.maximum(raw[kind], low - FENCE * (high - low))
    epochs = np.array([row.epochs for row in used], dtype=float)
    offsets = np.stack([~finished, ~finished * epochs / max(epochs, default=1.0)], axis=1)
    points = TrialPoints.of(space, [row.values for row in used])
    return Observations(points, values, finished, offsets, int((values > raw).sum()))


def landscape(space: Space, rows: Sequence[Row], seed: int = 0) -> Landscape | None:
    """Fit a model to the trials of a search.

    Returns None with fewer than ten finished trials, if all of them have the same value, or if the
    space has no parameters.
    """
    observations = observe(space, rows, seed)
    finished = observations.values[observations.finished]
    if not space.parameters or len(finished) < FEWEST or not np.ptp(finished):
        return None
    # Few trials do not support pairs, so the pairs of the strongest parameters must earn their
    # place on left-out trials.
    additive = fit_effects(space, observations, (), seed)
    (effects,) = additive.total_effects(additive.model.coefficients[None], seed)
    strongest = sorted(np.argsort(-effects, kind="stable")[:PAIRED].tolist())
    paired = fit_effects(space, observations, tuple(combinations(strongest, 2)), seed)
    better = max(additive, paired, key=lambda each: each.skill)
    if not better.better_than_chance:
        return better
    count = len(observations.values)
    rng = generator(seed, "landscape", "resamples")
    # How often each trial occurs in a sample with replacement, of as many trials.
    times = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)
    models = [fit(better.groups, better.columns, observations.values, each) for each in times]
    return replace(better, resampled=np.array([model.coefficients for model in models]))


def fit_effects(
    space: Space, observations: Observations, pairs: tuple[tuple[int, int], ...], seed: int
) -> Landscape:
    """Fit a model with the effects of all parameters and of these pairs.

    Its skill is 1 - (its squared error) / (that of a model with the offsets alone), in ten-fold
    cross-validation.
    """
    constant, *effects = effect_blocks(observations.points, pairs)
    offsets = np.split(observations.offsets, observations.offsets.shape[1], axis=1)
    columns, groups = joined([constant, *effects, *offsets])
    values = observations.values
    fold = generator(seed, "landscape", "folds").permutation(np.arange(len(values)) % FOLDS)
    errors = []
    for at, group in ((columns, groups), joined([constant, *offsets])):
        residuals = np.zeros(len(values))
        for part in range(FOLDS):
            model = fit(group, at, values, (fold != part).astype(float))
            residuals[fold == part] = (values - at @ model.coefficients)[fold == part]
        errors.append(float(residuals @ residuals))
    model = fit(groups, columns, values, np.ones(len(values)))
    none = np.zeros((0, columns.shape[1]))
    skill = 1 - errors[0] / errors[1]
    return Landscape(space, observations, pairs, columns, groups, model, skill, none)


def joined(blocks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of columns side by side, and the number of the block that each column belongs to."""
    widths = [block.shape[1] for block in blocks]
    return np.concatenate(blocks, axis=1), np.repeat(np.arange(len(blocks)), widths)
