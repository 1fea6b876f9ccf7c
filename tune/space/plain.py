"""A space as the plain values of a file, and its digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from tune.space.parameter import plain_condition
from tune.space.space import Space

DIGESTED_BUDGET = ("epochs", "steps_per_epoch")  # more trials or seeds leave a study comparable


def plain_of(space: Space) -> dict[str, Any]:
    """Return the space as a file has it, with all settings."""
    constraints: dict[str, dict[str, float]] = {}
    for constraint in space.constraints:
        constraints.setdefault(constraint.metric, {})[constraint.rule] = constraint.amount
    forbidden = [
        {key: plain_condition(allowed) for key, allowed in clause.items()}
        for clause in space.forbidden
    ]
    other_kind = "search" if space.experiment else "experiment"
    budget = {
        setting.name: getattr(space.budget, setting.name)
        for setting in dataclasses.fields(space.budget)
        if setting.metadata["kind_of_study"] != other_kind
        and getattr(space.budget, setting.name) is not None
    }
    verdict = {**dataclasses.asdict(space.verdict), "margins": dict(space.verdict.margins)}
    if space.verdict.primary is None:
        del verdict["primary"]
    optional = {
        "constraints": constraints,
        "derived": {key: expression.text for key, expression in space.derived.items()},
        "first": {name: dict(point) for name, point in space.first.items()},
        "forbidden": forbidden,
    }
    return {
        "objective": space.objective if len(space.objectives) == 1 else list(space.objectives),
        **({"preset": space.preset} if space.preset else {}),
        "budget": budget,
        "early_stopping": dataclasses.asdict(space.early_stopping),
        **({} if space.experiment else {"search": dataclasses.asdict(space.search)}),
        "verdict": verdict,
        "baseline": dict(space.baseline),
        "fixed": dict(space.fixed),
        **{name: section for name, section in optional.items() if section},
        "space": {parameter.key: parameter.to_plain() for parameter in space.parameters},
    }


def digest_of(space: Space) -> str:
    """Return a digest that is the same for spaces between which a study can be resumed.

    Budget, first points and verdict may differ, and how conditions and expressions are written.
    """
    plain = plain_of(space)
    plain["budget"] = {
        name: value for name, value in plain["budget"].items() if name in DIGESTED_BUDGET
    }
    plain.pop("first", None)
    plain.pop("verdict")
    for parameter in plain["space"].values():
        if "when" in parameter:
            parameter["when"] = _ordered(parameter["when"])
    if "forbidden" in plain:
        plain["forbidden"] = sorted({_text(_ordered(clause)) for clause in plain["forbidden"]})
    if "derived" in plain:
        plain["derived"] = {key: expression.canonical for key, expression in space.derived.items()}
    return hashlib.sha256(_text(plain).encode()).hexdigest()


def _ordered(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return conditions with the values of each in a fixed order."""
    return {
        key: sorted(allowed, key=_text) if isinstance(allowed, list) else allowed
        for key, allowed in conditions.items()
    }


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
