"""Trials as points in the unit cube, with a mask of the parameters that each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tune.space.parameter import Parameter, ValueRange
from tune.space.space import Space


@dataclass(frozen=True, eq=False)
class TrialPoints:
    """Points of a search space.

    Shapes: coordinates (points, parameters), from 0 to 1, linear in the logarithm of parameters on
    a log scale; active (points, parameters), False where a condition excludes the parameter.
    """

    parameters: tuple[Parameter, ...]
    coordinates: np.ndarray
    active: np.ndarray

    @classmethod
    def of(cls, space: Space, trials: Sequence[Mapping[str, Any]]) -> TrialPoints:
        """The points of trials with these values. A parameter is active where it has a value."""
        shape = (len(trials), len(space.parameters))
        active = [[p.key in values for p in space.parameters] for values in trials]
        coordinates = [
            [coordinate_of(p, values[p.key]) if p.key in values else 0.0 for p in space.parameters]
            for values in trials
        ]
        return cls(
            space.parameters, np.reshape(coordinates, shape), np.reshape(active, shape).astype(bool)
        )

    @classmethod
    def at(cls, space: Space, coordinates: np.ndarray) -> TrialPoints:
        """The points at these coordinates. The conditions of the space decide what is active."""
        active = np.ones(coordinates.shape, dtype=bool)
        points = cls(space.parameters, coordinates, active)
        # The space orders parents before children, so a parent's column is final when it is read.
        for column, parameter in enumerate(space.parameters):
            for key, allowed in parameter.when.items():
                active[:, column] &= points.matches(key, allowed)
        return points

    def matches(self, key: str, allowed: tuple | ValueRange) -> np.ndarray:
        """Where a parameter is active and has an allowed value. Shape: (points,)."""
        column = [parameter.key for parameter in self.parameters].index(key)
        parameter, coordinates = self.parameters[column], self.coordinates[:, column]
        if parameter.choices:
            matching = [choice in allowed for choice in parameter.choices]
            return self.active[:, column] & np.array(matching)[choice_at(parameter, coordinates)]
        matching = [value in allowed for value in number_at(parameter, coordinates).tolist()]
        return self.active[:, column] & np.array(matching, dtype=bool)

    def forbidden(self, space: Space) -> np.ndarray:
        """Where a point matches a forbidden combination of the space. Shape: (points,)."""
        excluded = np.zeros(len(self.coordinates), dtype=bool)
        for clause in space.forbidden:
            excluded |= np.logical_and.reduce([self.matches(*item) for item in clause.items()])
        return excluded


def coordinate_of(parameter: Parameter, value: Any) -> float:
    """The coordinate of a value; each choice has an equal share of the axis and sits in its middle.

    Raises: ValueError for a value that is not one of the parameter's choices.
    """
    if parameter.choices:
        # True equals 1 in Python, so a Boolean is compared with its type.
        typed = [(isinstance(choice, bool), choice) for choice in parameter.choices]
        return (typed.index((isinstance(value, bool), value)) + 0.5) / len(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.log:
        low, high, value = np.log([low, high, value])
    return float((value - low) / (high - low))


def choice_at(parameter: Parameter, coordinates: np.ndarray) -> np.ndarray:
    """The index of the choice at each coordinate."""
    count = len(parameter.choices)
    return np.minimum((coordinates * count).astype(int), count - 1)


def number_at(parameter: Parameter, coordinates: np.ndarray) -> np.ndarray:
    """The value of a numeric parameter at each coordinate."""
    if parameter.log:
        low, high = np.log([parameter.low, parameter.high])
        values = np.exp(low + coordinates * (high - low))
    else:
        values = parameter.low + coordinates * (parameter.high - parameter.low)
    if parameter.finite:
        step = parameter.step or 1
        values = parameter.low + np.round((values - parameter.low) / step) * step
    return np.clip(values, parameter.low, parameter.high)
