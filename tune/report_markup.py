"""Tables and cells of a report in Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

WORDS = ("proposed by", "status", "values")  # columns of text, aligned left


def cell(text: Any) -> str:
    """Return a text as a table cell: pipes and line breaks are harmless, tags are not HTML."""
    plain = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(plain.splitlines())


def shown(value: float | None, form: str = "{:#.4g}") -> str:
    """Return a formatted number, or `-` if it is missing or not finite."""
    return "-" if value is None or not math.isfinite(value) else form.format(value)


def table(header: list[str], rows: list[list[str]], words: Collection[str] = WORDS) -> str:
    """Return a Markdown table with padded columns, for reading in a terminal too.

    The first column and those titled in `words` are aligned left, the others right.
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    left = [column == 0 or title in words for column, title in enumerate(header)]
    rule = [
        "-" * (width + 2) if to_left else "-" * (width + 1) + ":"
        for width, to_left in zip(widths, left, strict=True)
    ]

    def line(row: Iterable[str]) -> str:
        cells = (
            text.ljust(width) if to_left else text.rjust(width)
            for text, width, to_left in zip(row, widths, left, strict=True)
        )
        return f"| {' | '.join(cells)} |"

    return "\n".join([line(header), f"|{'|'.join(rule)}|", *map(line, rows)])


def listed(words: Iterable[Any]) -> str:
    """Return `one, two and three`."""
    *first, last = [str(word) for word in words] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def clock(seconds: float) -> str:
    """Return minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def short(values: Mapping[str, Any]) -> str:
    """Return a trial's values in one line, keys without their section."""
    words = {
        key.split(".")[-1]: f"{value:.3g}" if isinstance(value, float) else value
        for key, value in values.items()
    }
    return " ".join(f"{key}={value}" for key, value in words.items())
