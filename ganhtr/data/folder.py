"""A folder of line images with their transcriptions in `lines.tsv`.

A row is `file TAB transcription`, or `file TAB transcription TAB group`; UTF-8, where a byte-order mark and CRLF do no
harm and blank rows are passed over. A group is what a split must not tear apart: a page, a writer, a document.
One bad row never takes a study down: its line is skipped, counted and named in the notes.

The images are the clean ones. A line whose degraded image is at hand has it under the same name in the folder `degraded`, of
the same size: `page1/03.png` has its twin in `degraded/page1/03.png`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle

TABLE = "lines.tsv"
DEGRADED = "degraded"  # the folder of the twins
_LONGEST = 200  # bytes of a written file's name, without its number and suffix
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm")


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
                raise Unusable(
                    "their image is named twice",
                    name,
                    place,
                    f"file must be named once, got {name!r} again. Remove one of the rows",
                )
            lines[name] = RawLine(name, group, transcript, *_read_images(folder, name, place))
        except Unusable as fault:
            faults.append(fault)
    held = tuple(lines.values())
    notes = settle(
        table, held, faults, "Mend these rows" if faults else "Write one row for each line image"
    )
    if len({line.group for line in held}) == len(held):
        notes += (
            f"each line is a group of its own, so a page may be split; name groups in column 3 of {TABLE}",
        )
    return RawLines(held, notes)


def _rows(folder: Path) -> list[tuple[int, str]]:
    """The rows of the folder's table that are not blank, each with its number."""
    table = folder / TABLE
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: must be a folder of line images with {TABLE}, got no folder. Check the path"
        )
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(
            f"{table}: must be a table of rows `file TAB transcription`, got {error.strerror}. "
            "Write one row for each line image"
        ) from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{table}:{number}: text must be UTF-8, got byte 0x{error.object[error.start]:02x}. "
            "Save the table as UTF-8"
        ) from error
    # Not splitlines: a transcription may hold U+2028 or a form feed.
    rows = [row.removesuffix("\r") for row in text.split("\n")]
    return [(number, row) for number, row in enumerate(rows, start=1) if row.strip()]


def _parse(row: str, number: int, place: str) -> tuple[str, str, str]:
    """File, transcription and group of a row. Raises: Unusable."""
    name, *columns = row.split("\t")
    where = name if columns and name.strip() else f"{TABLE}:{number}"
    if not 1 <= len(columns) <= 2:
        raise Unusable(
            "their row has not two or three columns",
            where,
            place,
            "row must be file TAB transcription "
            f"[TAB group], got {len(columns) + 1} columns. Separate the columns by one tab each",
        )
    if not name.strip():
        raise Unusable(
            "their row names no file",
            where,
            place,
            f"file must be a name, got {name!r}. Name the line's image",
        )
    path = Path(name)
    if path.anchor or ".." in path.parts:
        raise Unusable(
            "their file lies outside the folder",
            where,
            place,
            f"file must lie in the folder of the table, got {name!r}. Copy the image there",
        )
    if not columns[0].strip():
        raise Unusable(
            "their transcription is empty",
            where,
            place,
            "transcription must hold a character, "
            f"got {columns[0]!r}. Transcribe the line or remove the row",
        )
    group = columns[1].strip() if len(columns) == 2 else ""
    return (
        path.as_posix(),
        unicodedata.normalize("NFC", columns[0]),
        group or group_of(path.as_posix()),
    )


def group_of(name: str) -> str:
    """The group that a file name tells: the name up to its line number, or the whole name when it has no such end.

    Without its extension a name ends in a line number when, after its last separator (one of `_ - . /` or a space),
    it has digits, with letters before them or without: `br_0020_l01.png` is in `br_0020`, `page7/03.png` in `page7`,
    `0012.png` in `0012`, a group of its own.
    """
    stem = os.path.splitext(name)[0]
    numbered = re.fullmatch(r"(.*[^_\-./ ])[_\-./ ]+[^\W\d_]*\d+", stem)
    return numbered[1] if numbered else stem


