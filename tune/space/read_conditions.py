"""Checked conditions: values of other parameters that activate one, or that are forbidden."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ganhtr.config import RULES
from tune.space.parameter import (
    Condition,
    Parameter,
    ValueRange,
    condition_in_words,
    values_in_words,
)
from tune.space.source import (
    KeyPath,
    Source,
    check_searched,
    check_unique,
    check_value,
    show,
    unknown_key,
)


def check_taken(source: Source, path: KeyPath, parameter: Parameter, value: Any) -> bool:
    """Whether the parameter can take `value`; else a fault."""
    if parameter.allows(value):
        return True
    source.fault(path, f"{show(value)} is not one of its values: {values_in_words(parameter)}.")
    return False


def read_when(
    source: Source, key: str, plain: Any, parameters: Mapping[str, Parameter | None]
) -> dict[str, Condition]:
    """Return the conditions that activate `key`, by ancestor; those with a fault are left out.

    parameters: every searched key; None for one with a fault.
    """
    path = ("space", key, "when")
    if not isinstance(plain, dict) or not plain:
        source.must_be(
            path,
            "a mapping of parameters to values",
            show(plain),
            "Write when: {head.kind: [linear, mlp]}.",
        )
        return {}
    when: dict[str, Condition] = {}
    for name, value in plain.items():
        inner = (*path, name)
        if name == key:
            source.fault(inner, "a parameter cannot depend on itself. Remove the condition.")
        elif check_searched(source, inner, parameters):
            ancestor = parameters[name]
            allowed = read_condition(source, inner, value, ancestor) if ancestor else ()
            if allowed:
                when[name] = allowed
    return when


def read_condition(source: Source, path: KeyPath, plain: Any, parameter: Parameter) -> Condition:
    """Return a condition on a parameter: one value, a list, or {min, max}; () after a fault."""
    if plain in ([], {}):
        source.fault(path, f"no value is given. Its values: {values_in_words(parameter)}.")
        return ()
    if isinstance(plain, dict):
        return _read_range(source, path, plain, parameter)
    if parameter.kind == "float" and parameter.step is None:
        source.fault(
            path,
            f"a continuous parameter never has exactly the value {show(plain)}. "
            "Write a range such as {min: 1}.",
        )
        return ()
    values = plain if isinstance(plain, list) else [plain]
    paths = [(*path, index) for index in range(len(values))] if values is plain else [path]
    taken = [
        parameter.exact(value)
        for place, value in zip(paths, values, strict=True)
        if check_taken(source, place, parameter, value)
    ]
    if len(taken) == len(values):
        check_unique(source, path, values)
    return tuple(taken)


def _read_range(
    source: Source, path: KeyPath, plain: Mapping[str, Any], parameter: Parameter
) -> Condition:
    """Return a range of a numeric parameter; () after a fault."""
    rule = RULES[parameter.key]
    if rule.type not in (int, float):
        source.fault(
            path,
            f"a range needs a parameter with numbers. Its values: {values_in_words(parameter)}.",
        )
        return ()
    rule = dataclasses.replace(rule, type=float)
    for name, end in plain.items():
        if name not in ("min", "max"):
            unknown_key(source, (*path, name), ("min", "max"))
            return ()
        if not check_value(source, (*path, name), rule, end):
            return ()
    ends = {name: float(end) for name, end in plain.items()}
    numbers = ValueRange(ends.get("min"), ends.get("max"))
    if not parameter.reaches(numbers):
        source.fault(
            path,
            f"no trial has a value in {show(plain)}. Its values: {values_in_words(parameter)}.",
        )
        return ()
    return numbers


def check_reachable(source: Source, parameters: Sequence[Parameter]) -> None:
    """Note parameters that are never active: conditions on them or their ancestors contradict.

    parameters: ancestors before their dependants.
    """
    by_key = {parameter.key: parameter for parameter in parameters}
    # Parameter -> every condition that must be met where it is active, its ancestors' included
    needed: dict[str, dict[str, list[Condition]]] = {}
    for parameter in parameters:
        conditions: dict[str, list[Condition]] = {}
        for ancestor, allowed in parameter.when.items():
            for key, inherited in (*needed.get(ancestor, {}).items(), (ancestor, [allowed])):
                conditions[key] = [*conditions.get(key, []), *inherited]
        clashes = (key for key in conditions if not _can_meet(by_key[key], conditions[key]))
        clash = next(clashes, None)
        if clash is None:
            needed[parameter.key] = conditions
        else:
            listed = ", ".join(map(condition_in_words, conditions[clash]))
            source.fault(
                ("space", parameter.key, "when"),
                f"the parameter is never active: no value of {clash} meets all conditions "
                f"({listed}). Change one of them, here or at an ancestor.",
            )


def _can_meet(parameter: Parameter, conditions: Sequence[Condition]) -> bool:
    """Whether some trial has a value of the parameter that meets all conditions."""
    listed = next((condition for condition in conditions if isinstance(condition, tuple)), None)
    if listed is not None:
        return any(all(value in condition for condition in conditions) for value in listed)
    ranges = [condition for condition in conditions if isinstance(condition, ValueRange)]
    common = ValueRange(
        max((numbers.low for numbers in ranges if numbers.low is not None), default=None),
        min((numbers.high for numbers in ranges if numbers.high is not None), default=None),
    )
    return parameter.reaches(common)
