"""What the trials of a search say about the whole space: a model of the objective, with what it does not know.

The objective is a sum of smooth effects of single parameters and of pairs of the strongest. Each effect has a variance of its own,
estimated from the trials, so that one that they do not show shrinks to nothing. A parameter that a trial does not have adds nothing to it.
Source: MacKay 1992, "Bayesian interpolation" (evidence and its re-estimation), for groups of columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tune.landscape.trial_points import TrialPoints, choice_at
from tune.space.parameter import Parameter

WAVES, PAIR_WAVES = 8, 2  # cosines of a numeric parameter: alone, and in a pair
ROUNDS = 30
FLAT = 1e6  # variance of the constant
LEAST_NOISE = 0.02  # of the values' variance: no run repeats exactly


@dataclass(frozen=True)
class Basis:
    """The columns of the model: the constant, then those of each parameter, then those of each pair (by number)."""

    parameters: tuple[Parameter, ...]
    pairs: tuple[tuple[int, int], ...] = ()

    def columns(self, points: TrialPoints) -> np.ndarray:
        """Shape: (points, columns)."""
        alone = [effect(points, number, WAVES) for number in range(len(self.parameters))]
        short = [effect(points, number, PAIR_WAVES) for number in range(len(self.parameters))]
        together = [
            (short[a][:, :, None] * short[b][:, None, :]).reshape(len(points.place), -1)
            for a, b in self.pairs
        ]
        return np.concatenate([np.ones((len(points.place), 1)), *alone, *together], axis=1)

    def groups(self) -> np.ndarray:
        """The effect that each column belongs to; 0 is the constant. Shape: (columns,)."""
        alone = [width(parameter, WAVES) for parameter in self.parameters]
        short = [width(parameter, PAIR_WAVES) for parameter in self.parameters]
        return np.repeat(
            np.arange(1 + len(alone) + len(self.pairs)),
            [1, *alone, *(short[a] * short[b] for a, b in self.pairs)],
        )


def width(parameter: Parameter, waves: int) -> int:
    """Columns that a parameter has."""
    return (len(parameter.choices) or min(waves + 1, levels(parameter))) - 1


def levels(parameter: Parameter) -> int:
    """How many values a numeric parameter can take; a continuous one as many as matter here."""
    if parameter.low == parameter.high:
        return 1
    if parameter.kind == "float" and parameter.step is None:
        return WAVES + 1
    return round((parameter.high - parameter.low) / (parameter.step or 1)) + 1


def effect(points: TrialPoints, number: int, waves: int) -> np.ndarray:
    """A parameter's columns: cosines over its range, slow ones larger; contrasts between its choices. Zero where it has no part."""
    parameter, place = points.parameters[number], points.place[:, number]
    if parameter.choices:
        columns = contrasts(len(parameter.choices))[choice_at(parameter, place)]
    else:
        wave = np.arange(1, width(parameter, waves) + 1)
        columns = np.sqrt(2) * np.cos(np.pi * place[:, None] * wave) / wave
    return columns * points.active[:, [number]]


def contrasts(choices: int) -> np.ndarray:
    """Columns of mean 0 and mean square 1 over the choices. Shape: (choices, choices - 1)."""
    centred = np.eye(choices) - 1 / choices
    return np.sqrt(choices) * np.linalg.svd(centred)[0][:, : choices - 1]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted model. Shapes: coefficients (columns,), covariance (columns, columns); variances of the effects (groups,)."""

    coefficients: np.ndarray
    covariance: np.ndarray
    variances: np.ndarray
    noise: float


def total_effects(coefficients: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Each parameter's part of the variance over the space, alone and in pairs: what would go if it were fixed (together more than 1).

    Shapes: columns (1 + parameters, points, columns), the first at points of the space, each other with one parameter drawn anew; result
    (parameters,). Source: Jansen 1999, "Analysis of variance designs for model output".
    """
    expected = columns @ coefficients
    variance = float(expected.var())
    return (
        ((expected[1:] - expected[0]) ** 2).mean(axis=1) / (2 * variance)
        if variance > 0
        else np.zeros(len(columns) - 1)
    )


def fit(
    groups: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    counts: np.ndarray | None = None,
    start: Surrogate | None = None,
) -> Surrogate:
    """The model of these values, each trial counted so many times; `start` is one of nearly the same values.

    Shapes: groups (columns,), the constant's is 0; columns (trials, columns); values, counts (trials,).
    """
    counts = np.ones(len(values)) if counts is None else counts
    weighted = columns * counts[:, None]
    gram, moment = weighted.T @ columns, weighted.T @ values
    square, count = float(counts @ values**2), float(counts.sum())
    spread = max(square / count - (float(counts @ values) / count) ** 2, 1e-12)
    sizes = np.bincount(groups)
    variances, noise = np.full(len(sizes), spread / len(sizes)), spread / 2
    if start is not None:
        variances, noise = np.maximum(start.variances, 1e-3 * spread), start.noise
    for _ in range(ROUNDS):
        variances[0] = FLAT * spread
        covariance = np.linalg.inv(gram / noise + np.diag(1 / variances[groups]))
        coefficients = covariance @ moment / noise
        known = np.maximum(
            sizes - np.bincount(groups, np.diag(covariance)) / variances, 1e-9
        )  # columns that the trials determine
        misfit = square - 2 * coefficients @ moment + coefficients @ gram @ coefficients
        variances = np.clip(
            np.bincount(groups, coefficients**2) / known, 1e-7 * spread, 100 * spread
        )
        noise = max(float(misfit) / max(count - known.sum(), 1.0), LEAST_NOISE * spread)
    return Surrogate(coefficients, covariance, variances, noise)
