"""Constraints: what a trial must keep to win."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tune.metric import BY_KEY


@dataclass(frozen=True)
class ConstraintRule:
    """One kind of constraint.

    excess: (value of the trial, value of OFF, amount) -> by how much the constraint is violated.
    uses_off: whether the value of OFF matters.
    """

    words: str
    excess: Callable[[float, float, float], float]
    uses_off: bool = False


CONSTRAINT_RULES = {
    "min": ConstraintRule("at least {}", lambda value, off, amount: amount - value),
    "max": ConstraintRule("at most {}", lambda value, off, amount: value - amount),
    "below_off": ConstraintRule(
        "at most {} below OFF", lambda value, off, amount: off - value - amount, uses_off=True
    ),
    "above_off": ConstraintRule(
        "at most {} above OFF", lambda value, off, amount: value - off - amount, uses_off=True
    ),
}


@dataclass(frozen=True)
class Constraint:
    """A limit on a metric; `rule` is a name of `CONSTRAINT_RULES`."""

    metric: str
    rule: str
    amount: float

    def violation(
        self, metrics: Mapping[str, float], off_metrics: Mapping[str, float] | None
    ) -> float:
        """By how much the metrics violate it, in the unit of the metric; 0 or less if they do not.

        off_metrics: the mean of the OFF arm. While there is none, nothing violates its rules.
        """
        rule, value = CONSTRAINT_RULES[self.rule], metrics[self.metric]
        if not rule.uses_off:
            return rule.excess(value, 0.0, self.amount)
        if off_metrics is None:
            return 0.0
        return rule.excess(value, off_metrics[self.metric], self.amount)

    def __str__(self) -> str:
        metric = BY_KEY[self.metric]
        limit = CONSTRAINT_RULES[self.rule].words.format(f"{self.amount:g}{metric.unit}")
        return f"{metric.name} {limit}"


def mean_metrics(trials: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """Return the mean of each metric over trials, as OFF's for constraints; None without trials."""
    if not trials:
        return None
    return {name: sum(trial[name] for trial in trials) / len(trials) for name in trials[0]}


def violations(
    constraints: Iterable[Constraint],
    metrics: Mapping[str, float],
    off_metrics: Mapping[str, float] | None,
) -> list[float]:
    """The violation of each constraint, in their order."""
    return [constraint.violation(metrics, off_metrics) for constraint in constraints]


def keeps(
    constraints: Iterable[Constraint],
    metrics: Mapping[str, float],
    off_metrics: Mapping[str, float] | None,
) -> bool:
    """Whether the metrics violate no constraint."""
    return all(amount <= 0 for amount in violations(constraints, metrics, off_metrics))
