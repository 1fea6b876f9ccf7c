"""The sections `forbidden`, `derived` and `first` of a space file, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganhtr.config import RULES
from tune.space.expression import Derived, ExpressionError, parse_expression
from tune.space.parameter import Clause, Parameter, matches
from tune.space.read_conditions import check_taken, read_condition
from tune.space.settings import BUDGET_KEYS
from tune.space.source import (
    KeyPath,
    Source,
    check_key,
    check_not_under,
    check_searched,
    dependency_order,
    hint,
    is_experiment,
    section,
    show,
)

NUMBERS = (int, float)


def read_forbidden(source: Source, parameters: Sequence[Parameter]) -> tuple[Clause, ...]:
    """Return the combinations of the section `forbidden`."""
    plain = source.value.get("forbidden", [])
    if not isinstance(plain, list):
        source.must_be(
            ("forbidden",),
            "a list of combinations",
            show(plain),
            "Write - {contrastive.formulation: clip, head.kind: none}.",
        )
        return ()
    if is_experiment(source):
        return ()
    by_key, clauses = {parameter.key: parameter for parameter in parameters}, []
    for index, combination in enumerate(plain):
        path = ("forbidden", index)
        if not _is_point(source, path, combination, "{head.kind: mlp, head.layers: 3}"):
            continue
        clause = {
            key: read_condition(source, (*path, key), values, by_key[key])
            for key, values in combination.items()
            if check_searched(source, (*path, key), by_key)
        }
        if len(clause) == len(combination) and all(clause.values()):
            clauses.append(clause)
    return tuple(clauses)


def _is_point(source: Source, path: KeyPath, plain: Any, example: str) -> bool:
    """Whether the value is a mapping that can name searched keys; else a fault."""
    if isinstance(plain, dict) and plain:
        return True
    source.must_be(
        path, "a mapping of searched keys to values", show(plain), f"Write for instance {example}."
    )
    return False


def read_derived(source: Source) -> dict[str, Derived]:
    """Return the expressions of the section `derived`, each after those that it uses."""
    expressions: dict[str, Derived] = {}
    for key, text in section(source, "derived").items():
        path = ("derived", key)
        if not check_key(source, path, "derived"):
            continue
        if RULES[key].type not in NUMBERS:
            source.fault(path, f"{key} takes {RULES[key].words()}. Put it under fixed.")
        elif check_not_under(source, path, ("fixed", "baseline")):
            expression = _expression(source, path, text)
            if expression is not None:
                expressions[key] = expression
    used = {key: expression.keys for key, expression in expressions.items()}
    order, cycles = dependency_order(used)
    for cycle in cycles:
        text = f"the expressions form a cycle: {' -> '.join(cycle)}. Remove one."
        source.fault(("derived", cycle[0]), text)
    return {key: expressions[key] for key in order}


def _expression(source: Source, path: KeyPath, text: Any) -> Derived | None:
    """Return a parsed expression; None after a fault."""
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        source.fault(path, f"{show(text)}: {error}. Write for instance 2 * head.dim.")
        return None
    for key in expression.keys:
        if key not in RULES:
            source.fault(path, f"{key} is not a configuration key. {hint(key, RULES)}")
        elif RULES[key].type not in NUMBERS:
            source.fault(path, f"{key} is not a number: it takes {RULES[key].words()}.")
        elif key in BUDGET_KEYS or key == "train.seed":
            source.fault(path, f"an expression cannot use {key}. Remove it.")
        else:
            continue
        return None
    return expression


def read_first(
    source: Source, parameters: Sequence[Parameter], forbidden: Sequence[Clause]
) -> dict[str, dict[str, Any]]:
    """Return the points of the section `first` by name; what a point leaves out is drawn."""
    plain, by_key = section(source, "first"), {parameter.key: parameter for parameter in parameters}
    if is_experiment(source):
        return {}
    points: dict[str, dict[str, Any]] = {}
    for name, point in plain.items():
        path = ("first", name)
        if not str(name).isprintable():  # the tree and the progress of a search show it
            source.fault(path, f"the name {show(name)} cannot be printed. Rename it.")
            continue
        if not _is_point(source, path, point, "{contrastive.temperature: 0.1}"):
            continue
        values = {
            key: by_key[key].exact(value)
            for key, value in point.items()
            if check_searched(source, (*path, key), by_key)
            and check_taken(source, (*path, key), by_key[key], value)
        }
        if len(values) < len(point) or not _can_run(source, path, values, by_key, forbidden):
            continue
        if same := next((other for other in points if points[other] == values), None):
            source.fault(path, f"it has the same values as first.{same}. Remove one.")
        points[name] = values
    return points


def _can_run(
    source: Source,
    path: KeyPath,
    values: Mapping[str, Any],
    by_key: Mapping[str, Parameter],
    forbidden: Sequence[Clause],
) -> bool:
    """Whether all keys of a point are active and no combination is forbidden; else a fault."""
    for key in values:
        for ancestor, allowed in by_key[key].when.items():
            if ancestor in values and values[ancestor] in allowed:
                continue
            state = show(values[ancestor]) if ancestor in values else "not set"
            source.fault(
                (*path, key),
                f"the parameter is inactive here, as {ancestor} is {state}. "
                f"Set {ancestor} too, or remove {key}.",
            )
            return False
    for clause in forbidden:
        if matches(clause, values):
            keys = ", ".join(clause)
            source.fault(
                path, f"it is a forbidden combination of {keys}. Change it or the combination."
            )
            return False
    return True
