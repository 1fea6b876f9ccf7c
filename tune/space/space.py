"""A search space: what a study tries, as one validated value. Without parameters it is an experiment: OFF and ON, once for each seed.

`load_space` reads the YAML file, checks all of it and reports every fault at once. The space knows neither Ray nor
Optuna: whoever drives it hands `Space.sample` a function that picks a value for a parameter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ganhtr.config import PRESETS, RULES
from tune.space.expression import Derived, derived_values
from tune.space.parameter import Clause, Parameter, matches
from tune.space.settings import (
    BUDGET_KEYS,
    Budget,
    Constraint,
    EarlyStopping,
    SearchSettings,
    VerdictSettings,
)

CONTRASTIVE_SECTIONS, CONTRASTIVE_KEYS = (
    ("contrastive", "head", "text_encoder"),
    ("train.contrastive_lr",),
)  # nothing to the OFF arm


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
            own = (
                parameter.key.split(".")[0] in CONTRASTIVE_SECTIONS
                or parameter.key in CONTRASTIVE_KEYS
            )
            if (
                not own
                and parameter.key not in self.baseline
                and all(ancestor in shared for ancestor in parameter.when)
            ):
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

    def sample(
        self, pick: Callable[[Parameter], Any], parameters: Sequence[Parameter] | None = None
    ) -> dict[str, Any]:
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

    def random_values(
        self, seed: int | random.Random = 0, settled: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The values of a random trial that is allowed, with some `settled`; the same for the same seed.

        Raises: ValueError where none is left.
        """
        return random_trial(
            self, seed if isinstance(seed, random.Random) else random.Random(seed), settled or {}
        )

    def completed(
        self, values: Mapping[str, Any], base: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The configuration keys that a trial with these (active) values changes: they and what is derived from them.

        base: the configuration, all of its keys, that the trial starts from; without one what the space itself says.
        Raises: ExpressionError where a derived value cannot be computed.
        """
        start = self.start() if base is None else base
        return {**values, **derived_values(self.derived, {**start, **values})}

    def start(self, preset: str | None = None) -> dict[str, Any]:
        """The configuration, all of its keys, that trials start from by what the space itself says."""
        sizes = PRESETS.get(
            preset or self.preset or "tiny", {}
        )  # whoever builds the configuration refuses an unknown preset
        return {
            **{key: rule.default for key, rule in RULES.items()},
            **sizes,
            **self.fixed,
            **self.defaults,
        }

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that parameters have where they are inactive, of those that say so."""
        return {
            parameter.key: parameter.default
            for parameter in self.parameters
            if parameter.default is not None
        }

    def overrides(self, values: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
        """The configuration keys of a trial, for `build_config`: fixed, defaults, `values`, what is derived, and the budget's keys.

        `overrides({})` is single-trial mode. preset: where it is not the file's; derived values may rest on it.
        """
        budget = {
            key: getattr(self.budget, name.split(".")[1]) for key, name in BUDGET_KEYS.items()
        }
        return {
            **self.fixed,
            **self.defaults,
            **self.completed(values, self.start(preset)),
            **{key: n for key, n in budget.items() if n is not None},
        }


LARGEST_GRID = 100_000
DRAWS = 10_000  # after so many forbidden trials in a row chance gives up


def every_trial(space: Space, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Every allowed trial over these parameters. Raises: ValueError where one is continuous, or there are more than 100,000 trials."""
    if continuous := [parameter.key for parameter in parameters if not parameter.finite]:
        raise ValueError(
            f"{space.name}: a grid must have parameters with a countable number of values, got {', '.join(continuous)}. "
            "Give them a step"
        )
    found: list[dict[str, Any]] = [{}]
    for parameter in parameters:
        each = parameter.every_value() if parameter.count <= LARGEST_GRID else ()
        longer = (
            more
            for values in found
            for more in _with_each(parameter, each, values)
            if not space.forbids(more)
        )
        found = list(islice(longer, LARGEST_GRID + 1))
        if len(found) > LARGEST_GRID or not each:
            raise ValueError(
                f"{space.name}: a grid must have at most {LARGEST_GRID} trials, got more. Narrow the space"
            )
    return found


def _with_each(
    parameter: Parameter, each: Sequence[Any], values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The values with each one of the parameter's, or as they are where it is inactive."""
    if parameter.active(values):
        yield from ({**values, parameter.key: value} for value in each)
    else:
        yield dict(values)


def random_trial(space: Space, rng: random.Random, settled: Mapping[str, Any]) -> dict[str, Any]:
    """An allowed trial with the values that are settled. Raises: ValueError where none is left."""
    for _ in range(DRAWS):
        values = space.sample(
            lambda parameter: (
                settled[parameter.key] if parameter.key in settled else parameter.random_value(rng)
            )
        )
        if not space.forbids(values):
            return values
    left = (
        [values for values in space.grid() if settled.items() <= values.items()]
        if space.finite
        else []
    )
    if not left:
        raise ValueError(
            f"{space.name}: forbidden must leave something to try, got {DRAWS} forbidden trials in a row. Take some out"
        )
    return rng.choice(left)
