"""A Bayesian linear model of the objective over a search space.

The objective is a sum of smooth effects, one of each parameter and one of each pair of the
strongest. The variance of each effect is estimated from the trials, so an effect without evidence
shrinks to zero. A parameter that a trial does not have adds nothing to its value.

Source: MacKay 1992, "Bayesian interpolation" (evidence and its re-estimation), with one prior
variance for each group of columns. scikit-learn's `BayesianRidge` has one prior variance for all
columns and `ARDRegression` one for each column; neither has groups. Its Gaussian process is as
accurate from 100 trials on, but with a dozen trials its intervals over resampled trials are too
narrow, and with 500 it takes several times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import helmert

from tune.landscape.trial_points import TrialPoints, choice_at

WAVES, PAIR_WAVES = 8, 2  # cosines of a numeric parameter: alone, and in a pair
ROUNDS = 30  # of re-estimation
CONSTANT_VARIANCE = 1e6  # prior variance of the constant, in variances of the values: no shrinkage
LEAST_NOISE = 0.02  # in variances of the values: no run repeats exactly


def effect_blocks(points: TrialPoints, pairs: Sequence[tuple[int, int]] = ()) -> list[np.ndarray]:
    """The columns of the constant, of each parameter and of each pair of parameters.

    Shapes: each block (points, columns of that effect).
    """
    numbers = range(len(points.parameters))
    alone = [effect(points, number, WAVES) for number in numbers]
    short = [effect(points, number, PAIR_WAVES) for number in numbers]
    count = len(points.coordinates)
    # The columns of a pair are all products of a column of the one and a column of the other.
    products = [(short[a][:, :, None] * short[b][:, None, :]).reshape(count, -1) for a, b in pairs]
    return [np.ones((count, 1)), *alone, *products]


def effect(points: TrialPoints, number: int, waves: int) -> np.ndarray:
    """The columns of one parameter: cosines over its range, or contrasts between its choices.

    Each column has mean 0 over the range. Its mean square is 1, or 1 / k² for the k-th cosine, so
    slow changes are likelier than fast ones. Rows are 0 where the parameter is inactive.
    """
    parameter, coordinates = points.parameters[number], points.coordinates[:, number]
    if parameter.choices:
        count = len(parameter.choices)
        columns = np.sqrt(count) * helmert(count).T[choice_at(parameter, coordinates)]
    else:
        # More waves than values, less one for the constant, would be linearly dependent.
        most = min(waves, parameter.count - 1) if parameter.finite else waves
        k = np.arange(1, most + 1)
        columns = np.sqrt(2) * np.cos(np.pi * coordinates[:, None] * k) / k
    return columns * points.active[:, [number]]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted model.

    Shapes: coefficients (columns,), covariance (columns, columns). Units: noise is the variance of
    a run around the model.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    noise: float


def fit(
    groups: np.ndarray, columns: np.ndarray, values: np.ndarray, counts: np.ndarray
) -> Surrogate:
    """Fit the model to trials, each counted `counts` times.

    Shapes: groups (columns,), the effect of each column, 0 for the constant; columns (trials,
    columns); values, counts (trials,).
    """
    weighted = columns * counts[:, None]
    gram, moment = weighted.T @ columns, weighted.T @ values
    square, count = float(counts @ values**2), float(counts.sum())
    spread = max(square / count - (float(counts @ values) / count) ** 2, 1e-12)
    sizes = np.bincount(groups)
    # Start from equal variances: half of the spread is noise.
    variances, noise = np.full(len(sizes), spread / len(sizes)), spread / 2
    for _ in range(ROUNDS):
        variances[0] = CONSTANT_VARIANCE * spread
        # The posterior of the coefficients, given the variances.
        covariance = np.linalg.inv(gram / noise + np.diag(1 / variances[groups]))
        coefficients = covariance @ moment / noise
        # MacKay's gamma: how many columns of each group the trials determine, not the prior.
        shrunk = np.bincount(groups, np.diag(covariance)) / variances
        determined = np.maximum(sizes - shrunk, 1e-9)
        # The variances that make the values most probable, given the posterior.
        variances = np.bincount(groups, coefficients**2) / determined
        variances = np.clip(variances, 1e-7 * spread, 100 * spread)
        misfit = square - 2 * coefficients @ moment + coefficients @ gram @ coefficients
        noise = float(misfit) / max(count - determined.sum(), 1.0)
        noise = max(noise, LEAST_NOISE * spread)
    return Surrogate(coefficients, covariance, noise)
