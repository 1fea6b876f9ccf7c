"""The good region of a search: where the expected value cannot be distinguished from the best.

The region lies over two numeric parameters and one choice (weight, temperature and projection head
if the space has them) and is averaged over the other parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganhtr.seeds import generator
from tune.landscape.importance import Importance
from tune.landscape.landscape import Landscape
from tune.landscape.trial_points import TrialPoints, coordinate_of, number_at
from tune.space.parameter import Parameter

PREFERRED = ("contrastive.weight", "contrastive.temperature", "head.kind")
CELLS = 24  # along each numeric parameter
AVERAGED = 64  # draws of the other parameters
Z90 = 1.645  # standard errors: a 90 % interval of the difference from the best
SMALL = 0.5  # standard deviations of a run: smaller differences do not matter to a search
NAMED = 0.05  # share of a choice's cells that must be inside for the text to name the choice


@dataclass(frozen=True, eq=False)
class Region:
    """A grid over the space. numbers: two numeric parameters at most; choice: the third, or None.

    Shapes: coordinates (numbers, cells along); expected, inside (choices, cells along the first,
    cells along the second). `expected` is NaN where every combination is forbidden.
    """

    numbers: tuple[Parameter, ...]
    choice: Parameter | None
    coordinates: tuple[np.ndarray, ...]
    expected: np.ndarray
    inside: np.ndarray

    @property
    def choices(self) -> tuple:
        """The values of the choice, one empty value without a choice."""
        return self.choice.choices if self.choice else ("",)

    @property
    def share(self) -> float:
        """The share of the allowed space that is inside."""
        return float(self.inside.sum() / np.isfinite(self.expected).sum())

    @property
    def named(self) -> list[int]:
        """The choices with more than a corner inside, and always the choice of the best cell."""
        allowed = np.isfinite(self.expected).sum(axis=(1, 2))
        large = self.inside.sum(axis=(1, 2)) > NAMED * allowed
        large[self.best[0]] = True
        return np.flatnonzero(large).tolist()

    @property
    def best(self) -> tuple[int, ...]:
        """The indices of the cell with the highest expected value."""
        cell = np.unravel_index(np.nanargmax(self.expected), self.expected.shape)
        return tuple(map(int, cell))

    def ranges(self, inside: np.ndarray) -> list[str]:
        """The range of each numeric parameter within these cells.

        Shape: inside (cells along the first, cells along the second).
        """
        return [
            value_range(parameter, coordinates[inside.any(axis=1 - axis)])
            for axis, (parameter, coordinates) in enumerate(
                zip(self.numbers, self.coordinates, strict=True)
            )
        ]


def value_range(parameter: Parameter, coordinates: np.ndarray) -> str:
    """The values from the lowest to the highest coordinate, "-" without any."""
    if not len(coordinates):
        return "-"
    ends = number_at(parameter, np.array([coordinates.min(), coordinates.max()]))
    form = ".2g" if parameter.kind == "float" else "g"
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in ends))  # one value once


def region_axes(
    fitted: Landscape, shares: Sequence[Importance]
) -> tuple[tuple[Parameter, ...], Parameter | None]:
    """The parameters of the region: the preferred ones, then the most important ones."""
    by_key = {parameter.key: parameter for parameter in fitted.space.parameters}
    order = dict.fromkeys([*PREFERRED, *(share.key for share in shares)])
    ranked = [by_key[key] for key in order if key in by_key]
    numbers = [parameter for parameter in ranked if not parameter.choices][:2]
    return tuple(numbers), next((parameter for parameter in ranked if parameter.choices), None)


def cells_along(parameter: Parameter) -> np.ndarray:
    """The coordinates of the grid: every value if there are few, else the middles of 24 cells."""
    if parameter.choices or (parameter.finite and parameter.count <= CELLS):
        return np.array([coordinate_of(parameter, value) for value in parameter.every_value()])
    return (np.arange(CELLS) + 0.5) / CELLS


def good_region(fitted: Landscape, shares: Sequence[Importance], seed: int = 0) -> Region:
    """The cells whose expected value is as good as that of the best cell.

    A cell is as good if the 90 % interval of its difference from the best includes 0, or if the
    difference is below half a standard deviation of a run.
    """
    numbers, choice = region_axes(fitted, shares)
    axes = (*([choice] if choice else []), *numbers)
    along = [cells_along(parameter) for parameter in axes]
    grid = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, len(axes))
    others = generator(seed, "region").random((AVERAGED, len(fitted.space.parameters)))
    parts = np.array_split(grid, 1 + len(grid) // CELLS**2)  # so that memory stays small
    columns = np.concatenate([cell_columns(fitted, axes, part, others) for part in parts])
    expected = columns @ fitted.model.coefficients
    # The model is linear in its columns, so the difference of two cells is that of their columns.
    away = columns - columns[np.nanargmax(expected)]
    posterior = np.einsum("ij,jk,ik->i", away, fitted.model.covariance, away)
    error = np.sqrt(np.maximum(posterior, 0) + (away @ fitted.resampled.T).var(axis=1))
    reach = np.maximum(Z90 * error, SMALL * np.sqrt(fitted.model.noise))
    inside = np.nanmax(expected) - expected <= reach  # False for NaN
    coordinates = tuple(along[-len(numbers) :] if numbers else ())
    first, second = [*map(len, coordinates), 1, 1][:2]
    shape = (-1, first, second)
    return Region(numbers, choice, coordinates, expected.reshape(shape), inside.reshape(shape))


def cell_columns(
    fitted: Landscape, axes: Sequence[Parameter], cells: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """The model's columns in each cell, averaged over the allowed draws of the other parameters.

    Shapes: cells (cells, axes); others (draws, parameters); result (cells, columns), NaN where no
    draw is allowed.
    """
    parameters = fitted.space.parameters
    coordinates = np.repeat(others[None], len(cells), axis=0)
    coordinates[:, :, [parameters.index(axis) for axis in axes]] = cells[:, None, :]
    points = TrialPoints.at(fitted.space, coordinates.reshape(-1, len(parameters)))
    columns = fitted.columns_at(points).reshape(len(cells), len(others), -1)
    allowed = ~points.forbidden(fitted.space).reshape(len(cells), len(others), 1)
    with np.errstate(invalid="ignore"):
        return (columns * allowed).sum(axis=1) / allowed.sum(axis=1)


def short_name(parameter: Parameter) -> str:
    """The last part of its key, or its section for a key such as `head.kind`."""
    section, *_, name = parameter.key.split(".")
    return section if name == "kind" else name


def choice_text(choice: object) -> str:
    """A choice as a space file writes it."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)
