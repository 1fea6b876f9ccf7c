"""A space as plain Optuna distributions, for use outside this project."""

from __future__ import annotations

import json

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from tune.space.parameter import Parameter
from tune.space.space import Space


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Return the distribution of one parameter."""
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    if parameter.kind == "int":
        return IntDistribution(
            parameter.low, parameter.high, log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the distribution of every parameter.

    Distributions cannot express conditions, forbidden combinations and derived values.
    """
    return {parameter.key: distribution_of(parameter) for parameter in space.parameters}


def distributions_json(space: Space) -> str:
    """Return JSON: key -> what `optuna.distributions.json_to_distribution` takes."""
    plain = {
        key: json.loads(distribution_to_json(distribution))
        for key, distribution in distributions(space).items()
    }
    return json.dumps(plain, indent=1)
