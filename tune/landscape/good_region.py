"""The good region of a search, rather than its best point: where the model cannot tell the expected value from the best one.

It lies over two numeric parameters and one choice, weight, temperature and head where the space has them, and is averaged over the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganhtr.seeds import generator
from tune.landscape.importance import Importance
from tune.landscape.landscape import Landscape
from tune.landscape.surrogate import levels
from tune.landscape.trial_points import TrialPoints, number_at, place_of
from tune.space.parameter import Parameter

PREFERRED = ("contrastive.weight", "contrastive.temperature", "head.kind")
CELLS = 24  # along each numeric parameter
AVERAGED = 64  # draws of the other parameters
REACH = 1.645  # standard errors: a 90 % interval of the difference from the best
SMALL = 0.5  # standard deviations of a run: a smaller difference is none to a search
NAMED = 0.05  # part of a choice's cells that must be inside for a sentence to name it


@dataclass(frozen=True, eq=False)
class Region:
    """A grid over the space. numbers: its numeric parameters, two at most; choice: the third, or None.

    Shapes: places (numbers, cells along); expected, inside (choices, cells along the first, along the second); `expected` is NaN where
    every combination is forbidden.
    """

    numbers: tuple[Parameter, ...]
    choice: Parameter | None
    places: tuple[np.ndarray, ...]
    expected: np.ndarray
    inside: np.ndarray

    @property
    def choices(self) -> tuple:
        return self.choice.choices if self.choice else ("",)

    @property
    def share(self) -> float:
        """The part of the allowed space that it takes."""
        return float(self.inside.sum() / np.isfinite(self.expected).sum())

    @property
    def named(self) -> list[int]:
        """The choices of which more than a corner is inside; that of the best cell in any case."""
        allowed = np.isfinite(self.expected).sum(axis=(1, 2))
        return [
            index
            for index, inside in enumerate(self.inside.sum(axis=(1, 2)))
            if index == self.best[0] or inside > NAMED * allowed[index]
        ]

    @property
    def best(self) -> tuple[int, int, int]:
        """The cell that is expected to be the best."""
        a, b, c = np.unravel_index(int(np.nanargmax(self.expected)), self.expected.shape)
        return int(a), int(b), int(c)

    def ranges(self, inside: np.ndarray) -> list[str]:
        """From where to where the region reaches in each numeric parameter. Shape: inside (cells along the first, along the second)."""
        return [
            span(parameter, places[inside.any(axis=1 - axis)])
            for axis, (parameter, places) in enumerate(zip(self.numbers, self.places, strict=True))
        ]


def span(parameter: Parameter, places: np.ndarray) -> str:
    """The values from the lowest to the highest place."""
    if not len(places):
        return "-"
    ends = number_at(parameter, np.array([places.min(), places.max()]))
    low, high = (f"{value:.2g}" if parameter.kind == "float" else f"{value:g}" for value in ends)
    return low if low == high else f"{low} to {high}"


def axes(
    held: Landscape, shares: Sequence[Importance]
) -> tuple[tuple[Parameter, ...], Parameter | None]:
    """The parameters of the region: those preferred, then those that matter most."""
    order = [*PREFERRED, *(share.key for share in shares)]
    ranked = sorted(
        held.space.parameters,
        key=lambda parameter: order.index(parameter.key) if parameter.key in order else len(order),
    )
    numbers = [
        parameter
        for parameter in ranked
        if not parameter.choices and parameter.low < parameter.high
    ][:2]
    return tuple(numbers), next(
        (parameter for parameter in ranked if len(parameter.choices) > 1), None
    )


def along(parameter: Parameter) -> np.ndarray:
    """The places of the grid: every value of a parameter that has few, else the middles of 24 cells."""
    if parameter.finite and levels(parameter) <= CELLS:
        return np.array([place_of(parameter, value) for value in parameter.every_value()])
    return (np.arange(CELLS) + 0.5) / CELLS


def good_region(held: Landscape, shares: Sequence[Importance], seed: int = 0) -> Region:
    """The cells that are as good as the best one: not to be told from it, or less than half a run's SD below."""
    numbers, choice = axes(held, shares)
    places = tuple(along(parameter) for parameter in numbers)
    shape = tuple(len(each) for each in (*places, *([np.zeros(1)] * (2 - len(places)))))
    others = generator(seed, "region").random((AVERAGED, len(held.space.parameters)))
    averages = np.concatenate(
        [
            cell_columns(held, numbers, places, choice, index, others)
            for index in range(len(choice.choices) if choice else 1)
        ]
    )
    expected = averages @ held.model.coefficients
    away = averages - averages[np.nanargmax(expected)]
    known = np.einsum("ij,jk,ik->i", away, held.model.covariance, away)
    error = np.sqrt(np.maximum(known, 0) + (away @ held.resampled.T).var(axis=1))
    inside = np.nanmax(expected) - expected <= np.maximum(
        REACH * error, SMALL * np.sqrt(held.model.noise)
    )  # never for NaN
    return Region(numbers, choice, places, expected.reshape(-1, *shape), inside.reshape(-1, *shape))


def cell_columns(
    held: Landscape,
    numbers: tuple[Parameter, ...],
    places: tuple[np.ndarray, ...],
    choice: Parameter | None,
    index: int,
    others: np.ndarray,
) -> np.ndarray:
    """The model's columns in every cell of one choice, averaged over the other parameters as far as they are allowed.

    Shapes: others (draws, parameters); result (cells, columns).
    """
    at = {parameter.key: number for number, parameter in enumerate(held.space.parameters)}
    cells = (
        np.stack(np.meshgrid(*places, indexing="ij"), axis=-1).reshape(-1, len(places))
        if places
        else np.zeros((1, 0))
    )
    full = np.repeat(others[None], len(cells), axis=0)
    for column, parameter in enumerate(numbers):
        full[:, :, at[parameter.key]] = cells[:, [column]]
    if choice is not None:
        full[:, :, at[choice.key]] = place_of(choice, choice.choices[index])
    points = TrialPoints.at(held.space, full.reshape(-1, full.shape[-1]))
    columns = held.at(points).reshape(*full.shape[:2], -1)
    allowed = ~points.forbidden(held.space).reshape(full.shape[:2])
    with np.errstate(invalid="ignore"):
        return (columns * allowed[:, :, None]).sum(axis=1) / allowed.sum(axis=1, keepdims=True)


def short_name(parameter: Parameter) -> str:
    """Its key without the section, as a sentence names it."""
    return (
        parameter.key.split(".")[-1]
        if parameter.key.split(".")[-1] != "kind"
        else parameter.key.split(".")[0]
    )


def word(choice: object) -> str:
    """A choice as a space file has it."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)
