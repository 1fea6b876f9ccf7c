"""The `space:` section of a space file, checked: plain values -> parameters, every ancestor before its dependants."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ganhtr.config import RULES, Rule
from tune.space.parameter import KINDS, Kind, Parameter, values_in_words
from tune.space.read_conditions import read_when
from tune.space.source import (
    KeyPath,
    Source,
    check_key,
    check_value,
    is_experiment,
    known,
    section,
    show,
)

OPTIONS = (*KINDS, "log", "step", "when", "default")
_FLAG = Rule("flag", bool, False, "")


def read_parameters(source: Source) -> tuple[Parameter, ...]:
    """The parameters in an order in which ancestors come first, else as in the file; none for an experiment. Faults go to `source`."""
    given = {} if is_experiment(source) else section(source, "space")
    fixed, derived = source.value.get("fixed"), source.value.get("derived")
    drafts: dict[str, Parameter | None] = {}
    for key, options in given.items():
        path = ("space", key)
        kind, sound = _kind(source, path, options), check_key(source, path, "space")
        drafts[key] = _read(source, path, kind, options) if kind and sound else None
        if isinstance(fixed, dict) and key in fixed:
            source.fault(
                path, "either fixed or searched", "it under fixed and under space", "Remove one."
            )
        if isinstance(derived, dict) and key in derived:
            source.fault(
                path,
                "either derived or searched",
                "it under derived and under space",
                "Remove one.",
            )
    parameters = {}
    for key, draft in drafts.items():
        has_conditions = isinstance(given[key], dict) and "when" in given[key]
        when = read_when(source, key, given[key]["when"], drafts) if has_conditions else {}
        if draft:
            parameters[key] = dataclasses.replace(draft, when=when)
    return _ordered(source, parameters)


def _kind(source: Source, path: KeyPath, options: Any) -> Kind | None:
    """The one of float, int, choice, bool that is given; None after a fault."""
    if not isinstance(options, dict):
        source.fault(
            path,
            "a mapping such as {float: [0.1, 1]}",
            show(options),
            "To give one value to all trials put it under fixed.",
        )
        return None
    for name in options:
        if name not in OPTIONS:
            source.fault(
                (*path, name), "an option of a parameter", "an unknown one", known(name, OPTIONS)
            )
    kinds = [kind for kind in KINDS if kind in options]
    if len(kinds) != 1:
        source.fault(
            path,
            "exactly one of float, int, choice, bool",
            " and ".join(kinds) or "none of them",
            "Keep one." if kinds else "Write for instance {float: [0.1, 1]}.",
        )
        return None
    return kinds[0]


def _read(
    source: Source, path: KeyPath, kind: Kind, options: Mapping[str, Any]
) -> Parameter | None:
    """A parameter but for its `when`; None if its range or its choices have a fault."""
    rule, default = RULES[path[-1]], options.get("default")
    has_default = "default" in options and check_value(source, (*path, "default"), rule, default)
    values = (_range if kind in ("float", "int") else _choices)(
        source, (*path, kind), kind, options[kind], rule
    )
    scale = _scale(source, path, kind, options, values)
    if not values:
        return None
    parameter = Parameter(rule.key, kind, **values, **scale)
    if has_default and parameter.allows(default):
        return dataclasses.replace(parameter, default=parameter.exact(default))
    if has_default:
        source.fault(
            (*path, "default"),
            "a value that the parameter can take",
            show(default),
            f"It takes {values_in_words(parameter)}.",
        )
    return parameter


def _range(source: Source, path: KeyPath, kind: str, ends: Any, rule: Rule) -> dict[str, Any]:
    """low and high, or nothing after a fault."""
    if rule.type not in (int, float):
        fix = "Write bool: true." if rule.type is bool else "Write choice: [...]."
        source.fault(
            path, f"left to keys with a number ({rule.key} takes {rule.words()})", show(ends), fix
        )
        return {}
    if kind == "float" and rule.type is int:
        source.fault(
            path, f"int, as {rule.key} takes {rule.words()}", "float", "Write int: [low, high]."
        )
        return {}
    if not isinstance(ends, list) or len(ends) != 2:
        source.fault(path, "[low, high]", show(ends), f"Write {kind}: [low, high].")
        return {}
    end_rule = dataclasses.replace(rule, type=int if kind == "int" else float)
    sound = [check_value(source, (*path, index), end_rule, end) for index, end in enumerate(ends)]
    if not all(sound):
        return {}
    low, high = map(end_rule.type, ends)
    if low >= high:
        fix = "Swap the two." if low > high else "Put a single value under fixed."
        source.fault(path, "[low, high] with low below high", show(ends), fix)
        return {}
    return {"low": low, "high": high}


def _choices(source: Source, path: KeyPath, kind: str, given: Any, rule: Rule) -> dict[str, Any]:
    """choices, or nothing after a fault."""
    if kind == "bool":
        if rule.type is not bool:
            source.fault(
                path,
                f"left to keys that take true or false ({rule.key} takes {rule.words()})",
                show(given),
                "Write choice: [...]." if rule.type is str else "Write float, int or choice.",
            )
        elif given is not True:
            source.fault(
                path, "true", show(given), "Write bool: true; for a single value use fixed."
            )
        else:
            return {"choices": (False, True)}
        return {}
    if not isinstance(given, list) or not given:
        source.fault(
            path, "a list of at least one value", show(given), "Write choice: [first, second]."
        )
        return {}
    sound = [check_value(source, (*path, index), rule, value) for index, value in enumerate(given)]
    if not all(sound):
        return {}
    choices = tuple(map(rule.type, given))
    for index, choice in enumerate(choices):
        if choice in choices[:index]:
            source.fault(
                (*path, index), "free of duplicates", f"{show(choice)} again", "Remove one."
            )
            return {}
    return {"choices": choices}


def _scale(
    source: Source, path: KeyPath, kind: str, options: Mapping[str, Any], shape: Mapping
) -> dict[str, Any]:
    """log and step, checked against the range in `shape` where that is sound."""
    for name in ("log", "step"):
        if name in options and kind not in ("float", "int"):
            source.fault((*path, name), "left to float and int", f"it with {kind}", "Remove it.")
            return {}
    scale: dict[str, Any] = {}
    if (
        "log" in options
        and check_value(source, (*path, "log"), _FLAG, options["log"])
        and options["log"]
    ):
        if "step" in options:
            source.fault((*path, "log"), "without step", "both", "Remove log or step.")
        if shape.get("low", 1) <= 0:
            source.fault(
                (*path, "log"),
                "used with a range above 0",
                show([shape["low"], shape["high"]]),
                "Raise the low end, or remove log.",
            )
        scale["log"] = True
    if "step" in options:
        step, number = options["step"], int if kind == "int" else float
        words = "a whole number above 0" if kind == "int" else "a number above 0"
        if Rule("step", number, None, "").fault(step) or step <= 0:
            source.fault(
                (*path, "step"),
                words,
                show(step),
                "It is the distance between neighbouring values.",
            )
        elif shape and not _fits(step, shape["low"], shape["high"]):
            source.fault(
                (*path, "step"),
                "a whole part of the range, so that both ends are reached",
                show(step),
                f"The range is {show([shape['low'], shape['high']])}.",
            )
        else:
            scale["step"] = number(step)
    return scale


def _fits(step: float, low: float, high: float) -> bool:
    """Whether steps lead from end to end, to the last digit, as Optuna's distributions have it."""
    try:
        return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0
    except InvalidOperation:  # a step too small to be counted
        return False


def _ordered(source: Source, parameters: Mapping[str, Parameter]) -> tuple[Parameter, ...]:
    order: dict[str, Parameter] = {}

    def place(key: str, trail: tuple[str, ...]) -> None:
        """Puts a parameter into the order behind its ancestors; `trail` is how we came to it."""
        if key in trail:
            cycle = " -> ".join((*trail[trail.index(key) :], key))
            source.fault(
                ("space", key, "when"), "free of cycles", cycle, "Drop one of these conditions."
            )
        elif key not in order:
            for ancestor in parameters[key].when:
                if ancestor in parameters:
                    place(ancestor, (*trail, key))
            order[key] = parameters[key]

    for key in parameters:
        place(key, ())
    return tuple(order.values())
