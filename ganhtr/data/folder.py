"""A folder of line images with their transcriptions in `lines.tsv`.

A row is `file TAB transcription`, or `file TAB transcription TAB group`; UTF-8, where a byte-order mark and CRLF do no
harm and blank rows are passed over. A group is what a split must not tear apart: a page, a writer, a document.
One bad row never takes a study down: its line is skipped, counted and named in the notes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import numpy as np

from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle

TABLE = "lines.tsv"


def read_folder(folder: Path) -> RawLines:
    """Reads the images that the folder's `lines.tsv` names.

    Raises: ValueError when there is no folder or no table, when the table is not UTF-8, when it has no usable line,
    or when more than half of its lines are unusable; the last two with the faults, as `file:line: fault`.
    """
    table = folder / TABLE
    lines: dict[str, RawLine] = {}
    faults: list[Unusable] = []
    for number, row in _rows(folder):
        place = f"{table}:{number}"
        try:
            name, transcript, group = _parse(row, number, place)
            if name in lines:
                raise Unusable("their image is named twice", name, place, "file must be named once, "
                               f"got {name!r} again. Remove one of the rows")
            lines[name] = RawLine(name, group, transcript, _read_image(folder, name, place))
        except Unusable as fault:
            faults.append(fault)
    held = tuple(lines.values())
    notes = settle(table, held, faults, "Mend these rows" if faults else "Write one row for each line image")
    if len({line.group for line in held}) == len(held):
        notes += (f"each line is a group of its own, so a page may be split; name groups in column 3 of {TABLE}",)
    return RawLines(held, notes)


def _rows(folder: Path) -> list[tuple[int, str]]:
    """The rows of the folder's table that are not blank, each with its number."""
    table = folder / TABLE
    if not folder.is_dir():
        raise ValueError(f"{folder}: must be a folder of line images with {TABLE}, got no folder. Check the path")
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{table}: must be a table of rows `file TAB transcription`, got {error.strerror}. "
                         "Write one row for each line image") from error
    except UnicodeDecodeError as error:
        number = error.object[:error.start].count(b"\n") + 1
        raise ValueError(f"{table}:{number}: text must be UTF-8, got byte 0x{error.object[error.start]:02x}. "
                         "Save the table as UTF-8") from error
    # Not splitlines: a transcription may hold U+2028 or a form feed.
    rows = [row.removesuffix("\r") for row in text.split("\n")]
    return [(number, row) for number, row in enumerate(rows, start=1) if row.strip()]


def _parse(row: str, number: int, place: str) -> tuple[str, str, str]:
    """File, transcription and group of a row. Raises: Unusable."""
    name, *columns = row.split("\t")
    where = name if columns and name.strip() else f"{TABLE}:{number}"
    if not 1 <= len(columns) <= 2:
        raise Unusable("their row has not two or three columns", where, place, "row must be file TAB transcription "
                        f"[TAB group], got {len(columns) + 1} columns. Separate the columns by one tab each")
    if not name.strip():
        raise Unusable("their row names no file", where, place, f"file must be a name, got {name!r}. Name the line's image")
    path = Path(name)
    if path.anchor or ".." in path.parts:
        raise Unusable("their file lies outside the folder", where, place, "file must lie in the folder of the table, "
                        f"got {name!r}. Copy the image there")
    if not columns[0].strip():
        raise Unusable("their transcription is empty", where, place, "transcription must hold a character, "
                        f"got {columns[0]!r}. Transcribe the line or remove the row")
    group = columns[1].strip() if len(columns) == 2 else ""
    return path.as_posix(), unicodedata.normalize("NFC", columns[0]), group or group_of(path.as_posix())


def group_of(name: str) -> str:
    """The group that a file name tells: the name up to its line number, or the whole name when it has no such end.

    Without its extension a name ends in a line number when, after its last separator (one of `_ - . /` or a space),
    it has digits, with letters before them or without: `br_0020_l01.png` is in `br_0020`, `page7/03.png` in `page7`,
    `0012.png` in `0012`, a group of its own.
    """
    stem = os.path.splitext(name)[0]
    numbered = re.fullmatch(r"(.*[^_\-./ ])[_\-./ ]+[^\W\d_]*\d+", stem)
    return numbered[1] if numbered else stem


def _read_image(folder: Path, name: str, place: str) -> np.ndarray:
    """The named image in grey (h, w) uint8. Raises: Unusable."""
    path = folder / name
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        raise Unusable("their image is missing", name, place, f"file must be an image in the folder, got {name!r}, which "
                        "is not there. Add the image or remove the row")
    try:
        image = read_grey(path)
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file; the note shows what
        raise Unusable("their image cannot be read", name, place, f"{name} must be a whole image file, "
                        f"got {type(error).__name__}: {error}. Save the image anew") from error
    if min(image.shape) < SMALLEST:
        raise Unusable("their image is too small", name, place, f"{name} must be at least {SMALLEST} px high and "
                        f"{SMALLEST} px wide, got {image.shape[0]} x {image.shape[1]}. Cut the line anew")
    return image
