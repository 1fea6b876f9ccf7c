"""JSON Schema of a space file, for editors. It is generated from the rules that the reader itself follows.

A schema cannot see everything (an inverted range, a cycle of conditions): `load_space` has the last word.
"""

from __future__ import annotations

from typing import Any

from ganhtr.config import RULES, Rule
from tune.parameter import KINDS
from tune.space_settings import (
    AMOUNT,
    BUDGET_KEYS,
    BUDGET_RULES,
    CONSTRAINT_RULES,
    MARGIN,
    METRICS,
    OBJECTIVE,
    SEARCH_ENDS,
    SEARCH_RULES,
    SETTINGS,
    STOPPING_RULES,
    VERDICT_RULES,
)

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    fixable = {key: rule for key, rule in RULES.items() if key not in BUDGET_KEYS}
    searchable = {key: rule for key, rule in fixable.items() if not rule.shared and key != "train.seed"}
    properties: dict[str, Any] = {name: _value(rule) for name, rule in SETTINGS.items()}
    objective = _value(OBJECTIVE)
    plain: dict[str, Any] = {"type": ["string", "number", "boolean"]}
    properties |= {
        "extends": {"description": "A space file beside this one, over which this one is laid; null takes one of its keys out.",
                    "type": "string", "minLength": 1},
        "objective": {"description": objective.pop("description"), "default": objective.pop("default"), "anyOf": [
            objective, {"type": "array", "minItems": 1, "uniqueItems": True, "items": objective}]},
        "search": _section("How trials are proposed and given up.", SEARCH_RULES),
        "constraints": _mapping("What a trial must keep to win.", {metric: _mapping(
            "limits, or distances from OFF, in the metric's unit", {rule: _value(AMOUNT) for rule in CONSTRAINT_RULES}) for metric in METRICS}),
        "verdict": _mapping("How the study is judged.", {**{name: _value(rule) for name, rule in VERDICT_RULES.items()}, "margins": _mapping(
            "differences within which the arms are practically equal", {metric: _value(MARGIN) for metric in METRICS})}),
        "derived": _mapping("Values computed from others, such as 2 * head.dim.", {
            key: {"type": ["string", "number"]} for key, rule in searchable.items() if rule.type in (int, float)}),
        "first": {"description": "Named points that are tried first.", "type": "object", "additionalProperties": {
            "type": "object", "minProperties": 1, "propertyNames": {"enum": list(searchable)}, "additionalProperties": plain}},
        "forbidden": {"description": "Combinations that no trial may have.", "type": "array", "items": {"$ref": "#/$defs/when"}},
        "budget": _section("How much the study trains: trials of a search, or seeds of an experiment.", BUDGET_RULES),
        "early_stopping": _section("When a trial stops early.", STOPPING_RULES),
        "baseline": _section("The OFF arm: without contrastive loss.", searchable),
        "fixed": _section("Values that all trials have.", fixable),
        "space": {
            **_mapping("The parameters to search. Without any the study is an experiment: OFF and ON, once for each seed.",
                       {key: _parameter(rule) for key, rule in searchable.items()}),
            "type": ["object", "null"],
        },
    }
    properties["baseline"]["properties"]["contrastive.formulation"] = {
        "description": "The OFF arm has no contrastive loss.", "const": "none"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ganhtr-tune search space",
        **_mapping("What a study tries.", properties),
        "if": {"required": ["space"], "properties": {"space": {"type": "object", "minProperties": 1}}},
        "then": _restricted("budget", "seeds", {"const": 1}),
        "else": {"allOf": [*(_restricted("budget", name, False) for name in SEARCH_ENDS),
                           _restricted("fixed", "contrastive.formulation", {"not": {"const": "none"}})]},
        "$defs": {
            "when": {
                "description": "Each named parameter is active with one of the values, or within the range.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"enum": list(searchable)},
                "additionalProperties": {
                    "anyOf": [
                        {"type": ["string", "number", "boolean"]},
                        {"type": "array", "minItems": 1, "uniqueItems": True,
                         "items": {"type": ["string", "number", "boolean"]}},
                        {"type": "object", "minProperties": 1, "properties": {"min": {"type": "number"}, "max": {"type": "number"}},
                         "additionalProperties": False},
                    ]
                },
            },
        },
    }


def _restricted(section: str, key: str, schema: Any) -> dict[str, Any]:
    return {"properties": {section: {"properties": {key: schema}}}}


def _mapping(doc: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"description": doc, "type": "object", "properties": properties, "additionalProperties": False}


def _section(doc: str, rules: dict[str, Rule]) -> dict[str, Any]:
    return _mapping(doc, {name: _value(rule) for name, rule in rules.items()})


def _value(rule: Rule) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": f"{rule.doc} ({rule.words()})", "type": _TYPES[rule.type]}
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
    value = {name: part for name, part in _value(rule).items() if name not in ("default", "description")}
    forms: dict[str, Any] = {"choice": {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}}
    if rule.type is bool:
        forms["bool"] = {"const": True}
    ranges = {int: ("int",), float: ("float", "int")}.get(rule.type, ())
    for kind in ranges:
        end = {**value, "type": "integer" if kind == "int" else "number"}
        forms[kind] = {"description": "[low, high]", "type": "array", "minItems": 2, "maxItems": 2, "items": end}
    options: dict[str, Any] = {kind: forms[kind] for kind in KINDS if kind in forms}
    if ranges:
        options["log"] = {"description": "draw evenly in the logarithm", "type": "boolean"}
        options["step"] = {"description": "distance between neighbouring values", "type": value["type"],
                           "exclusiveMinimum": 0}
    options["when"] = {"$ref": "#/$defs/when"}
    options["default"] = {"description": "value where inactive, and in single-trial mode", **value}
    schema = _mapping(f"{rule.doc} ({rule.words()})", options)
    schema["oneOf"] = [{"required": [kind]} for kind in KINDS if kind in forms]
    if ranges:
        schema["not"] = {"required": ["log", "step"], "properties": {"log": {"const": True}}}
    return schema
