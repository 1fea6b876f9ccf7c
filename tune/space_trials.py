"""The trials of a space: all of them where they can be counted, or one by chance; none that is forbidden."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from tune.parameter import Parameter

if TYPE_CHECKING:
    from tune.space import Space

LARGEST_GRID = 100_000
DRAWS = 10_000  # after so many forbidden trials in a row chance gives up


def every_trial(space: Space, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Every allowed trial over these parameters. Raises: ValueError where one is continuous, or there are more than 100,000 trials."""
    if continuous := [parameter.key for parameter in parameters if not parameter.finite]:
        raise ValueError(f"{space.name}: a grid must have parameters with a countable number of values, got {', '.join(continuous)}. "
                         "Give them a step")
    found: list[dict[str, Any]] = [{}]
    for parameter in parameters:
        each = parameter.every_value() if parameter.count <= LARGEST_GRID else ()
        longer = (more for values in found for more in _with_each(parameter, each, values) if not space.forbids(more))
        found = list(islice(longer, LARGEST_GRID + 1))
        if len(found) > LARGEST_GRID or not each:
            raise ValueError(f"{space.name}: a grid must have at most {LARGEST_GRID} trials, got more. Narrow the space")
    return found


def _with_each(parameter: Parameter, each: Sequence[Any], values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The values with each one of the parameter's, or as they are where it is inactive."""
    if parameter.active(values):
        yield from ({**values, parameter.key: value} for value in each)
    else:
        yield dict(values)


def random_trial(space: Space, rng: random.Random, settled: Mapping[str, Any]) -> dict[str, Any]:
    """An allowed trial with the values that are settled. Raises: ValueError where none is left."""
    for _ in range(DRAWS):
        values = space.sample(lambda parameter: settled[parameter.key] if parameter.key in settled else parameter.random_value(rng))
        if not space.forbids(values):
            return values
    left = [values for values in space.grid() if settled.items() <= values.items()] if space.finite else []
    if not left:
        raise ValueError(f"{space.name}: forbidden must leave something to try, got {DRAWS} forbidden trials in a row. Take some out")
    return rng.choice(left)
