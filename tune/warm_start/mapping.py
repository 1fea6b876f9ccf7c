"""From the parameters of another study to those of a space: names, then values."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tune.space.expression import ExpressionError
from tune.space.parameter import Parameter, on_grid, values_in_words
from tune.space.source import show
from tune.space.space import Space

ROUNDING = 1e-9  # the relative error by which a value may miss an end of its range


class Unfit(ValueError):
    """Why a trial cannot be one of the space; `example` is the value in question."""

    def __init__(self, why: str, example: str = ""):
        super().__init__(why)
        self.example = example


@dataclass(frozen=True)
class Names:
    """Which name of the source matches which key of the space.

    `matched` maps a key to its name, `ambiguous` a key without a match to the names that may mean
    it. `notes` describe every name that is not exactly a key.
    """

    matched: Mapping[str, str]
    ambiguous: Mapping[str, Sequence[str]]
    notes: Sequence[str]


def map_names(names: Iterable[str], keys: Iterable[str]) -> Names:
    """Match the names of a source to keys.

    A name matches the key that it equals; else the key that differs only in case and punctuation;
    else the key whose last part it is. A name that fits several keys, or one of several names that
    fit a key, matches none.
    """
    names, keys = sorted(set(names)), list(keys)
    matched: dict[str, str] = {}
    rivals: dict[str, list[str]] = {}  # name -> the keys that it may mean
    for same in (_exactly, _but_for_punctuation, _by_last_part):
        # A closer match settles both sides, as does an ambiguity: a looser rule cannot resolve it.
        settled = {*matched, *matched.values(), *rivals, *chain(*rivals.values())}
        free = [key for key in keys if key not in settled]
        pairs = [
            (key, name) for name in names if name not in settled for key in free if same(name, key)
        ]
        per_key, per_name = Counter(key for key, _ in pairs), Counter(name for _, name in pairs)
        for key, name in pairs:
            if per_key[key] == per_name[name] == 1:
                matched[key] = name
            else:
                rivals.setdefault(name, []).append(key)
    notes = [f"{name} is read as {key}" for key, name in matched.items() if name != key]
    notes += [
        f"{name} is not used: no clear match ({', '.join(candidates)})"
        for name, candidates in rivals.items()
    ]
    left = [name for name in names if name not in rivals and name not in matched.values()]
    close = {
        name: [key for key in keys if _but_for_punctuation(name, key) or _by_last_part(name, key)]
        for name in left
    }
    notes += [
        f"{name} is not used: another name is closer to {' and '.join(candidates)}"
        for name, candidates in close.items()
        if candidates
    ]
    if unknown := [name for name in left if not close[name]]:
        notes.append(f"not used, as this space does not search it: {', '.join(unknown)}")
    ambiguous = {
        key: [name for name, candidates in rivals.items() if key in candidates]
        for key in keys
        if key not in matched
    }
    return Names(matched, {key: each for key, each in ambiguous.items() if each}, notes)


def _exactly(name: str, key: str) -> bool:
    return name == key


def _but_for_punctuation(name: str, key: str) -> bool:
    return _plain(name) == _plain(key)


def _by_last_part(name: str, key: str) -> bool:
    return _plain(name) == _plain(key.rpartition(".")[2])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name).lower()


def mapped_value(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter takes it.

    Numbers may come as text or as the other kind of number, choices as text.

    Raises: Unfit for a value that the parameter cannot take.
    """
    choices = parameter.choices
    mapped = _choice(choices, value) if choices else _number(parameter, value)
    if mapped is None or not parameter.allows(mapped):
        raise Unfit(f"{parameter.key} must be {values_in_words(parameter)}", show(value))
    return mapped


def _choice(choices: tuple, value: Any) -> Any:
    """The choice that equals the value; else the only one that reads like it."""
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    if isinstance(value, bool):  # true is not the number 1
        choices = tuple(choice for choice in choices if isinstance(choice, (bool, str)))
    alike = [choice for choice in choices if _read(choice) == _read(value)]
    return alike[0] if len(alike) == 1 else None


def _read(value: Any) -> Any:
    """A number for what reads as one, true and false too; None; else the text in lower case."""
    if value is None:
        return None
    if isinstance(value, (bool, int, float)):
        return float(value)
    text = str(value).strip().lower()
    try:
        return {"true": 1.0, "false": 0.0}[text] if text in ("true", "false") else float(text)
    except ValueError:
        return text


def _number(parameter: Parameter, value: Any) -> Any:
    """The number, rounded to the parameter's grid and ends; None for what is not a number."""
    number = None if isinstance(value, bool) else _read(value)
    if not isinstance(number, float) or not math.isfinite(number):
        return None
    for end in (parameter.low, parameter.high):
        if math.isclose(number, end, rel_tol=ROUNDING):
            number = float(end)
    low, step = parameter.low, parameter.step
    if step is not None and on_grid(number, low, step):
        number = low + round((number - low) / step) * step
    if parameter.kind == "int":
        return int(number) if number == int(number) else None
    if math.isclose(number, parameter.high, rel_tol=ROUNDING):  # the grid may end above it
        return min(float(number), parameter.high)
    return float(number)


@dataclass
class TrialMapping:
    """Maps the trials of a source to values of a space.

    `settings` are those that all trials of the source had. `assumed` counts the values that were
    filled in.
    """

    space: Space
    names: Names
    settings: Mapping[str, Any]
    assumed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the active parameters. Raises: Unfit."""
        assumed: list[tuple[str, str]] = []

        def pick(parameter: Parameter) -> Any:
            """The trial's value, or the assumed one."""
            name = self.names.matched.get(parameter.key)
            if name is not None and name in params:
                return mapped_value(parameter, params[name])
            if names := self.names.ambiguous.get(parameter.key):
                raise Unfit(f"{parameter.key} is ambiguous: it could be {' or '.join(names)}")
            value = mapped_value(parameter, self._missing(parameter))
            assumed.append((parameter.key, show(value)))
            return value

        self._check_settled(self.space.fixed, "fixed to", params)
        values = self.space.sample(pick)
        if not self.settings and len(assumed) == len(values):
            raise Unfit("it has none of this space's active parameters")
        if self.space.forbids(values):
            raise Unfit("this space forbids the combination")
        try:
            whole = self.space.completed(values)
        except ExpressionError as error:
            raise Unfit(str(error)) from error
        self._check_settled({key: whole[key] for key in self.space.derived}, "derived as", params)
        self.assumed.update(assumed)
        return values

    def _check_settled(self, settled: Mapping[str, Any], how: str, params: Mapping) -> None:
        """Raise Unfit for a trial with another value of a key that this space does not search."""
        for key, value in settled.items():
            if key in params and _read(params[key]) != _read(value):
                raise Unfit(f"{key} is {how} {show(value)} here", show(params[key]))

    def _missing(self, parameter: Parameter) -> Any:
        """The source's setting, else the parameter's default, else the configuration's value."""
        key = parameter.key
        if key in self.settings:
            return self.settings[key]
        if parameter.default is not None:
            return parameter.default
        default = self.space.start()[key]
        if not parameter.allows(default):
            raise Unfit(f"{key} is missing, and its default is not allowed here", show(default))
        return default
