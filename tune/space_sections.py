"""The sections of a space file and what may stand in them: checks that every reader of a section makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganhtr.config import RULES, Rule, nearest
from tune.space_settings import BUDGET_KEYS
from tune.yaml_source import KeyPath, Source, show

# In the order of a file; each a mapping of keys to values.
SECTIONS = ("budget", "early_stopping", "search", "constraints", "verdict", "baseline", "fixed", "derived", "first", "space")
TOP_LEVEL = ("extends", "objective", "preset", "forbidden", *SECTIONS)


def is_experiment(source: Source) -> bool:
    """Whether nothing is searched: `space` is left out or empty, so that OFF and ON run as they stand."""
    return source.value.get("space") in (None, {}) and ("space",) not in source.refused


def section(source: Source, name: str) -> Mapping[str, Any]:
    """A top-level mapping; empty if it is left out or is a fault."""
    value = source.value.get(name, {})
    if isinstance(value, dict):
        return value
    source.fault((name,), "a mapping of keys to values", show(value), f"Indent the keys under `{name}:`.")
    return {}


def known(name: Any, names: tuple | Mapping) -> str:
    """The nearest known name, with all names unless there are too many."""
    hint = nearest(str(name), tuple(names))
    return hint if hint.startswith("Known") or len(names) > 12 else f"{hint} Known: {', '.join(names)}."


def check_key(source: Source, path: KeyPath, place: str) -> bool:
    """Whether the configuration key that ends `path` may stand under `place`; notes the fault if not."""
    key = path[-1]
    if key not in RULES:
        source.fault(path, "a configuration key", "an unknown one", known(key, RULES))
    elif key in BUDGET_KEYS:
        source.fault(path, "left to the budget", f"it under {place}", f"Set {BUDGET_KEYS[key]} instead.")
    elif place != "fixed" and RULES[key].shared:
        source.fault(path, "the same in all trials", f"it under {place}", "Put it under fixed.")
    elif place != "fixed" and key == "train.seed":
        source.fault(path, "fixed, as the seed is not searched", f"it under {place}", "Put it under fixed.")
    else:
        return True
    return False


def check_value(source: Source, path: KeyPath, rule: Rule, value: Any) -> bool:
    """Whether `value` follows `rule`; notes the fault if not."""
    if rule.fault(value) is None:
        return True
    fix = f"It is: {rule.doc}."
    if rule.type is bool:
        fix = "Write true or false; yes, no, on and off are text here."
    elif rule.choices:
        fix = nearest(str(value), rule.choices)
    elif isinstance(value, str) and rule.type in (int, float):
        fix = "Write a plain numeral, without quotes or units."
    source.fault(path, rule.words(), show(value), fix)
    return False


def values_of(source: Source, path: KeyPath, given: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    values = {name: rule.default for name, rule in rules.items()}
    for name, value in given.items():
        if name not in rules:
            source.fault((*path, name), "a known key", "an unknown one", known(name, rules))
        elif check_value(source, (*path, name), rules[name], value):
            values[name] = rules[name].type(value)
    return values
