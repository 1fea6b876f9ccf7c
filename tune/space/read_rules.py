"""The rules between the keys of a space file, checked: forbidden combinations, derived values, named first points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganhtr.config import RULES
from tune.space.expression import Derived, ExpressionError, parse_expression
from tune.space.parameter import Clause, Parameter, matches, values_in_words
from tune.space.read_conditions import read_condition
from tune.space.settings import BUDGET_KEYS
from tune.space.source import KeyPath, Source, check_key, is_experiment, known, section, show


def read_forbidden(source: Source, parameters: Sequence[Parameter]) -> tuple[Clause, ...]:
    """The section `forbidden`: a list of combinations, each of searched keys with values that they may not have together."""
    given = source.value.get("forbidden", [])
    if not isinstance(given, list):
        source.fault(
            ("forbidden",),
            "a list of combinations",
            show(given),
            "Write - {contrastive.formulation: clip, head.kind: none}.",
        )
        return ()
    if is_experiment(source):
        return ()
    byname, found = {parameter.key: parameter for parameter in parameters}, []
    for index, combination in enumerate(given):
        path = ("forbidden", index)
        if not isinstance(combination, dict) or not combination:
            source.fault(
                path,
                "a mapping of searched keys to values",
                show(combination),
                "Write {head.kind: mlp, head.layers: 3}.",
            )
            continue
        clause = {}
        for key, values in combination.items():
            if key not in byname:
                source.fault(
                    (*path, key),
                    "a key of space",
                    "one that is not searched" if key in RULES else "an unknown one",
                    known(key, tuple(byname) or RULES),
                )
            elif allowed := read_condition(source, (*path, key), values, byname[key]):
                clause[key] = allowed
        if len(clause) == len(combination):
            found.append(clause)
    return tuple(found)


def read_derived(source: Source) -> dict[str, Derived]:
    """The section `derived`, in an order in which each expression finds its keys computed."""
    found: dict[str, Derived] = {}
    for key, text in section(source, "derived").items():
        path = ("derived", key)
        if not check_key(source, path, "derived"):
            continue
        if RULES[key].type not in (int, float):
            source.fault(
                path,
                "a key with a number",
                f"{key}, which takes {RULES[key].words()}",
                "Put it under fixed.",
            )
        elif place := next(
            (name for name in ("fixed", "baseline") if key in (source.value.get(name) or ())), None
        ):
            source.fault(
                path,
                f"either derived or under {place}",
                f"it under {place} and under derived",
                "Remove one.",
            )
        elif (expression := _expression(source, path, text)) is not None:
            found[key] = expression
    return _in_order(source, found)


def _expression(source: Source, path: KeyPath, text: Any) -> Derived | None:
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        source.fault(
            path,
            "an arithmetic expression over configuration keys",
            f"{show(text)}: {error}",
            "Write for instance 2 * head.dim.",
        )
        return None
    for key in expression.keys:
        if key not in RULES or RULES[key].type not in (int, float):
            got = f"{key}, {'which has none' if key in RULES else 'an unknown key'}"
            source.fault(
                path, "over keys with a number", got, "" if key in RULES else known(key, RULES)
            )
            return None
        if key in BUDGET_KEYS or key == "train.seed":
            source.fault(
                path,
                "over keys of the configuration that is tried",
                f"{key}, which is not one",
                "Leave it out.",
            )
            return None
    return expression


def _in_order(source: Source, found: Mapping[str, Derived]) -> dict[str, Derived]:
    """Each expression behind those that it uses; a cycle is a fault."""
    order: dict[str, Derived] = {}

    def place(key: str, trail: tuple[str, ...]) -> None:
        """Puts an expression into the order; `trail` is how we came to it."""
        if key in trail:
            cycle = " -> ".join((*trail[trail.index(key) :], key))
            source.fault(
                ("derived", key), "free of cycles", cycle, "Drop one of these expressions."
            )
        elif key not in order and key in found:
            for used in found[key].keys:
                place(used, (*trail, key))
            order[key] = found[key]

    for key in found:
        place(key, ())
    return order


def read_first(
    source: Source, parameters: Sequence[Parameter], forbidden: Sequence[Clause]
) -> dict[str, dict[str, Any]]:
    """The section `first`: name -> values of some parameters; the others are drawn."""
    given, byname = section(source, "first"), {parameter.key: parameter for parameter in parameters}
    if is_experiment(source):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, point in given.items():
        path = ("first", name)
        if not str(name).isprintable():  # it is shown in the tree and while the search runs
            source.fault(path, "named in signs that can be printed", show(name), "Rename it.")
            continue
        if not isinstance(point, dict) or not point:
            source.fault(
                path,
                "a mapping of searched keys to values",
                show(point),
                "Write simclr: {contrastive.temperature: 0.1}.",
            )
            continue
        values = {}
        for key, value in point.items():
            if key not in byname:
                source.fault(
                    (*path, key),
                    "a key of space",
                    "one that is not searched" if key in RULES else "an unknown one",
                    known(key, tuple(byname)),
                )
            elif not byname[key].allows(value):
                source.fault(
                    (*path, key),
                    "a value that the parameter can take",
                    show(value),
                    f"It takes {values_in_words(byname[key])}.",
                )
            else:
                values[key] = byname[key].exact(value)
        if len(values) == len(point) and _possible(source, path, values, byname, forbidden):
            if same := next((other for other, held in found.items() if held == values), None):
                source.fault(
                    path,
                    "a point of its own",
                    f"the values of first.{same} again",
                    "Take one of them out.",
                )
            found[name] = values
    return found


def _possible(
    source: Source,
    path: KeyPath,
    values: Mapping[str, Any],
    byname: Mapping[str, Parameter],
    forbidden: Sequence[Clause],
) -> bool:
    """Whether a point can be run: no value of it belongs to an inactive parameter, no combination of it is forbidden."""
    for key in values:
        for ancestor, allowed in byname[key].when.items():
            if ancestor not in values or values[ancestor] not in allowed:
                got = (
                    f"{ancestor} {show(values[ancestor])}"
                    if ancestor in values
                    else f"no {ancestor}"
                )
                source.fault(
                    (*path, key),
                    f"given only where it is active, which {ancestor} decides",
                    got,
                    f"Set {ancestor} too, or drop it.",
                )
                return False
    for clause in forbidden:
        if matches(clause, values):
            source.fault(
                path,
                "allowed",
                f"the forbidden combination of {', '.join(clause)}",
                "Change the point, or the combination.",
            )
            return False
    return True
