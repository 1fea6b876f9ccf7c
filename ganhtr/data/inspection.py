"""What is in a source of lines, counted before a study is begun: sizes, texts, characters, what will be squeezed or cannot be spelt."""

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

NAMED = 5  # lines that are named where more are counted
BROAD = 100  # columns of the text


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some whole numbers."""

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
    """How many there are, the first lines that they stand in, and in how many lines more."""

    count: int
    lines: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True)
class Inspection:
    """Everything that `data inspect` says; `--json` prints these fields by these names.

    Images and transcripts are the source's own (pixels, characters); `squeezed` and `infeasible` hold at the preset's line size.
    The charset is the one given, or that which a study would derive; `infeasible` lines are too long for CTC at `stride` pixels a frame.
    `duplicates` counts the lines whose transcript an earlier line has. `split` is empty where a study could not split the lines,
    and `split_by` then says why.
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
    """Counts the lines of a source; charset and split come with the words that say where they are from."""
    texts, shapes = lines.transcripts, [line.clean.shape for line in lines.lines]
    splits, split_by = split
    sizes = (
        {}
        if splits is None
        else dict(zip(SPLITS, np.bincount(splits, minlength=3).tolist(), strict=True))
    )
    outside = charset[0].outside(texts)
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
        charset=charset[0].characters,
        charset_from=charset[1],
        outside={
            c: replace(_named(lines, [c in text for text in texts]), count=n)
            for c, n in _by_count(outside)
        },
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
    """The commonest first, equally common ones by code point."""
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))


def _named(lines: RawLines, which: Sequence[bool]) -> Counted:
    names = [name for name, one in zip(lines.names, which, strict=True) if one]
    return Counted(len(names), tuple(names[:NAMED]), max(0, len(names) - NAMED))


def describe(found: Inspection) -> str:
    """The inspection as text."""
    height, width = found.fitted
    rows = [
        ("source", f"{found.source} ({found.format})"),
        (
            "lines",
            f"{found.lines} in {found.groups} groups, {found.degraded} with a degraded image",
        ),
        ("height", f"{found.height} px"),
        ("width", f"{found.width} px"),
        ("transcript", f"{found.length} characters"),
        ("repeated", f"{found.duplicates} lines have the transcript of an earlier line"),
        (
            "characters",
            f"{len(found.characters)}: "
            + " ".join(f"{shown(c)}×{n}" for c, n in found.characters.items()),
        ),
        ("charset", f"{len(found.charset)} characters, {found.charset_from}"),
        *(
            ("outside it", f"{shown(c)}×{one.count} in {_names(one)}")
            for c, one in found.outside.items()
        ),
        ("preset", f"{found.preset}, {height} x {width} px, {found.stride} px a frame"),
        ("squeezed", _lines(found.squeezed, "wider than that")),
        ("infeasible", _lines(found.infeasible, "longer than their frames allow")),
        (
            "split",
            ", ".join(f"{n} {name}" for name, n in found.split.items())
            + (f", {found.split_by}" if found.split else found.split_by),
        ),
        *(("note", note) for note in found.notes),
    ]
    return "\n".join(
        row
        for label, text in rows
        for row in wrap(
            f"{label:<12}{text}",
            BROAD,
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def shown(character: str) -> str:
    """A character as it can be seen in a line of text: by its code where it has no ink of its own."""
    plain = (
        character.isprintable() and not character.isspace() and not unicodedata.combining(character)
    )
    return "space" if character == " " else character if plain else f"U+{ord(character):04X}"


def _lines(counted: Counted, what: str) -> str:
    return f"{counted.count} lines {what}" + (f": {_names(counted)}" if counted.count else "")


def _names(counted: Counted) -> str:
    return ", ".join(counted.lines) + (", …" if counted.more else "")
