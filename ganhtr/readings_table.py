"""readings.tsv: the guide's reading of each line before and after restoration, and its errors.

A plain table: one row per line, columns separated by a tab, no quoting. Inside a value a backslash
is written `\\\\`, a tab `\\t`, a line feed `\\n`, a carriage return `\\r`, and every other control
character, line separator or undecodable byte `\\uXXXX`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ganhtr.metrics.text import TextErrors, text_errors

NAME = "readings.tsv"
COLUMNS = (
    "file",
    "line",
    "reading_before",
    "reading_after",
    "transcription",
    "cer_before",
    "cer_after",
)
_SPECIAL = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


@dataclass(frozen=True)
class Row:
    """One line. `line` is its id on a page, empty for a line image."""

    file: str
    line: str
    before: str
    after: str
    transcription: str = ""


def escape(value: str) -> str:
    """Return a value as it is written in the table."""
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), value)


def errors_of(rows: Sequence[Row]) -> tuple[TextErrors, TextErrors]:
    """Return the errors of the readings before and after, for the rows with a transcription."""
    transcribed = [row for row in rows if row.transcription]
    references = [row.transcription for row in transcribed]
    before = text_errors(references, [row.before for row in transcribed])
    return before, text_errors(references, [row.after for row in transcribed])


def table(rows: Sequence[Row]) -> str:
    """Return the text of readings.tsv. A row without transcription has no CER."""
    before, after = errors_of(rows)
    cers = zip(before.line_cer, after.line_cer, strict=True)
    lines: list[Sequence[str]] = [COLUMNS]
    for row in rows:
        rates = [f"{cer:.4f}" for cer in next(cers)] if row.transcription else ["", ""]
        values = (row.file, row.line, row.before, row.after, row.transcription)
        lines.append((*map(escape, values), *rates))
    return "".join("\t".join(line) + "\n" for line in lines)
