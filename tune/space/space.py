"""A search space: what a study tries, as one validated value.

`tune.space.load.load_space` reads it from a YAML file. Without parameters the study is an
experiment: OFF and ON run once for each seed. The space knows neither Ray nor Optuna: its user
passes `Space.sample` a function that chooses a value for a parameter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ganhtr.config import PRESETS, RULES
from tune.space.constraint import Constraint
from tune.space.expression import Derived, derived_values
from tune.space.parameter import Clause, Parameter, matches
from tune.space.settings import (
    BUDGET_KEYS,
    Budget,
    EarlyStopping,
    SearchSettings,
    VerdictSettings,
)

LARGEST_GRID = 100_000
DRAWS = 10_000  # random trials in a row that may be forbidden

# What has no effect without a contrastive loss
CONTRASTIVE_SECTIONS = ("contrastive", "head", "text_encoder")
CONTRASTIVE_KEYS = ("train.contrastive_lr",)


@dataclass(frozen=True)
class Space:
    """A validated search space. Spaces of the same content are equal, whatever their name.

    preset: None if the file names none.
    parameters: ancestors before their dependants. Without any, `fixed` is the ON arm.
    base: the configuration, all keys, that trials start from, if the space is bound to one.
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
    base: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def objective(self) -> str:
        """The first objective: it chooses the kept epoch of a trial and drives its patience."""
        return self.objectives[0]

    @property
    def primary(self) -> str:
        """The metric that decides the verdict, if the objective can be measured."""
        return self.verdict.primary_of(self.objective)

    @property
    def experiment(self) -> bool:
        """Whether nothing is searched."""
        return not self.parameters

    @property
    def trials(self) -> int:
        """The number of trials of a study: its budget, or two for each seed of an experiment."""
        return 2 * self.budget.seeds if self.experiment else self.budget.trials

    def active(self, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the parameters that are active in a trial with these values."""
        return tuple(parameter for parameter in self.parameters if parameter.active(values))

    @property
    def shared_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that matter to the OFF arm too, as do all their ancestors."""
        shared: dict[str, Parameter] = {}
        for parameter in self.parameters:
            key = parameter.key
            on_only = key in CONTRASTIVE_KEYS or key.split(".")[0] in CONTRASTIVE_SECTIONS
            settled = key in self.baseline
            if not on_only and not settled and all(name in shared for name in parameter.when):
                shared[key] = parameter
        return tuple(shared.values())

    @property
    def off_searches(self) -> bool:
        """Whether the OFF arm is searched too: it then gets as many trials as ON."""
        return bool(self.shared_parameters)

    @property
    def finite(self) -> bool:
        """Whether the trials of the space can be counted."""
        return all(parameter.finite for parameter in self.parameters)

    def sample(
        self, pick: Callable[[Parameter], Any], parameters: Sequence[Parameter] | None = None
    ) -> dict[str, Any]:
        """Return the values of a trial: `pick` chooses one for each active parameter in turn."""
        values: dict[str, Any] = {}
        for parameter in self.parameters if parameters is None else parameters:
            if parameter.active(values):
                values[parameter.key] = parameter.exact(pick(parameter))
        return values

    def forbids(self, values: Mapping[str, Any]) -> bool:
        """Whether values, of a whole trial or a part of one, have a forbidden combination."""
        return any(matches(clause, values) for clause in self.forbidden)

    def grid(self, parameters: Sequence[Parameter] | None = None) -> list[dict[str, Any]]:
        """Return every allowed trial of a finite space.

        Raises: ValueError if a parameter is continuous, or for more than 100,000 trials.
        """
        parameters = self.parameters if parameters is None else parameters
        continuous = [parameter.key for parameter in parameters if not parameter.finite]
        if continuous:
            raise ValueError(
                f"{self.name}: a grid needs a countable number of values, and these parameters are "
                f"continuous: {', '.join(continuous)}. Give them a step"
            )
        trials: list[dict[str, Any]] = [{}]
        for parameter in parameters:
            choices = parameter.every_value() if parameter.count <= LARGEST_GRID else ()
            extended = (
                longer
                for values in trials
                for longer in _extended(parameter, choices, values)
                if not self.forbids(longer)
            )
            trials = list(islice(extended, LARGEST_GRID + 1))
            if len(trials) > LARGEST_GRID or not choices:
                raise ValueError(
                    f"{self.name}: a grid can have at most {LARGEST_GRID} trials. Narrow the space"
                )
        return trials

    def random_values(
        self, seed: int | random.Random = 0, settled: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the values of a random allowed trial, with those in `settled`.

        Raises: ValueError if no trial is allowed.
        """
        rng = seed if isinstance(seed, random.Random) else random.Random(seed)
        settled = settled or {}
        for _ in range(DRAWS):
            values = self.sample(
                lambda parameter: (
                    settled[parameter.key]
                    if parameter.key in settled
                    else parameter.random_value(rng)
                )
            )
            if not self.forbids(values):
                return values
        # Few trials are allowed: those of a finite space can be listed.
        grid = self.grid() if self.finite else []
        allowed = [values for values in grid if settled.items() <= values.items()]
        if not allowed:
            raise ValueError(
                f"{self.name}: `forbidden` excludes {DRAWS} random trials in a row. Remove some "
                "combinations"
            )
        return rng.choice(allowed)

    def bound(self, base: Mapping[str, Any]) -> Space:
        """Return the space with the configuration, all keys, that its trials start from.

        Derived values are computed from it.
        """
        return replace(self, base=base)

    def start(self) -> Mapping[str, Any]:
        """Return the configuration, all keys, that trials start from.

        Of a space that is not bound it is what the file says, with the preset tiny if it has none.
        """
        if self.base is not None:
            return self.base
        # Building the configuration reports an unknown preset.
        preset = PRESETS.get(self.preset or "tiny", {})
        return {**{key: rule.default for key, rule in RULES.items()}, **preset, **self.settled()}

    def completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration keys that a trial changes: its values and the derived ones.

        Raises: ExpressionError if a derived value cannot be computed.
        """
        return {**values, **derived_values(self.derived, {**self.start(), **values})}

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration keys of a trial that differ from the preset, for `build_config`.

        `overrides({})` is single-trial mode.
        """
        return {**self.settled(), **self.completed(values)}

    def settled(self) -> dict[str, Any]:
        """Return the keys that the file itself sets: fixed, defaults of parameters, budget."""
        defaults = {parameter.key: parameter.default for parameter in self.parameters}
        budget = {
            key: getattr(self.budget, name.split(".")[1]) for key, name in BUDGET_KEYS.items()
        }
        optional = {key: value for key, value in (defaults | budget).items() if value is not None}
        return {**self.fixed, **optional}


def _extended(
    parameter: Parameter, choices: Sequence[Any], values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the values with each choice of the parameter, or unchanged where it is inactive."""
    if parameter.active(values):
        yield from ({**values, parameter.key: choice} for choice in choices)
    else:
        yield dict(values)
