"""Inspection of a source of lines before a study: sizes, texts, characters, what does not fit."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

import numpy as np

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.fitting import is_squeezed
from ganhtr.data.pairs import SPLITS
from ganhtr.data.raw import RawLines

NAMED = 5  # lines that a count names
BROAD = 100  # columns of the text


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of integers."""

    min: int
    median: float
    max: int

    @classmethod
    def of(cls, values: Sequence[int]) -> Spread:
        return cls(int(min(values)), float(np.median(values)), int(max(values)))

    def __str__(self) -> str:
        return f"{self.median:g} ({self.min} to {self.max})"


@dataclass(frozen=True)
class Counted:
    """A count, the names of the first lines concerned, and the number of further lines."""

    count: int
    lines: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True)
class Inspection:
    """The result of `data inspect`; `--json` prints these fields by these names.

    Sizes are in pixels and characters of the source. `squeezed` and `infeasible` refer to the line
    size of the preset; infeasible lines are too long for CTC at `stride` pixels per frame.
    `charset` is the given one, or else the one that a study would derive. `duplicates` counts the
    lines with the transcript of an earlier line. If a study cannot split the lines, `split` is
    empty and `split_by` says why.
    """

    source: str
    format: str
    lines: int
    groups: int
    degraded: int
    height: Spread
    width: Spread
    length: Spread
    duplicates: int
    characters: dict[str, int]
    charset: str
    charset_from: str
    outside: dict[str, Counted]
    preset: str
    fitted: tuple[int, int]
    squeezed: Counted
    stride: int
    infeasible: Counted
    split: dict[str, int]
    split_by: str
    notes: tuple[str, ...]


def inspect_lines(
    source: str,
    form: str,
    lines: RawLines,
    charset: tuple[Charset, str],
    split: tuple[np.ndarray | None, str],
    preset: str,
    data: DataConfig,
    infeasible: Sequence[bool],
    stride: int,
) -> Inspection:
    """Inspect the lines of a source. Charset and split come with a description of their origin."""
    texts, shapes = lines.transcripts, [line.clean.shape for line in lines.lines]
    known, charset_from = charset
    splits, split_by = split
    sizes: dict[str, int] = {}
    if splits is not None:
        counts = np.bincount(splits, minlength=len(SPLITS)).tolist()
        sizes = {split: count for split, count in zip(SPLITS, counts, strict=True) if count}
    outside = {
        character: replace(_named(lines, [character in text for text in texts]), count=count)
        for character, count in _by_count(known.outside(texts))
    }
    return Inspection(
        source=source,
        format=form,
        lines=len(lines),
        groups=len(set(lines.groups)),
        degraded=sum(line.degraded is not None for line in lines.lines),
        height=Spread.of([shape[0] for shape in shapes]),
        width=Spread.of([shape[1] for shape in shapes]),
        length=Spread.of([len(text) for text in texts]),
        duplicates=len(texts) - len(set(texts)),
        characters=dict(_by_count(Counter("".join(texts)))),
        charset=known.characters,
        charset_from=charset_from,
        outside=outside,
        preset=preset,
        fitted=(data.height, data.width),
        squeezed=_named(lines, [is_squeezed(shape, data) for shape in shapes]),
        stride=stride,
        infeasible=_named(lines, infeasible),
        split=sizes,
        split_by=split_by,
        notes=lines.notes,
    )


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    """Sort by count, highest first, then by code point."""
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))


def _named(lines: RawLines, which: Sequence[bool]) -> Counted:
    names = [name for name, chosen in zip(lines.names, which, strict=True) if chosen]
    return Counted(len(names), tuple(names[:NAMED]), max(0, len(names) - NAMED))


def describe(inspection: Inspection) -> str:
    """Return the inspection as text."""
    height, width = inspection.fitted
    characters = [f"{shown(c)}×{count}" for c, count in inspection.characters.items()]
    sizes = ", ".join(f"{count} {name}" for name, count in inspection.split.items())
    rows = [
        ("source", f"{inspection.source} ({inspection.format})"),
        (
            "lines",
            f"{inspection.lines} in {inspection.groups} groups, "
            f"{inspection.degraded} with a degraded image",
        ),
        ("height", f"{inspection.height} px"),
        ("width", f"{inspection.width} px"),
        ("transcript", f"{inspection.length} characters"),
        ("repeated", f"{inspection.duplicates} lines have the transcript of an earlier line"),
        ("characters", f"{len(characters)}: {' '.join(characters)}"),
        ("charset", f"{len(inspection.charset)} characters, {inspection.charset_from}"),
    ]
    for character, counted in inspection.outside.items():
        rows.append(("outside it", f"{shown(character)}×{counted.count} in {_names(counted)}"))
    rows += [
        ("preset", f"{inspection.preset}, {height} x {width} px, {inspection.stride} px a frame"),
        ("squeezed", _lines(inspection.squeezed, "wider than that")),
        ("infeasible", _lines(inspection.infeasible, "longer than their frames allow")),
        ("split", f"{sizes}, {inspection.split_by}" if sizes else inspection.split_by),
    ]
    rows += [("note", note) for note in inspection.notes]
    return "\n".join(line for label, text in rows for line in _wrapped(label, text))


def _wrapped(label: str, text: str) -> list[str]:
    indent = " " * 12
    return wrap(
        f"{label:<12}{text}",
        BROAD,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(character: str) -> str:
    """Return a character, or its code point if it cannot be seen in a line of text."""
    if character == " ":
        return "space"
    visible = character.isprintable() and not character.isspace()
    plain = visible and not unicodedata.combining(character)
    return character if plain else f"U+{ord(character):04X}"


def _lines(counted: Counted, what: str) -> str:
    return f"{counted.count} lines {what}" + (f": {_names(counted)}" if counted.count else "")


def _names(counted: Counted) -> str:
    return ", ".join(counted.lines) + (", …" if counted.more else "")
