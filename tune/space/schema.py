"""JSON Schema of a space file, for editors. It is generated from the rules that loading follows.

A schema cannot see everything (an inverted range, a cycle of conditions): `load_space` has the last word.
"""

from __future__ import annotations

from typing import Any

from ganhtr.config import RULES, Rule
from tune.space.parameter import KINDS
from tune.space.settings import (
    AMOUNT,
    BUDGET_KEYS,
    BUDGET_RULES,
    CONSTRAINT_RULES,
    FORMULATION,
    MARGIN,
    METRICS,
    OBJECTIVE,
    OF_A_SEARCH,
    PRESET,
    SEARCH_ENDS,
    SEARCH_RULES,
    STOPPING_RULES,
    VERDICT_RULES,
)
from tune.space.source import SECTIONS

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}


_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_LIST: dict[str, Any] = {"type": "array", "minItems": 1, "uniqueItems": True}


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    whole = {
        "if": {
            "required": ["space"],
            "properties": {"space": {"type": "object", "minProperties": 1}},
        },
        "then": _restricted("budget", "seeds", {"const": 1}),
        "else": {
            "allOf": [
                *(_restricted("budget", name, False) for name in SEARCH_ENDS),
                *(
                    {"properties": {name: {"maxItems": 0, "maxProperties": 0}}}
                    for name in OF_A_SEARCH
                ),
                _restricted("fixed", "contrastive.formulation", {"not": {"const": "none"}}),
            ]
        },
    }
    no_null = {
        "properties": {
            name: {
                "type": ["object", "null"] if name == "space" else "object",
                "additionalProperties": {"not": {"type": "null"}},
            }
            for name in SECTIONS
        }
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ganhtr-tune search space",
        **_mapping(
            "What a study tries.",
            {name: _removable(name, schema) for name, schema in _properties().items()},
        ),
        # A file that extends another is a part of a space, in which null takes out what the other has.
        "if": {"not": {"required": ["extends"]}},
        "then": {**whole, "allOf": [no_null]},
        "$defs": {"conditions": _conditions()},
    }


def _properties() -> dict[str, Any]:
    """The top-level keys."""
    fixable = {key: rule for key, rule in RULES.items() if key not in BUDGET_KEYS}
    searchable = {
        key: rule for key, rule in fixable.items() if not rule.shared and key != "train.seed"
    }
    baseline = _section("The OFF arm: without contrastive loss.", searchable)
    baseline["properties"][FORMULATION] = {
        "description": "The OFF arm has no contrastive loss.",
        "const": "none",
    }
    rules = {rule: _value(AMOUNT) for rule in CONSTRAINT_RULES}
    point = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"enum": list(searchable)},
        "additionalProperties": _SCALAR,
    }
    return {
        "extends": {
            "description": "The space file over which this one is laid.",
            "type": "string",
            "minLength": 1,
        },
        "preset": _value(PRESET),
        "objective": {"anyOf": [_value(OBJECTIVE), {**_LIST, "items": _value(OBJECTIVE)}]},
        "budget": _section(
            "How much the study trains: trials of a search, or seeds of an experiment.",
            BUDGET_RULES,
        ),
        "early_stopping": _section("When a trial stops early.", STOPPING_RULES),
        "search": _section("How trials are proposed and given up.", SEARCH_RULES),
        "constraints": _mapping(
            "What a trial must keep to win.",
            {
                metric: {**_mapping("a limit, or a distance from OFF", rules), "minProperties": 1}
                for metric in METRICS
            },
        ),
        "verdict": _mapping(
            "How the study is judged.",
            {
                **{name: _value(rule) for name, rule in VERDICT_RULES.items()},
                "margins": _mapping(
                    "differences within which arms are practically equal",
                    {metric: _value(MARGIN) for metric in METRICS},
                ),
            },
        ),
        "baseline": baseline,
        "fixed": _section("Values that all trials have.", fixable),
        "derived": _mapping(
            "Values computed from others, such as 2 * head.dim.",
            {
                key: {"type": ["string", "number"]}
                for key, rule in searchable.items()
                if rule.type in (int, float)
            },
        ),
        "forbidden": {
            "description": "Combinations that no trial may have.",
            "type": "array",
            "items": {"$ref": "#/$defs/conditions"},
        },
        "first": {
            "description": "Named points that are tried first.",
            "type": "object",
            "additionalProperties": point,
        },
        "space": {
            **_mapping(
                "The parameters to search. Without any the study is an experiment: OFF and ON, once for each seed.",
                {key: _parameter(rule) for key, rule in searchable.items()},
            ),
            "type": ["object", "null"],
        },
    }