def _read_images(folder: Path, name: str, place: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The named image and its degraded twin, if there is one, in grey (h, w) uint8. Raises: Unusable."""
    clean = _read_image(folder, name, place)
    twin = f"{DEGRADED}/{name}"
    if not os.path.lexists(folder / twin):
        return clean, None
    degraded = _read_image(folder, twin, place)
    if degraded.shape != clean.shape:
        raise Unusable(
            "their degraded image has another size",
            name,
            place,
            f"{twin} must be as large as the clean image "
            f"({clean.shape[0]} x {clean.shape[1]}), got {degraded.shape[0]} x {degraded.shape[1]}. Cut both alike",
        )
    return clean, degraded


def _read_image(folder: Path, name: str, place: str) -> np.ndarray:
    """The named image in grey (h, w) uint8. Raises: Unusable."""
    path = folder / name
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        raise Unusable(
            "their image is missing",
            name,
            place,
            f"file must be an image in the folder, got {name!r}, which "
            "is not there. Add the image or remove the row",
        )
    try:
        image = read_grey(path)
    except (
        Exception
    ) as error:  # Pillow's plugins raise nearly anything on a damaged file; the note shows what
        raise Unusable(
            "their image cannot be read",
            name,
            place,
            f"{name} must be a whole image file, "
            f"got {type(error).__name__}: {error}. Save the image anew",
        ) from error
    if min(image.shape) < SMALLEST:
        raise Unusable(
            "their image is too small",
            name,
            place,
            f"{name} must be at least {SMALLEST} px high and "
            f"{SMALLEST} px wide, got {image.shape[0]} x {image.shape[1]}. Cut the line anew",
        )
    return image


def write_folder(folder: Path, lines: Iterable[RawLine]) -> tuple[int, tuple[str, ...]]:
    """Writes lines as a new folder that `read_folder` reads: PNG images, twins in `degraded`, every line's group in column 3.

    A file's name is the line's, in which all but letters, digits, spaces and `-._` becomes `_`, with a number behind it where
    it is taken. A tab or line break inside a transcription or group becomes a space, for it would end the column or the row.
    The folder appears only when it is whole. Returns how many lines it has, and notes on what was changed or left out.

    Raises: ValueError when no line can be written; OSError, as when there is such a folder.
    """
    rows: list[str] = []
    left, changed, taken = 0, 0, set[str]()
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    half = making / "whole"  # has the usual permissions, which mkdtemp does not give
    half.mkdir()
    try:
        for line in lines:
            transcript = one_row(line.transcript)
            if not transcript.strip():
                left += 1
                continue
            changed += transcript != line.transcript
            name = _file_name(line.name, taken)
            Image.fromarray(line.clean).save(half / name)
            if line.degraded is not None:
                (half / DEGRADED).mkdir(exist_ok=True)
                Image.fromarray(line.degraded).save(half / DEGRADED / name)
            rows.append(f"{name}\t{transcript}\t{one_row(line.group)}\n")
        if not rows:
            raise ValueError(
                f"{folder}: lines must be at least one with text, got none. Take another source"
            )
        (half / TABLE).write_bytes("".join(rows).encode(errors="replace"))
        half.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return len(rows), (
        (f"{changed} transcriptions had tabs or line breaks, which became spaces",)
        if changed
        else ()
    ) + ((f"{left} lines without text were left out",) if left else ())


def one_row(text: str) -> str:
    """The text with a space for each tab and line break, as it fits into a column of a row."""
    return re.sub(r"\r\n|[\t\r\n]", " ", text)


def _file_name(name: str, taken: set[str]) -> str:
    """A file name of our own for a line's name, unlike those taken also where case is of no account, and takes it."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name))
    stem = stem if suffix.lower() in _IMAGES else stem + suffix
    stem = "".join(c if c.isalnum() or c in " -._" else "_" for c in stem).strip(" .")
    stem = stem.encode()[:_LONGEST].decode(errors="ignore").rstrip(" .") or "line"
    number, free = 1, stem
    while free.casefold() in taken:
        number += 1
        free = f"{stem}-{number}"
    taken.add(free.casefold())
    return f"{free}.png"
