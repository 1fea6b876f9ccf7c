"""The plain values of a space file, their lines and faults, and checks for all sections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganhtr.config import RULES, Rule, nearest
from tune.faults import Faults
from tune.space.settings import BUDGET_KEYS, SEARCHABLE

# Keys and list positions from the top of the file: ("space", "head.dim", "choice", 2)
KeyPath = tuple
LONGEST_FAULT = 2000  # characters


class SpaceError(ValueError):
    """One or more faults of a search space; `faults` has one line for each."""

    def __init__(self, faults: list[str]):
        self.faults = [printable(fault, LONGEST_FAULT) for fault in faults]
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple:
        return SpaceError, (self.faults,)


def show(value: Any) -> str:
    """Return a value as an error message shows it."""
    text = json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def printable(text: str, longest: int = 600) -> str:
    """Return untrusted text for a terminal; of a long text the two ends."""
    if len(text) > longest:
        text = f"{text[: longest // 2 - 3]}...{text[-longest // 2 :]}"
    return "".join(character if character.isprintable() else "?" for character in text)


class Source:
    """The plain values of a space file, their line numbers, and the faults found in them.

    Values that do not come from a file have no lines.
    """

    def __init__(self, file: str, value: Any = None):
        self.file, self.value = file, value
        self.lines: dict[KeyPath, int] = {}
        self.files: dict[KeyPath, str] = {}  # of the values that an extended file gives
        self.refused: set[KeyPath] = set()  # values already reported, such as aliases
        self.faults = Faults(file)

    def fault(self, path: KeyPath, text: str, line: int | None = None) -> None:
        """Note a fault of the value at `path`. A value below a refused one has no further faults.

        line: of this file, if it is not that of the value.
        """
        if any(path[:size] in self.refused for size in range(len(path) + 1)):
            return
        key = ".".join(str(part) for part in path if not isinstance(part, int))
        file = self.file
        if line is None:
            file, line = self._place(path)
        self.faults.add(f"{key}: {text}" if key else text, line, file)

    def must_be(self, path: KeyPath, rule: str, value: str, fix: str = "") -> None:
        """Note that the value at `path` does not follow a rule."""
        subject = "" if path else "the file "
        self.fault(path, f"{subject}must be {rule}, got {value}. {fix}".rstrip())

    def _place(self, path: KeyPath) -> tuple[str, int]:
        """The file and line of the value, or of the nearest one around it; line 0 if none."""
        for size in range(len(path), -1, -1):
            if path[:size] in self.lines:
                return self.files.get(path[:size], self.file), self.lines[path[:size]]
        return self.file, 0

    def check(self) -> None:
        """Raise SpaceError with every fault so far: by line, those of this file first."""
        if self.faults.count:
            raise SpaceError(self.faults.texts())


def is_experiment(source: Source) -> bool:
    """Whether nothing is searched: `space` is left out or empty."""
    return source.value.get("space") in (None, {}) and ("space",) not in source.refused


def section(source: Source, name: str) -> Mapping[str, Any]:
    """Return a top-level mapping; empty if it is left out or has a fault."""
    value = source.value.get(name, {})
    if isinstance(value, dict):
        return value
    source.must_be(
        (name,), "a mapping of keys to values", show(value), f"Indent the keys under `{name}:`."
    )
    return {}


def hint(name: Any, names: Iterable[str]) -> str:
    """Return the most similar known name, and all names unless there are many."""
    names = tuple(names)
    similar = nearest(str(name), names)
    if similar.startswith("Known") or len(names) > 12:
        return similar
    return f"{similar} Known: {', '.join(names)}."


def unknown_key(source: Source, path: KeyPath, names: Iterable[str]) -> None:
    """Note that the last key of `path` is none of `names`."""
    source.fault(path, f"unknown key. {hint(path[-1], names)}")


def check_key(source: Source, path: KeyPath, place: str) -> bool:
    """Whether the configuration key at the end of `path` may be set under `place`; else a fault."""
    key = path[-1]
    if key not in RULES:
        source.fault(path, f"not a configuration key. {hint(key, RULES)}")
    elif key in BUDGET_KEYS:
        source.fault(path, f"cannot be set here. Set {BUDGET_KEYS[key]} instead.")
    elif place != "fixed" and key not in SEARCHABLE:
        source.fault(path, "can only be set under fixed. Move it there.")
    else:
        return True
    return False


def check_not_under(source: Source, path: KeyPath, places: Sequence[str]) -> bool:
    """Whether the key at the end of `path` is in none of these sections; else a fault."""
    for place in places:
        if isinstance(source.value.get(place), dict) and path[-1] in source.value[place]:
            source.fault(path, f"the key is also under {place}. Remove one.")
            return False
    return True


def check_searched(source: Source, path: KeyPath, searched: Iterable[str]) -> bool:
    """Whether the key at the end of `path` is a searched one; else a fault."""
    key, searched = path[-1], tuple(searched)
    if key in searched:
        return True
    if key in RULES:
        source.fault(path, "the key is not searched. Add it to space, or remove it here.")
    else:
        source.fault(path, f"not a configuration key. {hint(key, searched or RULES)}")
    return False


def check_value(source: Source, path: KeyPath, rule: Rule, value: Any) -> bool:
    """Whether `value` follows `rule`; else a fault."""
    if rule.fault(value) is None:
        return True
    if rule.type is bool:
        fix = "Write true or false; yes, no, on and off are text here."
    elif rule.choices:
        # The rule lists the choices already: only the most similar one helps.
        fix = nearest(str(value), rule.choices)
        fix = "" if fix.startswith("Known") else fix
    elif isinstance(value, str) and rule.type in (int, float):
        fix = "Write a number without quotes or units."
    else:
        fix = f"Meaning: {rule.doc}."
    source.must_be(path, rule.words(), show(value), fix)
    return False


def check_unique(source: Source, path: KeyPath, values: Sequence[Any]) -> bool:
    """Whether no value of the list at `path` is there twice; else a fault for each repetition."""
    repeated = [index for index, value in enumerate(values) if value in values[:index]]
    for index in repeated:
        source.fault((*path, index), f"{show(values[index])} is listed twice. Remove one.")
    return not repeated


def read_values(
    source: Source, path: KeyPath, plain: Mapping[str, Any], rules: Mapping[str, Rule]
) -> dict[str, Any]:
    """Return the values of a mapping by name, checked; defaults for those left out or at fault."""
    values = {name: rule.default for name, rule in rules.items()}
    for name, value in plain.items():
        if name not in rules:
            unknown_key(source, (*path, name), rules)
        elif check_value(source, (*path, name), rules[name], value):
            values[name] = rules[name].type(value)
    return values


def dependency_order(
    needs: Mapping[str, Iterable[str]],
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return names so that all come after those that they need, and the cycles that prevent it.

    Otherwise the order is that of `needs`, which graphlib would not keep.
    """
    order: dict[str, None] = {}
    cycles = []

    def place(name: str, trail: tuple[str, ...]) -> None:
        """Add a name after those that it needs; `trail` leads to it."""
        if name in trail:
            cycles.append((*trail[trail.index(name) :], name))
        elif name not in order and name in needs:
            for needed in needs[name]:
                place(needed, (*trail, name))
            order[name] = None

    for name in needs:
        place(name, ())
    return list(order), cycles
