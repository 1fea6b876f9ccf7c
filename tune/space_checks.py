"""Whether a space leaves something to try, and whether its trials can be built: checks that need the whole of it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ganhtr.config import PRESETS, ConfigError, build_config
from tune.derived import ExpressionError
from tune.space_trials import DRAWS
from tune.yaml_source import KeyPath, Source, show

if TYPE_CHECKING:
    from tune.space import Space

EXTREME_TRIALS, TRIALS = 64, 500  # that are built; whose derived values are computed
COMPLETIONS = 5  # of a first point
ENOUGH = 10  # at least one random trial in a thousand must be allowed, or drawing one could take for ever


def check_possible(source: Source, space: Space) -> None:
    """Notes where nothing, or too little, is left to try; where a grid is none; and what first points cannot be completed."""
    if space.search.sampler == "grid":
        try:
            space.grid()
        except ValueError as error:
            source.say(("search", "sampler"), f"{error}, or choose another sampler.")
    if not space.forbidden:
        return
    rng = random.Random(0)
    if not leaves_enough(space):
        source.fault(("forbidden",), "such that they leave something to try", "combinations that forbid all, or all but one in a thousand",
                     "Take some out.")
        return
    for name, point in space.first.items():
        try:
            space.random_values(rng, point)
        except ValueError:
            source.fault(("first", name), "a point that can be completed", "one whose every completion is forbidden", "Change it.")


def leaves_enough(space: Space) -> bool:
    """Whether random trials are allowed often enough, or those of a finite space at all."""
    rng, allowed = random.Random(0), 0
    for _ in range(DRAWS):
        allowed += not space.forbids(space.sample(lambda parameter: parameter.random_value(rng)))
        if allowed == ENOUGH:
            return True
    try:
        return bool(space.grid())
    except ValueError:
        return False


def check_trials(source: Source, space: Space) -> None:
    """Without a preset in the file the user may still choose one, so then it must be a fault with each of them."""
    presets = [space.preset] if space.preset else list(PRESETS)
    if all(config_faults(space, preset) for preset in presets):
        for place, fault in config_faults(space, presets[0]):
            source.say(place, fault)


def config_faults(space: Space, preset: str) -> list[tuple[KeyPath, str]]:
    """Why the first trial found that cannot be built with `preset` cannot; each with the place to look at.

    Some values do only together, such as data.height and generator.levels. Trials are drawn from the ends of the ranges, where such faults
    are; derived values are computed for every trial of a small space, else for random ones too.
    """
    on = "the ON arm" if space.experiment else "single-trial mode"
    trials: list[tuple[KeyPath, str, dict[str, Any]]] = [(("fixed",), on, {}), (("baseline",), "the OFF arm", dict(space.baseline))]
    trials += [(("space",), f"a trial with {show(values)}", values) for values in extreme_trials(space)]
    trials += [(("first", name), f"first.{name}, as a trial with {show(values)},", values) for name, values in first_trials(space)]
    for place, what, values in trials:
        try:
            build_config(preset, space.overrides(values, preset))
        except ConfigError as error:
            return [(place, f"{fault}. This is so in {what} with preset {preset}.") for fault in error.faults]
        except ExpressionError as error:
            where: KeyPath = place if place[0] == "first" else ("derived",)
            return [(where, f"{error}. This is so in {what} with preset {preset}.")]
    for values in many_trials(space) if space.derived else ():
        try:
            space.overrides(values, preset)
        except ExpressionError as error:
            return [(("derived",), f"{error}. This is so in a trial with {show(values)} with preset {preset}.")]
    return []


def extreme_trials(space: Space) -> list[dict[str, Any]]:
    """Allowed trials at the ends of the ranges."""
    rng = random.Random(0)
    drawn = [space.sample(lambda parameter: rng.choice(parameter.extremes())) for _ in range(0 if space.experiment else EXTREME_TRIALS)]
    return [values for values in drawn if not space.forbids(values)]


def first_trials(space: Space) -> list[tuple[str, dict[str, Any]]]:
    """Each first point, named, as some of the trials that it may become: what it leaves out is drawn."""
    rng = random.Random(0)
    return [(name, space.random_values(rng, point)) for name, point in space.first.items() for _ in range(COMPLETIONS)]


def many_trials(space: Space) -> Iterable[dict[str, Any]]:
    """Every trial of a small finite space; random trials of another."""
    if space.finite and math.prod(parameter.count for parameter in space.parameters) <= TRIALS:
        return space.grid()
    return [space.random_values(number) for number in range(TRIALS)]
