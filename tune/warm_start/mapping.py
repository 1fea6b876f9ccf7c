"""From the parameters of another study to those of a space: names, then values."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune.space.expression import ExpressionError
from tune.space.parameter import Parameter, on_grid, values_in_words
from tune.space.source import show
from tune.space.space import Space

ROUNDING = 1e-9  # how far, relatively, a value may miss an end of the range


class Unfit(ValueError):
    """Why a trial cannot be one of the space; `example` is the value met."""

    def __init__(self, why: str, example: str = ""):
        super().__init__(why)
        self.example = example


@dataclass(frozen=True)
class Names:
    """`found`: our key -> the name that it has in the source. `unclear`: our key -> names of which any could be its own."""

    found: Mapping[str, str]
    unclear: Mapping[str, Sequence[str]]
    said: Sequence[str]


def map_names(names: Iterable[str], keys: Iterable[str]) -> Names:
    """Which names of a source stand for which of our keys.

    A name stands for the key that it equals; else for the one that it equals but for case and the signs between its parts; else for the one
    whose last part it is. A name that could stand for several keys, or one of several names for a key, stands for none.
    """
    names, keys = sorted(set(names)), list(keys)
    found: dict[str, str] = {}
    ambiguous: dict[str, list[str]] = {}
    for same in (_exactly, _in_other_signs, _by_last_part):
        settled = {
            *found,
            *found.values(),
            *ambiguous,
            *(key for held in ambiguous.values() for key in held),
        }
        pairs = [
            (key, name)
            for name in names
            if name not in settled
            for key in keys
            if key not in settled and same(name, key)
        ]
        per_key, per_name = Counter(key for key, _ in pairs), Counter(name for _, name in pairs)
        for key, name in pairs:
            if per_key[key] == per_name[name] == 1:
                found[key] = name
            else:
                ambiguous.setdefault(name, []).append(key)
    said = [f"{name} is read as {key}" for key, name in found.items() if name != key]
    said += [
        f"{name} is not used: {'it could be ' + ' or '.join(held) if len(held) > 1 else 'others could be ' + held[0] + ' too'}"
        for name, held in ambiguous.items()
    ]
    left = [name for name in names if name not in found.values() and name not in ambiguous]
    farther = {
        name: [key for key in keys if _in_other_signs(name, key) or _by_last_part(name, key)]
        for name in left
    }
    said += [
        f"{name} is not used: another name is nearer to {' and '.join(near)}"
        for name, near in farther.items()
        if near
    ]
    unknown = [name for name in left if not farther[name]]
    said += [f"not used, as this space does not search it: {', '.join(unknown)}"] if unknown else []
    unclear = {
        key: [name for name, held in ambiguous.items() if key in held]
        for key in keys
        if key not in found
    }
    return Names(found, {key: held for key, held in unclear.items() if held}, said)


def _exactly(name: str, key: str) -> bool:
    return name == key


def _in_other_signs(name: str, key: str) -> bool:
    return _plain(name) == _plain(key)


def _by_last_part(name: str, key: str) -> bool:
    return _plain(name) == _plain(key.rpartition(".")[2])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name).lower()


def mapped_value(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter takes it: numbers may come as text or as the other kind of number, choices as text.

    Raises: Unfit for one that the parameter cannot take.
    """
    found = _choice(parameter.choices, value) if parameter.choices else _number(parameter, value)
    if found is None or not parameter.allows(found):
        raise Unfit(f"{parameter.key} must be {values_in_words(parameter)}", show(value))
    return found


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
    """A number for what reads as one, true and false too; None; else small letters."""
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
    """The number, put on the parameter's grid or its ends where it missed them by a rounding; None for what is none."""
    number = None if isinstance(value, bool) else _read(value)
    if not isinstance(number, float) or not math.isfinite(number):
        return None
    for end in (parameter.low, parameter.high):
        if math.isclose(number, end, rel_tol=ROUNDING):
            number = float(end)
    if parameter.step is not None and on_grid(number, parameter.low, parameter.step):
        number = parameter.low + round((number - parameter.low) / parameter.step) * parameter.step
    if parameter.kind == "int":
        return int(number) if number == int(number) else None
    return (
        min(float(number), parameter.high)
        if math.isclose(number, parameter.high, rel_tol=ROUNDING)
        else float(number)
    )


@dataclass
class TrialMapping:
    """Maps the trials of a source: `settings` that all its trials had, `base` that all of this search start from.

    `assumed` counts what was filled in.
    """

    space: Space
    names: Names
    settings: Mapping[str, Any]
    base: Mapping[str, Any]
    assumed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters that are active. Raises: Unfit."""
        assumed: list[tuple[str, str]] = []

        def pick(parameter: Parameter) -> Any:
            """The trial's value, else what it is taken to have been."""
            name = self.names.found.get(parameter.key)
            if name is not None and name in params:
                return mapped_value(parameter, params[name])
            if unclear := self.names.unclear.get(parameter.key):
                raise Unfit(
                    f"{parameter.key} must be given under one name, got {' and '.join(unclear)}, which could mean it"
                )
            value = mapped_value(parameter, self._missing(parameter))
            assumed.append((parameter.key, show(value)))
            return value

        self._check_settled(self.space.fixed, "fixed to", params)
        values = self.space.sample(pick)
        if not self.settings and len(assumed) == len(values):
            raise Unfit("it gives none of this space's parameters that take part")
        if self.space.forbids(values):
            raise Unfit("the combination must be none that this space forbids")
        try:
            whole = self.space.completed(values, self.base)
        except ExpressionError as error:
            raise Unfit(str(error)) from error
        self._check_settled({key: whole[key] for key in self.space.derived}, "derived as", params)
        self.assumed.update(assumed)
        return values

    def _check_settled(
        self, settled: Mapping[str, Any], how: str, params: Mapping[str, Any]
    ) -> None:
        """Raises: Unfit where a trial has another value of a key that this space does not search but settles."""
        for key, value in settled.items():
            if key in params and _read(params[key]) != _read(value):
                raise Unfit(f"{key} is {how} {show(value)} here", show(params[key]))

    def _missing(self, parameter: Parameter) -> Any:
        """For a parameter that a trial does not have: the source's setting, else the parameter's default, else the configuration's."""
        key = parameter.key
        if key in self.settings:
            return self.settings[key]
        if parameter.default is not None:
            return parameter.default
        default = self.base[key]
        if not parameter.allows(default):
            raise Unfit(
                f"{key} must be given where it is active: its default is none of its values",
                show(default),
            )
        return default
