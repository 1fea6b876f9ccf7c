"""Trials of a space as numbers: where each parameter stands in its range, and whether it takes part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tune.space.parameter import Parameter, ValueRange
from tune.space.space import Space


@dataclass(frozen=True, eq=False)
class TrialPoints:
    """Shapes: place (points, parameters) from 0 to 1, in the logarithm where the range is; active (points, parameters)."""

    parameters: tuple[Parameter, ...]
    place: np.ndarray
    active: np.ndarray

    @classmethod
    def of(cls, space: Space, trials: Sequence[Mapping[str, Any]]) -> TrialPoints:
        """The points of trials with these values."""
        place = np.array(
            [
                [place_of(p, values[p.key]) if p.key in values else 0.0 for p in space.parameters]
                for values in trials
            ]
        )
        active = np.array([[p.key in values for p in space.parameters] for values in trials])
        shape = (len(trials), len(space.parameters))
        return cls(space.parameters, place.reshape(shape), active.reshape(shape))

    @classmethod
    def at(cls, space: Space, place: np.ndarray) -> TrialPoints:
        """The points at these places; what is active follows from the space."""
        active = np.ones(place.shape, dtype=bool)
        points = cls(space.parameters, place, active)
        columns = {parameter.key: number for number, parameter in enumerate(space.parameters)}
        for number, parameter in enumerate(space.parameters):  # ancestors come first
            for key, allowed in parameter.when.items():
                active[:, number] &= points.holds(columns[key], allowed)
        return points

    def holds(self, number: int, allowed: tuple | ValueRange) -> np.ndarray:
        """Where a parameter is active and has one of the values allowed. Shape: (points,)."""
        parameter, place = self.parameters[number], self.place[:, number]
        if parameter.choices:
            held = np.array([choice in allowed for choice in parameter.choices])[
                choice_at(parameter, place)
            ]
        else:
            values = number_at(parameter, place)
            if isinstance(allowed, ValueRange):
                low, high = (
                    (-np.inf if allowed.low is None else allowed.low),
                    (np.inf if allowed.high is None else allowed.high),
                )
                held = (values >= low) & (values <= high)
            else:
                held = np.isin(values, allowed)
        return held & self.active[:, number]

    def forbidden(self, space: Space) -> np.ndarray:
        """Where a combination is one that no trial may have. Shape: (points,)."""
        found = np.zeros(len(self.place), dtype=bool)
        columns = {parameter.key: number for number, parameter in enumerate(self.parameters)}
        for clause in space.forbidden:
            found |= np.logical_and.reduce(
                [self.holds(columns[key], allowed) for key, allowed in clause.items()]
            )
        return found


def place_of(parameter: Parameter, value: Any) -> float:
    """Where a value stands in a parameter's range; of choices the middle of an even share."""
    if parameter.choices:
        index = next(
            (
                i
                for i, choice in enumerate(parameter.choices)
                if choice == value and type(choice) is type(value)
            ),
            parameter.choices.index(value) if value in parameter.choices else 0,
        )
        return (index + 0.5) / len(parameter.choices)
    low, high, value = (
        np.log([parameter.low, parameter.high, value])
        if parameter.log
        else (parameter.low, parameter.high, value)
    )
    return float((value - low) / (high - low)) if high > low else 0.5


def choice_at(parameter: Parameter, place: np.ndarray) -> np.ndarray:
    """The number of the choice at each place."""
    return np.minimum((place * len(parameter.choices)).astype(int), len(parameter.choices) - 1)


def number_at(parameter: Parameter, place: np.ndarray) -> np.ndarray:
    """The value of a numeric parameter at each place."""
    low, high = (
        np.log([parameter.low, parameter.high])
        if parameter.log
        else (parameter.low, parameter.high)
    )
    values = low + place * (high - low)
    values = np.exp(values) if parameter.log else values
    if parameter.kind == "int" or parameter.step is not None:
        step = parameter.step or 1
        values = parameter.low + np.round((values - parameter.low) / step) * step
    return np.clip(values, parameter.low, parameter.high)
