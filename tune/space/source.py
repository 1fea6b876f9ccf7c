"""The sections of a space file and what may stand in them: checks that all sections share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ganhtr.config import RULES, Rule, nearest
from tune.space.settings import BUDGET_KEYS

KeyPath = tuple  # of keys and list positions, from the top of the file: ("space", "head.dim", "choice", 2)
LONGEST_FAULT = 2000  # signs


class SpaceError(ValueError):
    """One or more faults of a search space; `faults` holds a line each."""

    def __init__(self, faults: list[str]):
        self.faults = [printable(fault, LONGEST_FAULT) for fault in faults]
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple:
        return SpaceError, (self.faults,)


def show(value: Any) -> str:
    """A value as it stands in an error message."""
    text = json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def printable(text: str, longest: int = 600) -> str:
    """Text that a stranger wrote, fit for a terminal; of a long one the two ends."""
    if len(text) > longest:
        text = f"{text[: longest // 2 - 3]}...{text[-longest // 2 :]}"
    return "".join(sign if sign.isprintable() else "?" for sign in text)


class Source:
    """Plain values, the lines they stand on (none if they are from no file), and the faults found so far."""

    def __init__(self, file: str, value: Any = None):
        self.file, self.value = file, value
        self.lines: dict[KeyPath, int] = {}
        self.files: dict[KeyPath, str] = {}  # of the values that another file gave
        self.refused: set[KeyPath] = set()
        self._faults: list[tuple[str, int, str]] = []

    def fault(self, path: KeyPath, rule: str, got: str, fix: str = "") -> None:
        """Notes that the value at `path` must be `rule`."""
        label = ".".join(str(part) for part in path if not isinstance(part, int)) or "the file"
        self.say(path, f"{label} must be {rule}, got {got}. {fix}".rstrip())

    def say(self, path: KeyPath, text: str, line: int | None = None) -> None:
        """Notes a fault in full words. What stands under a refused value has no faults of its own."""
        if any(path[:n] in self.refused for n in range(len(path) + 1)):
            return
        file = self.file
        if line is None:
            held = next(
                (path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines), None
            )
            line, file = (
                (0, file) if held is None else (self.lines[held], self.files.get(held, file))
            )
        place = f"{file}:{line}" if line else file
        # A lone surrogate (possible by an escape) could not be printed.
        self._faults.append(
            (file, line, f"{place}: {text}".encode(errors="backslashreplace").decode())
        )

    def take_faults(self, other: Source) -> None:
        """Adds another source's faults to these."""
        self._faults += other._faults

    def check(self) -> None:
        """Raises SpaceError with every fault noted so far, in the order of the lines, this file's first."""
        if self._faults:
            raise SpaceError(
                [
                    text
                    for *_, text in sorted(
                        self._faults, key=lambda fault: (fault[0] != self.file, *fault[:2])
                    )
                ]
            )


# In the order of a file; each a mapping of keys to values.
SECTIONS = (
    "budget",
    "early_stopping",
    "search",
    "constraints",
    "verdict",
    "baseline",
    "fixed",
    "derived",
    "first",
    "space",
)
TOP_LEVEL = ("extends", "objective", "preset", "forbidden", *SECTIONS)


def is_experiment(source: Source) -> bool:
    """Whether nothing is searched: `space` is left out or empty, so that OFF and ON run as they stand."""
    return source.value.get("space") in (None, {}) and ("space",) not in source.refused


def section(source: Source, name: str) -> Mapping[str, Any]:
    """A top-level mapping; empty if it is left out or is a fault."""
    value = source.value.get(name, {})
    if isinstance(value, dict):
        return value
    source.fault(
        (name,), "a mapping of keys to values", show(value), f"Indent the keys under `{name}:`."
    )
    return {}


def known(name: Any, names: tuple | Mapping) -> str:
    """The nearest known name, with all names unless there are too many."""
    hint = nearest(str(name), tuple(names))
    return (
        hint
        if hint.startswith("Known") or len(names) > 12
        else f"{hint} Known: {', '.join(names)}."
    )


def check_key(source: Source, path: KeyPath, place: str) -> bool:
    """Whether the configuration key that ends `path` may stand under `place`; notes the fault if not."""
    key = path[-1]
    if key not in RULES:
        source.fault(path, "a configuration key", "an unknown one", known(key, RULES))
    elif key in BUDGET_KEYS:
        source.fault(
            path, "left to the budget", f"it under {place}", f"Set {BUDGET_KEYS[key]} instead."
        )
    elif place != "fixed" and RULES[key].shared:
        source.fault(path, "the same in all trials", f"it under {place}", "Put it under fixed.")
    elif place != "fixed" and key == "train.seed":
        source.fault(
            path, "fixed, as the seed is not searched", f"it under {place}", "Put it under fixed."
        )
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


def values_of(
    source: Source, path: KeyPath, given: Mapping[str, Any], rules: Mapping[str, Rule]
) -> dict[str, Any]:
    values = {name: rule.default for name, rule in rules.items()}
    for name, value in given.items():
        if name not in rules:
            source.fault((*path, name), "a known key", "an unknown one", known(name, rules))
        elif check_value(source, (*path, name), rules[name], value):
            values[name] = rules[name].type(value)
    return values
