"""A search space: what a study tries, as one validated value. Without parameters it is an experiment: OFF and ON, once for each seed.

`load_space` reads the YAML file, checks all of it and reports every fault at once. The space knows neither Ray nor
Optuna: whoever drives it hands `Space.sample` a function that picks a value for a parameter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ganhtr.config import PRESETS, RULES, ConfigError, build_config
from tune.derived import ExpressionError
from tune.parameter import Parameter
from tune.parameter_grammar import read_parameters
from tune.space_settings import BUDGET_KEYS, Budget, Constraint, EarlyStopping, SearchSettings, VerdictSettings, known, read_settings
from tune.space_extends import read_extended
from tune.space_rules import matches, read_derived, read_first, read_forbidden
from tune.value_range import plain_condition
from tune.yaml_source import Source, SpaceError, show

CONTRASTIVE_SECTIONS, CONTRASTIVE_KEYS = ("contrastive", "head", "text_encoder"), ("train.contrastive_lr",)  # nothing to the OFF arm
LARGEST_GRID = 100_000
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
    search: SearchSettings = SearchSettings()
    constraints: tuple[Constraint, ...] = ()
    verdict: VerdictSettings = VerdictSettings()
    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    forbidden: tuple[Mapping[str, Any], ...] = ()
    derived: Mapping[str, Any] = field(default_factory=dict)

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
                values[parameter.key] = pick(parameter)
        return values

    def forbids(self, values: Mapping[str, Any]) -> bool:
        """Whether these values, perhaps not yet all of a trial's, hold a forbidden combination."""
        return any(matches(clause, values) for clause in self.forbidden)

    def grid(self, parameters: Sequence[Parameter] | None = None) -> list[dict[str, Any]]:
        """Every trial of a finite space that is allowed. Raises: ValueError where it is not finite, or has more than 100,000 trials."""
        chosen = self.parameters if parameters is None else parameters
        if not all(parameter.finite for parameter in chosen):
            raise ValueError(f"{self.name}: a grid must have parameters with a countable number of values, got a continuous one. Give it a step")
        found: list[dict[str, Any]] = [{}]
        for parameter in chosen:
            found = [more for values in found for more in (
                [{**values, parameter.key: value} for value in parameter.every_value()] if parameter.active(values) else [values])
                     if not self.forbids(more)]
            if len(found) > LARGEST_GRID:
                raise ValueError(f"{self.name}: a grid must have at most {LARGEST_GRID} trials, got more. Narrow the space")
        return found

    def random_values(self, seed: int | random.Random = 0) -> dict[str, Any]:
        """The values of a random trial that is allowed; the same for the same seed."""
        rng = seed if isinstance(seed, random.Random) else random.Random(seed)
        for _ in range(10_000):
            values = self.sample(lambda parameter: parameter.random_value(rng))
            if not self.forbids(values):
                return values
        raise ValueError(f"{self.name}: forbidden must leave something to try, got 10,000 forbidden trials in a row. Take combinations out")

    def completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration keys that a trial with these (active) values changes: they and what is derived from them.

        Raises: ExpressionError where a derived value cannot be computed.
        """
        return {**values, **self._derived(values)}

    def _derived(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if not self.derived:
            return {}
        defaults = {parameter.key: parameter.default for parameter in self.parameters if parameter.default is not None}
        known_values = {**{key: rule.default for key, rule in RULES.items()}, **PRESETS[self.preset or "tiny"], **self.fixed, **defaults, **values}
        found: dict[str, Any] = {}
        for key, expression in self.derived.items():
            number = expression.value({**known_values, **found})
            if RULES[key].type is int and number == int(number):
                number = int(number)
            if fault := RULES[key].fault(number):
                raise ExpressionError(f"derived: {fault} from {expression.text}")
            found[key] = RULES[key].type(number)
        return found

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration keys of a trial, for `build_config`: fixed, defaults, `values`, and the budget's keys.

        `overrides({})` is single-trial mode.
        """
        defaults = {parameter.key: parameter.default for parameter in self.parameters if parameter.default is not None}
        budget = {key: getattr(self.budget, name.split(".")[1]) for key, name in BUDGET_KEYS.items()}
        return {**self.fixed, **defaults, **self.completed(values), **{key: n for key, n in budget.items() if n is not None}}

    def baseline_overrides(self) -> dict[str, Any]:
        """The configuration keys of the OFF arm."""
        return self.overrides(self.baseline)

    def config_faults(self, preset: str) -> list[tuple[str, str]]:
        """Why the first trial found that cannot be built with `preset` cannot; each with the section to look at.

        Some values do only together, such as data.height and generator.levels. Trials are drawn from the ends of the
        ranges, where such faults are.
        """
        rng = random.Random(0)
        trials: list[tuple[str, str, Callable[[], dict[str, Any]]]] = [
            ("fixed", "the ON arm" if self.experiment else "single-trial mode", lambda: self.overrides({})),
            ("baseline", "the OFF arm", self.baseline_overrides)]
        for _ in range(0 if self.experiment else 64):
            values = self.sample(lambda parameter: rng.choice(parameter.extremes()))
            if not self.forbids(values):
                trials.append(("space", f"a trial with {show(values)}", partial(self.overrides, values)))
        for section, what, overrides in trials:
            try:
                build_config(preset, overrides())
            except ConfigError as error:
                return [(section, f"{fault}. This is so in {what} with preset {preset}.") for fault in error.faults]
            except ExpressionError as error:
                return [("derived", f"{error}. This is so in {what} with preset {preset}.")]
        return []

    def digest(self) -> str:
        """The same for spaces between which a study can be resumed.

        Comments, formatting, the order of keys, the name and defaults written out do not count; nor does what may change in the life of a
        study: how long it goes on, what is tried first, how it is judged.
        """
        plain = self.to_plain()
        plain["budget"] = {name: value for name, value in plain["budget"].items() if name in ("epochs", "steps_per_epoch")}
        for name in ("first", "verdict"):
            plain.pop(name, None)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """The space as it is written in a file, all settings included; `space_from_plain` takes it back."""
        unused = "trials" if self.experiment else "seeds"
        constraints: dict[str, dict[str, float]] = {}
        for each in self.constraints:
            constraints.setdefault(each.metric, {})[each.rule] = each.amount
        budget = {key: value for key, value in dataclasses.asdict(self.budget).items() if value is not None and key != unused}
        return {
            "objective": self.objective if len(self.objectives) == 1 else list(self.objectives),
            **({"preset": self.preset} if self.preset else {}),
            "budget": budget,
            "early_stopping": dataclasses.asdict(self.early_stopping),
            **({} if self.experiment else {"search": dataclasses.asdict(self.search)}),
            **({"constraints": constraints} if constraints else {}),
            "verdict": {**dataclasses.asdict(self.verdict), "margins": dict(self.verdict.margins)},
            "baseline": dict(self.baseline),
            "fixed": dict(self.fixed),
            **({"derived": {key: expression.text for key, expression in self.derived.items()}} if self.derived else {}),
            **({"first": {name: dict(point) for name, point in self.first.items()}} if self.first else {}),
            **({"forbidden": [{key: plain_condition(allowed) for key, allowed in clause.items()} for clause in self.forbidden]}
               if self.forbidden else {}),
            "space": {parameter.key: parameter.to_plain() for parameter in self.parameters},
        }


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
    parameters = read_parameters(source)
    forbidden = read_forbidden(source, parameters)
    space = Space(name=name, parameters=parameters, forbidden=forbidden, first=read_first(source, parameters, forbidden),
                  derived=read_derived(source, fields["fixed"]), **fields)
    source.check()
    _check_possible(source, space)
    source.check()
    _check_trials(source, space)
    source.check()
    return space


def _check_possible(source: Source, space: Space) -> None:
    """Something must be left to try; and a grid must be one."""
    try:
        if space.search.sampler == "grid":
            space.grid()
        space.random_values()
    except ValueError as error:
        source.say(("search", "sampler") if "grid" in str(error) else ("forbidden",), str(error))


def _check_trials(source: Source, space: Space) -> None:
    """Without a preset in the file the user may still choose one, so then it must be a fault with each of them."""
    presets = [space.preset] if space.preset else list(PRESETS)
    if all(space.config_faults(preset) for preset in presets):
        for section, fault in space.config_faults(presets[0]):
            source.say((section,), fault)
