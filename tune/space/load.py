"""Loading a space file, and the checks that need the whole space."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
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

EXTREME_TRIALS = 64  # drawn from the ends of the ranges and built
DERIVED_TRIALS = 500  # whose derived values are computed
COMPLETIONS = 5  # of each first point
ENOUGH = 10  # allowed trials among `DRAWS`; with fewer, drawing one could take too long


def load_space(path: str | Path) -> Space:
    """Load the space in a YAML file and name it after the file.

    Raises: SpaceError with every fault of the file, each with its line.
    """
    return _space(read_extended(Path(path)), Path(path).stem)


def space_from_plain(plain: Mapping[str, Any], name: str = "space") -> Space:
    """Return the space in plain values, as `plain_of` gives them.

    Raises: SpaceError with every fault, each after `name`.
    """
    return _space(Source(name, plain), name)


def find_space(name_or_path: str | Path, folder: str | Path) -> Path:
    """Return the file of a space: a path, or a name in `folder` with or without .yaml.

    Raises: SpaceError with the known spaces.
    """
    for path in (
        Path(name_or_path),
        Path(folder, name_or_path),
        Path(folder, f"{name_or_path}.yaml"),
    ):
        if os.path.isfile(path):  # also False for a name that is too long
            return path
    names = tuple(sorted(path.stem for path in Path(folder).glob("*.yaml")))
    fix = near_files(name_or_path, names) if names else f"There is no .yaml file in {folder}."
    raise SpaceError([f"{name_or_path}: neither a file nor a search space in {folder}. {fix}"])


def _space(source: Source, name: str) -> Space:
    if not isinstance(source.value, dict):
        plain = "an empty file" if source.value is None else show(source.value)
        source.must_be(
            (), "a mapping such as {space: ...}", plain, "See search_spaces/contrastive.yaml."
        )
        source.check()
    settings = read_settings(source)
    parameters = read_parameters(source)
    forbidden = read_forbidden(source, parameters)
    space = Space(
        name=name,
        parameters=parameters,
        forbidden=forbidden,
        first=read_first(source, parameters, forbidden),
        derived=read_derived(source),
        **settings,
    )
    # Each check needs a space that has passed those before it.
    source.check()
    check_reachable(source, parameters)
    source.check()
    _check_possible(source, space)
    source.check()
    _check_trials(source, space)
    source.check()
    return space


def _check_possible(source: Source, space: Space) -> None:
    """Note an infinite grid, too few allowed trials, and points that cannot be completed."""
    if space.search.sampler == "grid":
        try:
            space.grid()
        except ValueError as error:
            source.fault(("search", "sampler"), f"{error}, or choose another sampler.")
    if not space.forbidden:
        return
    if not _leaves_enough(space):
        source.fault(
            ("forbidden",),
            "it excludes every configuration, or all but one in a thousand. Remove some "
            "combinations.",
        )
        return
    rng = random.Random(0)
    for name, point in space.first.items():
        try:
            space.random_values(rng, point)
        except ValueError:
            source.fault(("first", name), "every completion of it is forbidden. Change it.")


def _leaves_enough(space: Space) -> bool:
    """Whether random trials are allowed often enough, or any trial of a finite space is."""
    rng, allowed = random.Random(0), 0
    for _ in range(DRAWS):
        allowed += not space.forbids(space.sample(lambda parameter: parameter.random_value(rng)))
        if allowed == ENOUGH:
            return True
    try:
        return bool(space.grid())
    except ValueError:
        return False


def _check_trials(source: Source, space: Space) -> None:
    """Note trials that cannot be built.

    Without a preset in the file the user may choose one, so each preset must have the fault.
    """
    presets = [space.preset] if space.preset else list(PRESETS)
    if all(config_faults(space, preset) for preset in presets):
        for place, fault in config_faults(space, presets[0]):
            source.fault(place, fault)


def config_faults(space: Space, preset: str) -> list[tuple[KeyPath, str]]:
    """Return the faults of the first trial that cannot be built with `preset`, with their places.

    Some values only go together, such as data.height and generator.levels. Such faults are at the
    ends of the ranges, so trials are drawn from there. Derived values are computed for every trial
    of a small space, else for random ones.
    """
    space = replace(space, preset=preset)
    for place, trial, values in _trials_to_build(space):
        try:
            build_config(preset, space.overrides(values))
        except ConfigError as error:
            return [
                (place, f"{fault}. This is so in {trial} with preset {preset}.")
                for fault in error.faults
            ]
        except ExpressionError as error:
            where: KeyPath = place if place[0] == "first" else ("derived",)
            return [(where, f"{error}. This is so in {trial} with preset {preset}.")]
    for values in _many_trials(space) if space.derived else ():
        try:
            space.overrides(values)
        except ExpressionError as error:
            trial = f"a trial with {show(values)}"
            return [(("derived",), f"{error}. This is so in {trial} with preset {preset}.")]
    return []


def _trials_to_build(space: Space) -> Iterator[tuple[KeyPath, str, dict[str, Any]]]:
    """Yield trials: the place of a fault, what the trial is, its values.

    What a first point leaves out is drawn.
    """
    yield ("fixed",), "the ON arm" if space.experiment else "single-trial mode", {}
    yield ("baseline",), "the OFF arm", dict(space.baseline)
    rng = random.Random(0)
    for _ in range(0 if space.experiment else EXTREME_TRIALS):
        values = space.sample(lambda parameter: rng.choice(parameter.extremes()))
        if not space.forbids(values):
            yield ("space",), f"a trial with {show(values)}", values
    rng = random.Random(0)
    for name, point in space.first.items():
        for _ in range(COMPLETIONS):
            values = space.random_values(rng, point)
            yield ("first", name), f"first.{name} as a trial with {show(values)}", values


def _many_trials(space: Space) -> Iterable[dict[str, Any]]:
    """Return every trial of a small finite space, random trials of another."""
    counts = (parameter.count for parameter in space.parameters)
    if space.finite and math.prod(counts) <= DERIVED_TRIALS:
        return space.grid()
    return [space.random_values(number) for number in range(DERIVED_TRIALS)]