def _conditions() -> dict[str, Any]:
    """What `when` and a forbidden combination are made of."""
    searchable = [
        key
        for key, rule in RULES.items()
        if key not in BUDGET_KEYS and not rule.shared and key != "train.seed"
    ]
    numbers = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {"min": {"type": "number"}, "max": {"type": "number"}},
    }
    return {
        "description": "Each named parameter has one of the values, or one in the range.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"enum": searchable},
        "additionalProperties": {"anyOf": [_SCALAR, {**_LIST, "items": _SCALAR}, numbers]},
    }


def _removable(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a top-level key in which null may stand for any key of a section, and for the section."""
    if name not in SECTIONS:
        return schema
    schema = {**schema, "type": ["object", "null"]}
    if "properties" in schema:
        return {
            **schema,
            "properties": {
                key: {"anyOf": [held, {"type": "null"}]}
                for key, held in schema["properties"].items()
            },
        }
    return {
        **schema,
        "additionalProperties": {"anyOf": [schema["additionalProperties"], {"type": "null"}]},
    }


def _restricted(section: str, key: str, schema: Any) -> dict[str, Any]:
    return {"properties": {section: {"properties": {key: schema}}}}


def _mapping(doc: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _section(doc: str, rules: dict[str, Rule]) -> dict[str, Any]:
    return _mapping(doc, {name: _value(rule) for name, rule in rules.items()})


def _value(rule: Rule) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "description": f"{rule.doc} ({rule.words()})",
        "type": _TYPES[rule.type],
    }
    if rule.default is not None:
        schema["default"] = rule.default
    if rule.choices:
        schema["enum"] = list(rule.choices)
    if rule.low is not None:
        schema["minimum"] = rule.low
    if rule.high is not None:
        schema["maximum"] = rule.high
    return schema


def _parameter(rule: Rule) -> dict[str, Any]:
    """A parameter in the forms that the key allows, exactly one of them."""
    value = {
        name: part for name, part in _value(rule).items() if name not in ("default", "description")
    }
    forms: dict[str, Any] = {
        "choice": {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}
    }
    if rule.type is bool:
        forms["bool"] = {"const": True}
    ranges = {int: ("int",), float: ("float", "int")}.get(rule.type, ())
    for kind in ranges:
        end = {**value, "type": "integer" if kind == "int" else "number"}
        forms[kind] = {
            "description": "[low, high]",
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": end,
        }
    options: dict[str, Any] = {kind: forms[kind] for kind in KINDS if kind in forms}
    if ranges:
        options["log"] = {"description": "draw evenly in the logarithm", "type": "boolean"}
        options["step"] = {
            "description": "distance between neighbouring values",
            "type": value["type"],
            "exclusiveMinimum": 0,
        }
    options["when"] = {"$ref": "#/$defs/conditions"}
    options["default"] = {"description": "value where inactive, and in single-trial mode", **value}
    schema = _mapping(f"{rule.doc} ({rule.words()})", options)
    schema["oneOf"] = [{"required": [kind]} for kind in KINDS if kind in forms]
    if ranges:
        schema["not"] = {"required": ["log", "step"], "properties": {"log": {"const": True}}}
    return schema
