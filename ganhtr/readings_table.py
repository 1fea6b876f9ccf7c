"""readings.tsv: what the guide reads in each line before and after its restoration, and how far that is from the transcription.

A plain table: columns separated by a tab, a row a line, no quoting. Inside a value a backslash is written `\\\\`, a tab `\\t`, a line feed
`\\n`, a carriage return `\\r`, and every other control character, line separator or undecodable byte `\\uXXXX`.
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
    """One line. `line` is its id on a page, "" for a line image; the transcription is "" where there is none."""

    file: str
    line: str
    before: str
    after: str
    transcription: str = ""


def escape(value: str) -> str:
    """A value as it stands in the table."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), value)


def errors_of(rows: Sequence[Row]) -> tuple[TextErrors, TextErrors]:
    """Errors of the readings before and after, over the rows that have a transcription."""
    held = [row for row in rows if row.transcription]
    references = [row.transcription for row in held]
    return text_errors(references, [row.before for row in held]), text_errors(
        references, [row.after for row in held]
    )


def table(rows: Sequence[Row]) -> str:
    """The text of readings.tsv; CER is the line's own, empty without a transcription."""
    cers = zip(*(errors.line_cer for errors in errors_of(rows)), strict=True)
    written = ["\t".join(COLUMNS)]
    for row in rows:
        rates = [f"{cer:.4f}" for cer in next(cers)] if row.transcription else ["", ""]
        written.append(
            "\t".join(
                [
                    *map(escape, (row.file, row.line, row.before, row.after, row.transcription)),
                    *rates,
                ]
            )
        )
    return "\n".join(written) + "\n"
