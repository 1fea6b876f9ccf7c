"""A search space: what a study tries, as one validated value. Without parameters it is an experiment: OFF and ON, once for each seed.

`load_space` reads the YAML file, checks all of it and reports every fault at once. The space knows neither Ray nor
Optuna: whoever drives it hands `Space.sample` a function that picks a value for a parameter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganhtr.config import PRESETS, ConfigError, build_config
from tune.parameter import Parameter
from tune.parameter_grammar import read_parameters
from tune.space_settings import BUDGET_KEYS, Budget, EarlyStopping, known, read_settings
from tune.yaml_source import Source, SpaceError, read_yaml, show

__all__ = ["Budget", "EarlyStopping", "Parameter", "Space", "SpaceError", "find_space", "load_space",
           "space_from_plain"]


@dataclass(frozen=True)
class Space:
    """A validated search space. `name` is only a label: spaces of the same content are equal.

    `preset` is None where the file names none. Ancestors come before their dependants in `parameters`. Without parameters
    the ON arm is what `fixed` says.
    """

    name: str = field(compare=False)
    objective: str
    budget: Budget
    early_stopping: EarlyStopping
    baseline: Mapping[str, Any]
    fixed: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    preset: str | None = None

    @property
    def experiment(self) -> bool:
        """Whether nothing is searched."""
        return not self.parameters

    @property
    def trials(self) -> int:
        """How many trials a study has: the search's budget, or both arms of an experiment for each seed."""
        return 2 * self.budget.seeds if self.experiment else self.budget.trials

    def active(self, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """The parameters that take part in a trial with these (active) values."""
        return tuple(parameter for parameter in self.parameters if parameter.active(values))

    def sample(self, pick: Callable[[Parameter], Any]) -> dict[str, Any]:
        """The values of a trial: `pick` is asked for each active parameter, ancestors first; others are left out."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.active(values):
                values[parameter.key] = pick(parameter)
        return values

    def random_values(self, seed: int | random.Random = 0) -> dict[str, Any]:
        """The values of a random trial; the same for the same seed."""
        rng = seed if isinstance(seed, random.Random) else random.Random(seed)
        return self.sample(lambda parameter: parameter.random_value(rng))

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration keys of a trial, for `build_config`: fixed, defaults, `values`, and the budget's keys.

        `overrides({})` is single-trial mode.
        """
        defaults = {parameter.key: parameter.default for parameter in self.parameters if parameter.default is not None}
        budget = {key: getattr(self.budget, name.split(".")[1]) for key, name in BUDGET_KEYS.items()}
        return {**self.fixed, **defaults, **values, **{key: n for key, n in budget.items() if n is not None}}

    def baseline_overrides(self) -> dict[str, Any]:
        """The configuration keys of the OFF arm."""
        return self.overrides(self.baseline)

    def config_faults(self, preset: str) -> list[tuple[str, str]]:
        """Why the first trial found that cannot be built with `preset` cannot; each with the section to look at.

        Some values do only together, such as data.height and generator.levels. Trials are drawn from the ends of the
        ranges, where such faults are.
        """
        rng = random.Random(0)
        trials = [("fixed", "the ON arm" if self.experiment else "single-trial mode", self.overrides({})),
                  ("baseline", "the OFF arm", self.baseline_overrides())]
        for _ in range(0 if self.experiment else 64):
            values = self.sample(lambda parameter: rng.choice(parameter.extremes()))
            trials.append(("space", f"a trial with {show(values)}", self.overrides(values)))
        for section, what, overrides in trials:
            try:
                build_config(preset, overrides)
            except ConfigError as error:
                return [(section, f"{fault}. This is so in {what} with preset {preset}.") for fault in error.faults]
        return []

    def digest(self) -> str:
        """The same for spaces between which a study can be resumed.

        Comments, formatting, the order of keys, the name and defaults written out do not count; nor do
        budget.trials and budget.seeds, since more trials extend the same study.
        """
        plain = self.to_plain()
        for name in ("trials", "seeds"):
            plain["budget"].pop(name, None)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """The space as it is written in a file, all settings included; `space_from_plain` takes it back."""
        unused = "trials" if self.experiment else "seeds"
        budget = {key: value for key, value in dataclasses.asdict(self.budget).items() if value is not None and key != unused}
        return {
            "objective": self.objective,
            **({"preset": self.preset} if self.preset else {}),
            "budget": budget,
            "early_stopping": dataclasses.asdict(self.early_stopping),
            "baseline": dict(self.baseline),
            "fixed": dict(self.fixed),
            "space": {parameter.key: parameter.to_plain() for parameter in self.parameters},
        }


def load_space(path: str | Path) -> Space:
    """The space in a YAML file, named after the file.

    Raises: SpaceError with every fault of the file, each with its line.
    """
    return _space(read_yaml(path), Path(path).stem)


def space_from_plain(plain: Mapping[str, Any], name: str = "space") -> Space:
    """The space in plain values, as `Space.to_plain` gives them.

    Raises: SpaceError with every fault, told under `name`.
    """
    return _space(Source(name, plain), name)


def find_space(name_or_path: str | Path, folder: str | Path) -> Path:
    """The file of a space: a path, or a name in `folder` with or without .yaml.

    Raises: SpaceError naming the known spaces.
    """
    for path in (Path(name_or_path), Path(folder, name_or_path), Path(folder, f"{name_or_path}.yaml")):
        if path.is_file():
            return path
    names = tuple(sorted(path.stem for path in Path(folder).glob("*.yaml")))
    hint = known(Path(name_or_path).stem, names) if names else f"There is no .yaml file in {folder}."
    raise SpaceError([f"{name_or_path}: the search space must be a file, or a name in {folder}, got neither. {hint}"])


def _space(source: Source, name: str) -> Space:
    if not isinstance(source.value, dict):
        got = "an empty file" if source.value is None else show(source.value)
        source.fault((), "a mapping such as {space: ...}", got, "See search_spaces/contrastive.yaml.")
        source.check()
    fields = read_settings(source)
    space = Space(name=name, parameters=read_parameters(source), **fields)
    source.check()
    _check_trials(source, space)
    source.check()
    return space


def _check_trials(source: Source, space: Space) -> None:
    """Without a preset in the file the user may still choose one, so then it must be a fault with each of them."""
    presets = [space.preset] if space.preset else list(PRESETS)
    if all(space.config_faults(preset) for preset in presets):
        for section, fault in space.config_faults(presets[0]):
            source.say((section,), fault)
