"""What a trial must keep to win: limits of its own, and distances from the OFF arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tune.metric import BY_KEY
from tune.space_settings import Constraint


def violation(constraint: Constraint, metrics: Mapping[str, float], off_metrics: Mapping[str, float] | None) -> float:
    """By how much a constraint is broken, in the metric's unit; 0 or less where it is kept, or where OFF is not known yet."""
    value = metrics[constraint.metric]
    if constraint.rule == "min":
        return constraint.amount - value
    if constraint.rule == "max":
        return value - constraint.amount
    if off_metrics is None:
        return 0.0
    above = value - off_metrics[constraint.metric]
    return (above if constraint.rule == "above_off" else -above) - constraint.amount


def violations(constraints: Iterable[Constraint], metrics: Mapping[str, float], off_metrics: Mapping[str, float] | None) -> list[float]:
    """The violation of each constraint in turn."""
    return [violation(constraint, metrics, off_metrics) for constraint in constraints]


def described(constraint: Constraint) -> str:
    """A constraint in words."""
    metric = BY_KEY[constraint.metric]
    words = {"min": "at least {}", "max": "at most {}", "below_off": "at most {} below OFF", "above_off": "at most {} above OFF"}
    return f"{metric.name} {words[constraint.rule].format(f'{constraint.amount:g}{metric.unit}')}"


def keeps(constraints: Iterable[Constraint], metrics: Mapping[str, float], off_metrics: Mapping[str, float] | None) -> bool:
    """Whether no constraint is broken."""
    return all(amount <= 0 for amount in violations(constraints, metrics, off_metrics))
