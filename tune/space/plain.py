"""A space in plain values, as a file has it, and its digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from tune.space.parameter import plain_condition
from tune.space.space import Space


def plain_of(space: Space) -> dict[str, Any]:
    """The space as it is written in a file, all settings included."""
    unused = "trials" if space.experiment else "seeds"
    constraints: dict[str, dict[str, float]] = {}
    for each in space.constraints:
        constraints.setdefault(each.metric, {})[each.rule] = each.amount
    forbidden = [
        {key: plain_condition(allowed) for key, allowed in clause.items()}
        for clause in space.forbidden
    ]
    rules = {
        "constraints": constraints,
        "derived": {key: expression.text for key, expression in space.derived.items()},
        "first": {name: dict(point) for name, point in space.first.items()},
        "forbidden": forbidden,
    }
    return {
        "objective": space.objective if len(space.objectives) == 1 else list(space.objectives),
        **({"preset": space.preset} if space.preset else {}),
        "budget": {
            key: value
            for key, value in dataclasses.asdict(space.budget).items()
            if value is not None and key != unused
        },
        "early_stopping": dataclasses.asdict(space.early_stopping),
        **({} if space.experiment else {"search": dataclasses.asdict(space.search)}),
        "verdict": {**dataclasses.asdict(space.verdict), "margins": dict(space.verdict.margins)},
        "baseline": dict(space.baseline),
        "fixed": dict(space.fixed),
        **{name: held for name, held in rules.items() if held},
        "space": {parameter.key: parameter.to_plain() for parameter in space.parameters},
    }


def digest_of(space: Space) -> str:
    """The same for spaces between which a study can be resumed, as `Space.digest` says."""
    plain = plain_of(space)
    plain["budget"] = {
        name: value
        for name, value in plain["budget"].items()
        if name in ("epochs", "steps_per_epoch")
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
    """Conditions with the values of each in an order of their own."""
    return {
        key: sorted(allowed, key=_text) if isinstance(allowed, list) else allowed
        for key, allowed in conditions.items()
    }


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
