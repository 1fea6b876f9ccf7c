"""The `space:` section of a space file, checked: plain values -> parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ganhtr.config import RULES, Rule
from tune.space.parameter import KINDS, Kind, Parameter
from tune.space.read_conditions import check_taken, read_when
from tune.space.source import (
    KeyPath,
    Source,
    check_key,
    check_not_under,
    check_unique,
    check_value,
    dependency_order,
    is_experiment,
    section,
    show,
    unknown_key,
)

OPTIONS = {
    "float": "[low, high] of a number; both ends can be drawn",
    "int": "[low, high] of a whole number; both ends can be drawn",
    "choice": "list of values",
    "bool": "true: the values are false and true",
    "log": "true: draw uniformly in the logarithm (float and int above 0, without step)",
    "step": "distance between neighbouring values (float and int); it divides the range",
    "when": "conditions on other parameters, all of which must hold for this one to be active",
    "default": "value while inactive, and in single-trial mode",
}
_LOG = Rule("log", bool, False, OPTIONS["log"])


def read_parameters(source: Source) -> tuple[Parameter, ...]:
    """Return the parameters: ancestors first, else in the order of the file.

    There are none in an experiment. Faults are noted in `source`.
    """
    plain = {} if is_experiment(source) else section(source, "space")
    drafts: dict[str, Parameter | None] = {}  # without their conditions; None after a fault
    for key, options in plain.items():
        path = ("space", key)
        kind, valid = _kind(source, path, options), check_key(source, path, "space")
        drafts[key] = _parameter(source, path, kind, options) if kind and valid else None
        check_not_under(source, path, ("fixed", "derived"))
    parameters = {}
    for key, draft in drafts.items():
        has_conditions = isinstance(plain[key], dict) and "when" in plain[key]
        when = read_when(source, key, plain[key]["when"], drafts) if has_conditions else {}
        if draft:
            parameters[key] = dataclasses.replace(draft, when=when)
    order, cycles = dependency_order({key: parameter.when for key, parameter in parameters.items()})
    for cycle in cycles:
        text = f"the conditions form a cycle: {' -> '.join(cycle)}. Remove one."
        source.fault(("space", cycle[0], "when"), text)
    return tuple(parameters[key] for key in order)


def _kind(source: Source, path: KeyPath, options: Any) -> Kind | None:
    """Return the kind of a parameter; None after a fault."""
    if not isinstance(options, dict):
        source.must_be(
            path,
            "a mapping such as {float: [0.1, 1]}",
            show(options),
            "To give all trials one value, put the key under fixed.",
        )
        return None
    for name in options:
        if name not in OPTIONS:
            unknown_key(source, (*path, name), OPTIONS)
    kinds = [kind for kind in KINDS if kind in options]
    if len(kinds) != 1:
        source.must_be(
            path,
            "exactly one of float, int, choice, bool",
            " and ".join(kinds) or "none of them",
            "Keep one." if kinds else "Write for instance {float: [0.1, 1]}.",
        )
        return None
    return kinds[0]


def _parameter(
    source: Source, path: KeyPath, kind: Kind, options: Mapping[str, Any]
) -> Parameter | None:
    """Return a parameter without its conditions; None if its range or choices have a fault."""
    rule, default = RULES[path[-1]], options.get("default")
    has_default = "default" in options and check_value(source, (*path, "default"), rule, default)
    read = _range if kind in ("float", "int") else _choices
    values = read(source, (*path, kind), kind, options[kind], rule)
    scale = _scale(source, path, kind, options, values)
    if not values:
        return None
    parameter = Parameter(rule.key, kind, **values, **scale)
    if has_default and check_taken(source, (*path, "default"), parameter, default):
        return dataclasses.replace(parameter, default=parameter.exact(default))
    return parameter


def _range(source: Source, path: KeyPath, kind: str, ends: Any, rule: Rule) -> dict[str, Any]:
    """Return low and high; nothing after a fault."""
    if rule.type not in (int, float):
        form = "bool: true" if rule.type is bool else "choice: [...]"
        source.fault(path, f"{rule.key} takes {rule.words()}, not a range. Write {form}.")
        return {}
    if kind == "float" and rule.type is int:
        source.fault(path, f"{rule.key} takes {rule.words()}. Write int: [low, high].")
        return {}
    if not isinstance(ends, list) or len(ends) != 2:
        source.must_be(path, "[low, high]", show(ends), f"Write {kind}: [low, high].")
        return {}
    end_rule = dataclasses.replace(rule, type=int if kind == "int" else float)
    valid = [check_value(source, (*path, index), end_rule, end) for index, end in enumerate(ends)]
    if not all(valid):
        return {}
    low, high = map(end_rule.type, ends)
    if low == high:
        source.fault(path, f"both bounds are {show(low)}. Put a single value under fixed.")
        return {}
    if low > high:
        bounds = f"lower bound {show(low)} is above upper bound {show(high)}"
        source.fault(path, f"{bounds}. Swap them.")
        return {}
    return {"low": low, "high": high}


def _choices(source: Source, path: KeyPath, kind: str, plain: Any, rule: Rule) -> dict[str, Any]:
    """Return the choices; nothing after a fault."""
    if kind == "bool":
        if rule.type is not bool:
            form = "choice: [...]" if rule.type is str else "float, int or choice"
            source.fault(path, f"{rule.key} takes {rule.words()}. Write {form}.")
        elif plain is not True:
            source.must_be(path, "true", show(plain), "Put a single value under fixed.")
        else:
            return {"choices": (False, True)}
        return {}
    if not isinstance(plain, list) or not plain:
        source.must_be(
            path, "a list of at least one value", show(plain), "Write choice: [first, second]."
        )
        return {}
    valid = [check_value(source, (*path, index), rule, value) for index, value in enumerate(plain)]
    if not all(valid) or not check_unique(source, path, plain):
        return {}
    return {"choices": tuple(map(rule.type, plain))}


def _scale(
    source: Source,
    path: KeyPath,
    kind: str,
    options: Mapping[str, Any],
    bounds: Mapping[str, Any],
) -> dict[str, Any]:
    """Return log and step, checked against the bounds if these have no fault."""
    for name in ("log", "step"):
        if name in options and kind not in ("float", "int"):
            source.fault((*path, name), f"{name} needs float or int. Remove it.")
            return {}
    scale: dict[str, Any] = {}
    log = options.get("log", False)
    if check_value(source, (*path, "log"), _LOG, log) and log:
        if "step" in options:
            source.fault((*path, "log"), "log and step exclude each other. Remove one.")
        if bounds.get("low", 1) <= 0:
            low = show(bounds["low"])
            source.fault(
                (*path, "log"),
                f"the logarithm needs a range above 0, but the lower bound is {low}. "
                "Raise it, or remove log.",
            )
        scale["log"] = True
    if "step" in options and _check_step(source, (*path, "step"), kind, options["step"], bounds):
        scale["step"] = int(options["step"]) if kind == "int" else float(options["step"])
    return scale


def _check_step(
    source: Source, path: KeyPath, kind: str, step: Any, bounds: Mapping[str, Any]
) -> bool:
    """Whether `step` leads from one bound to the other; else a fault."""
    number, words = (int, "a whole number") if kind == "int" else (float, "a number")
    if Rule("step", number, None, OPTIONS["step"]).fault(step) or step <= 0:
        source.must_be(
            path,
            f"{words} above 0",
            show(step),
            "It is the distance between neighbouring values.",
        )
        return False
    if bounds and not _divides(step, bounds["low"], bounds["high"]):
        source.fault(
            path,
            f"{show(step)} does not lead from {show(bounds['low'])} to {show(bounds['high'])}. "
            "Choose a step that divides the range.",
        )
        return False
    return True


def _divides(step: float, low: float, high: float) -> bool:
    """Whether steps lead from low to high in decimal arithmetic, as Optuna's distributions need."""
    try:
        return (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) == 0
    except InvalidOperation:  # the step is too small to be counted
        return False
