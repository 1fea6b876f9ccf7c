"""A searched parameter: its values, and the conditions under which it is active."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tune.space.source import show


@dataclass(frozen=True)
class ValueRange:
    """The numbers from `low` to `high`, both included; None is an open end."""

    low: float | None = None
    high: float | None = None

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def to_plain(self) -> dict[str, float]:
        """Return the range as a space file has it."""
        return {
            name: end for name, end in (("min", self.low), ("max", self.high)) if end is not None
        }

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


def plain_condition(allowed: tuple | ValueRange) -> Any:
    """Return a condition as a space file has it."""
    return allowed.to_plain() if isinstance(allowed, ValueRange) else list(allowed)


def condition_in_words(allowed: tuple | ValueRange) -> str:
    """Return a condition in words."""
    return str(allowed) if isinstance(allowed, ValueRange) else " or ".join(map(str, allowed))


Kind = Literal["float", "int", "choice", "bool"]
KINDS: tuple[Kind, ...] = ("float", "int", "choice", "bool")


@dataclass(frozen=True)
class Parameter:
    """A configuration key with its range `low` to `high`, or its `choices` (two for a bool).

    when: ancestor -> condition. The parameter is active if all ancestors are active and have such
        values.
    default: its value while inactive, and in single-trial mode; None leaves that to the
        configuration.
    """

    key: str
    kind: Kind
    low: Any = None
    high: Any = None
    choices: tuple = ()
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple | ValueRange] = field(default_factory=dict)
    default: Any = None

    def active(self, values: Mapping[str, Any]) -> bool:
        """Whether it is active, by the values of the active parameters before it."""
        return all(values.get(key) in allowed for key, allowed in self.when.items())

    def allows(self, value: Any) -> bool:
        """Whether the parameter can take `value`."""
        if self.choices:
            return any(
                value == choice and isinstance(value, bool) == isinstance(choice, bool)
                for choice in self.choices
            )
        numbers = int if self.kind == "int" else (int, float)
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers)
            or not self.low <= value <= self.high
        ):
            return False
        return self.step is None or on_grid(value, self.low, self.step)

    @property
    def finite(self) -> bool:
        """Whether its values can be counted."""
        return bool(self.choices) or self.step is not None or self.kind == "int"

    @property
    def count(self) -> int:
        """The number of values of a finite parameter."""
        return len(self.choices) or round((self.high - self.low) / (self.step or 1)) + 1

    def every_value(self) -> tuple:
        """Return all values of a finite parameter, in order."""
        return self.choices or tuple(map(self._on_grid, range(self.count)))

    def exact(self, value: Any) -> Any:
        """Return the value as `every_value` has it: 1.0 for 1, 0.3 for 0.1 + 2 * 0.1.

        A value that the parameter cannot take is returned unchanged.
        """
        if not self.allows(value):
            return value
        if self.choices:
            return next(choice for choice in self.choices if choice == value)
        if self.step is not None:
            return self._on_grid(round((value - self.low) / self.step))
        return float(value) if self.kind == "float" else value

    def reaches(self, numbers: ValueRange) -> bool:
        """Whether trials have values in the range.

        Of a continuous parameter a single number does not count: no trial has it.
        """
        if self.choices:
            return any(choice in numbers for choice in self.choices)
        low = self.low if numbers.low is None else max(self.low, numbers.low)
        high = self.high if numbers.high is None else min(self.high, numbers.high)
        if not self.finite:
            return low < high
        # The first value at or above `low`; 1e-9 absorbs the rounding of the division.
        steps = math.ceil((low - self.low) / (self.step or 1) - 1e-9)
        return steps < self.count and self._on_grid(steps) in numbers

    def _on_grid(self, steps: int) -> Any:
        # Decimal avoids the errors of adding float steps: 0.1 + 2 * 0.1 is 0.3.
        exact = Decimal(str(self.low)) + steps * Decimal(str(self.step or 1))
        return int(exact) if self.kind == "int" else float(exact)

    def extremes(self) -> tuple:
        """Return every choice, or the ends of the range."""
        return self.choices or (self.low, self.high)

    def random_value(self, rng: random.Random) -> Any:
        """Draw a value, uniformly or, with `log`, uniformly in the logarithm."""
        if self.choices:
            return rng.choice(self.choices)
        if self.step is not None:
            return self._on_grid(rng.randint(0, self.count - 1))
        if self.kind == "int" and not self.log:
            return rng.randint(self.low, self.high)
        if self.kind == "int":
            # Half a unit at each end gives the first and the last integer their full share.
            value: float = round(_log_uniform(rng, self.low - 0.5, self.high + 0.5))
        elif self.log:
            value = _log_uniform(rng, self.low, self.high)
        else:
            value = rng.uniform(self.low, self.high)
        return min(max(value, self.low), self.high)  # exp(log(x)) may miss the ends by a rounding

    def to_plain(self) -> dict[str, Any]:
        """Return the parameter as a space file has it."""
        plain: dict[str, Any] = {self.kind: [self.low, self.high]}
        if self.choices:
            plain = {self.kind: True if self.kind == "bool" else list(self.choices)}
        if self.log:
            plain["log"] = True
        if self.step is not None:
            plain["step"] = self.step
        if self.when:
            plain["when"] = {key: plain_condition(allowed) for key, allowed in self.when.items()}
        if self.default is not None:
            plain["default"] = self.default
        return plain


def on_grid(value: float, low: float, step: float) -> bool:
    """Whether `value` is a whole number of steps above `low`, except for rounding."""
    steps = (value - low) / step
    return math.isfinite(steps) and abs(steps - round(steps)) < 1e-6


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def values_in_words(parameter: Parameter) -> str:
    """Return the values of a parameter in words."""
    if parameter.choices:
        return ", ".join(map(show, parameter.choices))
    step = f" in steps of {show(parameter.step)}" if parameter.step is not None else ""
    return f"{show(parameter.low)} to {show(parameter.high)}{step}"


Condition = tuple | ValueRange  # the allowed values
Clause = Mapping[str, Condition]  # key -> condition


def matches(clause: Clause, values: Mapping[str, Any]) -> bool:
    """Whether the values meet all conditions; `values` has no inactive parameters."""
    return all(key in values and values[key] in allowed for key, allowed in clause.items())
