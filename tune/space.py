"""A search space: what a study tries, as one validated value. Without parameters it is an experiment: OFF and ON, once for each seed.

`load_space` reads the YAML file, checks all of it and reports every fault at once. The space knows neither Ray nor
Optuna: whoever drives it hands `Space.sample` a function that picks a value for a parameter.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganhtr.config import PRESETS, RULES
from tune.derived import Derived
from tune.parameter import Parameter
from tune.parameter_conditions import check_reachable
from tune.parameter_grammar import read_parameters
from tune.space_checks import check_possible, check_trials, config_faults
from tune.space_extends import near_files, read_extended
from tune.space_plain import digest_of, plain_of
from tune.space_rules import Clause, derived_values, matches, read_derived, read_first, read_forbidden
from tune.space_settings import BUDGET_KEYS, Budget, Constraint, EarlyStopping, SearchSettings, VerdictSettings
from tune.space_settings_grammar import read_settings
from tune.space_trials import every_trial, random_trial
from tune.yaml_source import KeyPath, Source, SpaceError, show

CONTRASTIVE_SECTIONS, CONTRASTIVE_KEYS = ("contrastive", "head", "text_encoder"), ("train.contrastive_lr",)  # nothing to the OFF arm
__all__ = ["Budget", "EarlyStopping", "Parameter", "Space", "SpaceError", "find_space", "load_space",
           "space_from_plain"]


@dataclass(frozen=True)
class Space:
    """A validated search space. `name` is only a label: spaces of the same content are equal.

    `preset` is None where the file names none. Ancestors come before their dependants in `parameters`. Without parameters
    the ON arm is what `fixed` says.
    """

    name: str = field(compare=False)
    objectives: tuple[str, ...]
    budget: Budget
    early_stopping: EarlyStopping
    baseline: Mapping[str, Any]
    fixed: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    preset: str | None = None
    search: SearchSettings = field(default_factory=SearchSettings)
    constraints: tuple[Constraint, ...] = ()
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    forbidden: tuple[Clause, ...] = ()
    derived: Mapping[str, Derived] = field(default_factory=dict)

    @property
    def objective(self) -> str:
        """The first objective: it chooses a trial's epoch and drives its patience."""
        return self.objectives[0]

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

    @property
    def shared_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that matter without a contrastive loss, and do not hang on one that does not."""
        shared: dict[str, Parameter] = {}
        for parameter in self.parameters:
            own = parameter.key.split(".")[0] in CONTRASTIVE_SECTIONS or parameter.key in CONTRASTIVE_KEYS
            if not own and parameter.key not in self.baseline and all(ancestor in shared for ancestor in parameter.when):
                shared[parameter.key] = parameter
        return tuple(shared.values())

    @property
    def off_searches(self) -> bool:
        """Whether the OFF arm has something to search itself: it then gets as many trials as ON."""
        return bool(self.shared_parameters)

    @property
    def finite(self) -> bool:
        """Whether its trials can be counted."""
        return all(parameter.finite for parameter in self.parameters)

    def sample(self, pick: Callable[[Parameter], Any], parameters: Sequence[Parameter] | None = None) -> dict[str, Any]:
        """The values of a trial: `pick` is asked for each active parameter, ancestors first; others are left out."""
        values: dict[str, Any] = {}
        for parameter in self.parameters if parameters is None else parameters:
            if parameter.active(values):
                values[parameter.key] = parameter.exact(pick(parameter))
        return values

    def forbids(self, values: Mapping[str, Any]) -> bool:
        """Whether these values, perhaps not yet all of a trial's, hold a forbidden combination."""
        return any(matches(clause, values) for clause in self.forbidden)

    def grid(self, parameters: Sequence[Parameter] | None = None) -> list[dict[str, Any]]:
        """Every trial of a finite space that is allowed. Raises: ValueError where it is not finite, or has more than 100,000 trials."""
        return every_trial(self, self.parameters if parameters is None else parameters)

    def random_values(self, seed: int | random.Random = 0, settled: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of a random trial that is allowed, with some `settled`; the same for the same seed.

        Raises: ValueError where none is left.
        """
        return random_trial(self, seed if isinstance(seed, random.Random) else random.Random(seed), settled or {})

    def completed(self, values: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The configuration keys that a trial with these (active) values changes: they and what is derived from them.

        base: the configuration, all of its keys, that the trial starts from; without one what the space itself says.
        Raises: ExpressionError where a derived value cannot be computed.
        """
        start = self.start() if base is None else base
        return {**values, **derived_values(self.derived, {**start, **values})}

    def start(self, preset: str | None = None) -> dict[str, Any]:
        """The configuration, all of its keys, that trials start from by what the space itself says."""
        sizes = PRESETS.get(preset or self.preset or "tiny", {})  # whoever builds the configuration refuses an unknown preset
        return {**{key: rule.default for key, rule in RULES.items()}, **sizes, **self.fixed, **self.defaults}

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that parameters have where they are inactive, of those that say so."""
        return {parameter.key: parameter.default for parameter in self.parameters if parameter.default is not None}

    def overrides(self, values: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
        """The configuration keys of a trial, for `build_config`: fixed, defaults, `values`, what is derived, and the budget's keys.

        `overrides({})` is single-trial mode. preset: where it is not the file's; derived values may rest on it.
        """
        budget = {key: getattr(self.budget, name.split(".")[1]) for key, name in BUDGET_KEYS.items()}
        return {**self.fixed, **self.defaults, **self.completed(values, self.start(preset)),
                **{key: n for key, n in budget.items() if n is not None}}

    def baseline_overrides(self) -> dict[str, Any]:
        """The configuration keys of the OFF arm."""
        return self.overrides(self.baseline)

    def config_faults(self, preset: str) -> list[tuple[KeyPath, str]]:
        """Why trials cannot be built with `preset`, each with the place to look at; empty where nothing was found."""
        return config_faults(self, preset)

    def digest(self) -> str:
        """The same for spaces between which a study can be resumed.

        Comments, formatting, the order of keys, the name and defaults written out do not count; nor does what may change in the life of a
        study: how long it goes on, what is tried first, how it is judged.
        """
        return digest_of(self)

    def to_plain(self) -> dict[str, Any]:
        """The space as it is written in a file, all settings included; `space_from_plain` takes it back."""
        return plain_of(self)


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
    for path in (Path(name_or_path), Path(folder, name_or_path), Path(folder, f"{name_or_path}.yaml")):
        if os.path.isfile(path):  # False for a name that is too long, too
            return path
    names = tuple(sorted(path.stem for path in Path(folder).glob("*.yaml")))
    hint = near_files(name_or_path, names) if names else f"There is no .yaml file in {folder}."
    raise SpaceError([f"{name_or_path}: the search space must be a file, or a name in {folder}, got neither. {hint}"])


def _space(source: Source, name: str) -> Space:
    if not isinstance(source.value, dict):
        got = "an empty file" if source.value is None else show(source.value)
        source.fault((), "a mapping such as {space: ...}", got, "See search_spaces/contrastive.yaml.")
        source.check()
    fields = read_settings(source)
    parameters = read_parameters(source)
    forbidden = read_forbidden(source, parameters)
    space = Space(name=name, parameters=parameters, forbidden=forbidden, first=read_first(source, parameters, forbidden),
                  derived=read_derived(source), **fields)
    source.check()
    check_reachable(source, parameters)
    source.check()
    check_possible(source, space)
    source.check()
    check_trials(source, space)
    source.check()
    return space
