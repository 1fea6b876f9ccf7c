"""Conditions of a space file, checked: the values of other parameters under which one takes part, or which may not meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ganhtr.config import RULES
from tune.space.parameter import Parameter, ValueRange, condition_in_words, values_in_words
from tune.space.source import KeyPath, Source, check_value, known, show


def read_when(
    source: Source, key: str, given: Any, drafts: Mapping[str, Parameter | None]
) -> dict[str, tuple | ValueRange]:
    """Ancestor -> the values that activate `key`; conditions with a fault are left out."""
    path = ("space", key, "when")
    if not isinstance(given, dict) or not given:
        source.fault(
            path,
            "a mapping of parameters to values",
            show(given),
            "Write when: {head.kind: [linear, mlp]}.",
        )
        return {}
    when: dict[str, tuple | ValueRange] = {}
    for name, value in given.items():
        if name not in RULES and name not in drafts:
            source.fault(
                (*path, name), "a key of space", "an unknown one", known(name, tuple(drafts))
            )
        elif name not in drafts:
            source.fault(
                (*path, name),
                "a key of space",
                "one that is not searched",
                "Add it to space, or drop the condition.",
            )
        elif name == key:
            source.fault(
                (*path, name), "another parameter", "the parameter itself", "Drop the condition."
            )
        elif ancestor := drafts[name]:
            allowed = read_condition(source, (*path, name), value, ancestor)
            if allowed:
                when[name] = allowed
    return when


def read_condition(
    source: Source, path: KeyPath, given: Any, ancestor: Parameter
) -> tuple | ValueRange:
    """The values of a parameter that a condition names: one, a list, or {min, max} of a number; () after a fault."""
    if isinstance(given, dict):
        return _read_range(source, path, given, ancestor)
    values = given if isinstance(given, list) else [given]
    if ancestor.kind == "float" and ancestor.step is None:
        source.fault(
            path,
            "a range of a continuous parameter, as no single value of it would ever be drawn",
            show(given),
            "Write for instance {min: 1}.",
        )
        return ()
    if not values:
        source.fault(path, "at least one value", "none", f"It takes {values_in_words(ancestor)}.")
    for index, value in enumerate(values):
        where = (*path, index) if values is given else path
        if not ancestor.allows(value):
            source.fault(
                where,
                f"a value that {ancestor.key} can take",
                show(value),
                f"It takes {values_in_words(ancestor)}.",
            )
        elif value in values[:index]:
            source.fault(where, "free of duplicates", f"{show(value)} again", "Remove one.")
    return tuple(ancestor.exact(value) for value in values if ancestor.allows(value))


def _read_range(
    source: Source, path: KeyPath, given: Mapping[str, Any], ancestor: Parameter
) -> tuple | ValueRange:
    """A range of a parameter that takes numbers; () after a fault."""
    if RULES[ancestor.key].type not in (int, float):
        source.fault(
            path,
            "a value or a list of values, as the parameter takes no numbers",
            show(given),
            f"It takes {values_in_words(ancestor)}.",
        )
        return ()
    rule = dataclasses.replace(RULES[ancestor.key], type=float)
    for name in given:
        if name not in ("min", "max"):
            source.fault((*path, name), "min or max", "an unknown one", known(name, ("min", "max")))
            return ()
    if not given or not all(
        check_value(source, (*path, name), rule, end) for name, end in given.items()
    ):
        if not given:
            source.fault(
                path,
                "a range such as {min: 1, max: 10}",
                "none",
                f"It takes {values_in_words(ancestor)}.",
            )
        return ()
    found = ValueRange(*(float(given[name]) if name in given else None for name in ("min", "max")))
    if not ancestor.reaches(found):
        source.fault(
            path,
            "a range that the parameter can take",
            show(given),
            f"It takes {values_in_words(ancestor)}.",
        )
        return ()
    if not _drawn(ancestor, found):
        source.fault(
            path,
            "a range that holds more than one value of a continuous parameter, as no single one would ever be drawn",
            show(given),
            f"It takes {values_in_words(ancestor)}.",
        )
        return ()
    return found


def _drawn(parameter: Parameter, numbers: ValueRange) -> bool:
    """Whether a value in the range is ever drawn: of a continuous parameter no single value is."""
    if parameter.finite:
        return parameter.reaches(numbers)
    low = parameter.low if numbers.low is None else max(numbers.low, parameter.low)
    return low < (parameter.high if numbers.high is None else min(numbers.high, parameter.high))


def check_reachable(source: Source, parameters: Sequence[Parameter]) -> None:
    """Notes parameters that are never active, since their own conditions and those of their ancestors contradict each other.

    parameters: ancestors before their dependants.
    """
    byname: dict[str, Parameter] = {}
    needed: dict[
        str, dict[str, list[tuple | ValueRange]]
    ] = {}  # all that must hold where a parameter is active
    for parameter in parameters:
        byname[parameter.key] = parameter
        conditions: dict[str, list[tuple | ValueRange]] = {}
        for ancestor, allowed in parameter.when.items():
            for key, held in (*needed.get(ancestor, {}).items(), (ancestor, [allowed])):
                conditions[key] = [*conditions.get(key, []), *held]
        clash = next(
            (key for key, held in conditions.items() if not _meets(byname[key], held)), None
        )
        if clash is None:
            needed[parameter.key] = conditions
        else:
            asked = ", ".join(map(condition_in_words, conditions[clash]))
            source.fault(
                ("space", parameter.key, "when"),
                "such that the parameter can take part",
                f"conditions on {clash} that no value of it meets together ({asked})",
                "Change one of them, here or at an ancestor.",
            )


def _meets(parameter: Parameter, conditions: Sequence[tuple | ValueRange]) -> bool:
    """Whether a value that is drawn meets all conditions."""
    listed = next((each for each in conditions if isinstance(each, tuple)), None)
    if listed is not None:
        return any(all(value in each for each in conditions) for value in listed)
    ranges = [each for each in conditions if isinstance(each, ValueRange)]
    return _drawn(
        parameter,
        ValueRange(
            max((each.low for each in ranges if each.low is not None), default=None),
            min((each.high for each in ranges if each.high is not None), default=None),
        ),
    )
