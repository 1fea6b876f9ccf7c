"""A range of numbers that a condition names: `when: {contrastive.weight: {min: 1, max: 10}}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValueRange:
    """From `low` to `high`, ends included; None where an end is open. Only numbers are in it."""

    low: float | None = None
    high: float | None = None

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def to_plain(self) -> dict[str, float]:
        """As a space file has it."""
        return {name: end for name, end in (("min", self.low), ("max", self.high)) if end is not None}

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


def plain_condition(allowed: tuple | ValueRange) -> Any:
    """The values of a condition as a space file has them."""
    return allowed.to_plain() if isinstance(allowed, ValueRange) else list(allowed)


def condition_in_words(allowed: tuple | ValueRange) -> str:
    """The values of a condition for a person."""
    return str(allowed) if isinstance(allowed, ValueRange) else " or ".join(map(str, allowed))
