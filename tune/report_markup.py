"""Tables and cells of a report in Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

WORDS = ("proposed by", "status", "values")  # columns of words, to the left


def cell(text: Any) -> str:
    """Escape a table cell: pipes, line breaks and HTML tags of a name or value."""
    plain = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(plain.splitlines())


def shown(value: float | None, form: str = "{:#.4g}") -> str:
    """A number, or `-` where it was not measured."""
    return "-" if value is None or not math.isfinite(value) else form.format(value)


def table(header: list[str], rows: list[list[str]], words: Collection[str] = WORDS) -> str:
    """A Markdown table with padded columns, readable in a terminal too.

    words: titles of columns that are left-aligned, as the first column is.
    """
    everything = [header, *rows]
    widths = [max(3, *(len(row[i]) for row in everything)) for i in range(len(header))]
    left = [i == 0 or title in words for i, title in enumerate(header)]

    def line(row: list[str]) -> str:
        padded = (
            text.ljust(w) if to_left else text.rjust(w)
            for text, w, to_left in zip(row, widths, left, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = (
        "|"
        + "|".join(
            "-" * (w + 2) if to_left else "-" * (w + 1) + ":"
            for w, to_left in zip(widths, left, strict=True)
        )
        + "|"
    )
    return "\n".join([line(header), rule, *map(line, rows)])


def listed(words: Iterable[Any]) -> str:
    """One, two and three."""
    *first, last = [str(word) for word in words] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def short(values: Mapping[str, Any]) -> str:
    """A trial's values in one line, keys without their section."""
    words = {
        key.split(".")[-1]: f"{value:.3g}" if isinstance(value, float) else value
        for key, value in values.items()
    }
    return " ".join(f"{key}={value}" for key, value in words.items())
