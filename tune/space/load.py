"""Whether a space leaves something to try, and whether its trials can be built: checks that need the whole of it."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganhtr.config import PRESETS, ConfigError, build_config
from tune.space.expression import ExpressionError
from tune.space.extends import near_files, read_extended
from tune.space.read_conditions import check_reachable
from tune.space.read_parameters import read_parameters
from tune.space.read_rules import read_derived, read_first, read_forbidden
from tune.space.read_settings import read_settings
from tune.space.source import KeyPath, Source, SpaceError, show
from tune.space.space import DRAWS, Space

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
        source.fault(
            ("forbidden",),
            "such that they leave something to try",
            "combinations that forbid all, or all but one in a thousand",
            "Take some out.",
        )
        return
    for name, point in space.first.items():
        try:
            space.random_values(rng, point)
        except ValueError:
            source.fault(
                ("first", name),
                "a point that can be completed",
                "one whose every completion is forbidden",
                "Change it.",
            )


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
    trials: list[tuple[KeyPath, str, dict[str, Any]]] = [
        (("fixed",), on, {}),
        (("baseline",), "the OFF arm", dict(space.baseline)),
    ]
    trials += [
        (("space",), f"a trial with {show(values)}", values) for values in extreme_trials(space)
    ]
    trials += [
        (("first", name), f"first.{name}, as a trial with {show(values)},", values)
        for name, values in first_trials(space)
    ]
    for place, what, values in trials:
        try:
            build_config(preset, space.overrides(values, preset))
        except ConfigError as error:
            return [
                (place, f"{fault}. This is so in {what} with preset {preset}.")
                for fault in error.faults
            ]
        except ExpressionError as error:
            where: KeyPath = place if place[0] == "first" else ("derived",)
            return [(where, f"{error}. This is so in {what} with preset {preset}.")]
    for values in many_trials(space) if space.derived else ():
        try:
            space.overrides(values, preset)
        except ExpressionError as error:
            return [
                (
                    ("derived",),
                    f"{error}. This is so in a trial with {show(values)} with preset {preset}.",
                )
            ]
    return []


def extreme_trials(space: Space) -> list[dict[str, Any]]:
    """Allowed trials at the ends of the ranges."""
    rng = random.Random(0)
    drawn = [
        space.sample(lambda parameter: rng.choice(parameter.extremes()))
        for _ in range(0 if space.experiment else EXTREME_TRIALS)
    ]
    return [values for values in drawn if not space.forbids(values)]


def first_trials(space: Space) -> list[tuple[str, dict[str, Any]]]:
    """Each first point, named, as some of the trials that it may become: what it leaves out is drawn."""
    rng = random.Random(0)
    return [
        (name, space.random_values(rng, point))
        for name, point in space.first.items()
        for _ in range(COMPLETIONS)
    ]


def many_trials(space: Space) -> Iterable[dict[str, Any]]:
    """Every trial of a small finite space; random trials of another."""
    if space.finite and math.prod(parameter.count for parameter in space.parameters) <= TRIALS:
        return space.grid()
    return [space.random_values(number) for number in range(TRIALS)]


def load_space(path: str | Path) -> Space:
    """The space in a YAML file, named after the file.

    Raises: SpaceError with every fault of the file, each with its line.
    """
    return _space(read_extended(Path(path)), Path(path).stem)


def space_from_plain(plain: Mapping[str, Any], name: str = "space") -> Space:
    """The space in plain values, as `Space.to_plain` gives them.

    Raises: SpaceError with every fault, told under `name`.
    """
    return _space(Source(name, plain), name)


def find_space(name_or_path: str | Path, folder: str | Path) -> Path:
    """The file of a space: a path, or a name in `folder` with or without .yaml.

    Raises: SpaceError naming the known spaces.
    """
    for path in (
        Path(name_or_path),
        Path(folder, name_or_path),
        Path(folder, f"{name_or_path}.yaml"),
    ):
        if os.path.isfile(path):  # False for a name that is too long, too
            return path
    names = tuple(sorted(path.stem for path in Path(folder).glob("*.yaml")))
    hint = near_files(name_or_path, names) if names else f"There is no .yaml file in {folder}."
    raise SpaceError(
        [
            f"{name_or_path}: the search space must be a file, or a name in {folder}, got neither. {hint}"
        ]
    )


def _space(source: Source, name: str) -> Space:
    if not isinstance(source.value, dict):
        got = "an empty file" if source.value is None else show(source.value)
        source.fault(
            (), "a mapping such as {space: ...}", got, "See search_spaces/contrastive.yaml."
        )
        source.check()
    fields = read_settings(source)
    parameters = read_parameters(source)
    forbidden = read_forbidden(source, parameters)
    space = Space(
        name=name,
        parameters=parameters,
        forbidden=forbidden,
        first=read_first(source, parameters, forbidden),
        derived=read_derived(source),
        **fields,
    )
    source.check()
    check_reachable(source, parameters)
    source.check()
    check_possible(source, space)
    source.check()
    check_trials(source, space)
    source.check()
    return space
