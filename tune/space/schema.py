"""JSON Schema of a space file, for editors, from the rules that loading follows.

A schema cannot see every fault, such as an inverted range: `load_space` has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganhtr.config import Rule
from tune.metric import BY_KEY, MEASURED
from tune.space.constraint import CONSTRAINT_RULES
from tune.space.parameter import KINDS
from tune.space.read_parameters import OPTIONS
from tune.space.settings import (
    AMOUNT,
    FIXABLE,
    FORMULATION,
    MARGIN,
    OBJECTIVE,
    PRESET,
    SEARCH_ENDS,
    SEARCH_ONLY,
    SEARCHABLE,
    SECTIONS,
    SETTING_RULES,
    TOP_LEVEL,
)

Schema = dict[str, Any]

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_LIST: Schema = {"type": "array", "minItems": 1, "uniqueItems": True}


def json_schema() -> Schema:
    """Return the schema, draft 2020-12."""
    searches = {
        "required": ["space"],
        "properties": {"space": {"type": "object", "minProperties": 1}},
    }
    experiment = [
        *(_restricted("budget", name, False) for name in SEARCH_ENDS),
        *({"properties": {name: {"maxItems": 0, "maxProperties": 0}}} for name in SEARCH_ONLY),
        _restricted("fixed", FORMULATION, {"not": {"const": "none"}}),
    ]
    no_null = {
        name: {
            "type": ["object", "null"] if name == "space" else "object",
            "additionalProperties": {"not": {"type": "null"}},
        }
        for name in SECTIONS
    }
    keys = {
        name: _removable(name, {"description": TOP_LEVEL[name].doc, **schema})
        for name, schema in _keys().items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ganhtr-tune search space",
        **_mapping(keys, "What a study tries."),
        # A file that extends another is only a part of a space, and may remove keys with null.
        "if": {"not": {"required": ["extends"]}},
        "then": {
            "if": searches,
            "then": _restricted("budget", "seeds", {"const": 1}),
            "else": {"allOf": experiment},
            "allOf": [{"properties": no_null}],
        },
        "$defs": {"conditions": _conditions()},
    }


def _keys() -> dict[str, Schema]:
    """Return the schemas of the top-level keys."""
    sections = {name: _mapping(_values(rules)) for name, rules in SETTING_RULES.items()}
    margins = _mapping(dict.fromkeys(BY_KEY, _value(MARGIN)))
    sections["verdict"]["properties"]["margins"] = {"description": MARGIN.doc, **margins}
    baseline = _values(SEARCHABLE)
    baseline[FORMULATION] = {
        "description": "The OFF arm has no contrastive loss.",
        "const": "none",
    }
    rules = {rule: _value(AMOUNT) for rule in CONSTRAINT_RULES}
    constraint = {**_mapping(rules, AMOUNT.doc), "minProperties": 1}
    point = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"enum": list(SEARCHABLE)},
        "additionalProperties": _SCALAR,
    }
    derived = {
        key: {"type": ["string", "number"]}
        for key, rule in SEARCHABLE.items()
        if rule.type in (int, float)
    }
    return {
        "extends": {"type": "string", "minLength": 1},
        "preset": _value(PRESET),
        "objective": {"anyOf": [_value(OBJECTIVE), {**_LIST, "items": _value(OBJECTIVE)}]},
        **sections,
        "constraints": _mapping(dict.fromkeys(MEASURED, constraint)),
        "baseline": _mapping(baseline),
        "fixed": _mapping(_values(FIXABLE)),
        "derived": _mapping(derived),
        "forbidden": {"type": "array", "items": {"$ref": "#/$defs/conditions"}},
        "first": {"type": "object", "additionalProperties": point},
        "space": {
            **_mapping({key: _parameter(rule) for key, rule in SEARCHABLE.items()}),
            "type": ["object", "null"],
        },
    }


def _conditions() -> Schema:
    """Return the schema of `when` and of a forbidden combination."""
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
        "propertyNames": {"enum": list(SEARCHABLE)},
        "additionalProperties": {"anyOf": [_SCALAR, {**_LIST, "items": _SCALAR}, numbers]},
    }


def _removable(name: str, schema: Schema) -> Schema:
    """Return the schema of a top-level key that also takes null for a section or a key in it."""
    if name not in SECTIONS:
        return schema
    schema = {**schema, "type": ["object", "null"]}
    if "properties" in schema:
        removable = {key: _or_null(inner) for key, inner in schema["properties"].items()}
        return {**schema, "properties": removable}
    return {**schema, "additionalProperties": _or_null(schema["additionalProperties"])}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _restricted(section: str, key: str, schema: Any) -> Schema:
    return {"properties": {section: {"properties": {key: schema}}}}


def _mapping(properties: Mapping[str, Schema], doc: str = "") -> Schema:
    description = {"description": doc} if doc else {}
    return {
        **description,
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _values(rules: Mapping[str, Rule]) -> dict[str, Schema]:
    return {name: _value(rule) for name, rule in rules.items()}


def _value(rule: Rule) -> Schema:
    """Return the schema of a value that follows the rule."""
    schema: Schema = {"description": f"{rule.doc} ({rule.words()})", "type": _TYPES[rule.type]}
    limits = {
        "default": rule.default,
        "enum": list(rule.choices) or None,
        "minimum": rule.low,
        "maximum": rule.high,
    }
    return schema | {name: limit for name, limit in limits.items() if limit is not None}


def _parameter(rule: Rule) -> Schema:
    """Return the schema of a parameter: exactly one of the kinds that the key allows."""
    annotations = ("default", "description")
    value = {name: part for name, part in _value(rule).items() if name not in annotations}
    kinds: dict[str, Schema] = {"choice": {**_LIST, "items": value}}
    if rule.type is bool:
        kinds["bool"] = {"const": True}
    ranges = {int: ("int",), float: ("float", "int")}.get(rule.type, ())
    for kind in ranges:
        end = {**value, "type": "integer" if kind == "int" else "number"}
        kinds[kind] = {"type": "array", "minItems": 2, "maxItems": 2, "items": end}
    options: dict[str, Schema] = {kind: kinds[kind] for kind in KINDS if kind in kinds}
    if ranges:
        options["log"] = {"type": "boolean"}
        options["step"] = {"type": value["type"], "exclusiveMinimum": 0}
    options["default"] = value
    described = {name: {"description": OPTIONS[name], **part} for name, part in options.items()}
    described["when"] = {"$ref": "#/$defs/conditions"}
    schema = _mapping(described, f"{rule.doc} ({rule.words()})")
    schema["oneOf"] = [{"required": [kind]} for kind in KINDS if kind in kinds]
    if ranges:
        schema["not"] = {"required": ["log", "step"], "properties": {"log": {"const": True}}}
    return schema
