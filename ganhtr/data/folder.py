"""A folder of line images with their transcriptions in `lines.tsv`.

A row is `file TAB transcription` or `file TAB transcription TAB group`, in UTF-8. A byte-order
mark, CRLF line ends and blank rows are accepted. Lines of one group (a page, a writer, a document)
go into the same split. A bad row is skipped, and the notes count and name it.

The images are the clean ones. The degraded image of a line, if there is one, has the same name and
size in the folder `degraded`: `degraded/page1/03.png` belongs to `page1/03.png`.
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

from ganhtr.atomic import encode_png
from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle

TABLE = "lines.tsv"
DEGRADED = "degraded"  # the folder of the degraded images
_LONGEST = 200  # bytes of a written file's name, without number and suffix
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm")


def read_folder(folder: Path) -> RawLines:
    """Read the images that the folder's `lines.tsv` names.

    Raises: ValueError when the folder or the table does not exist, when the table is not UTF-8,
        when it has no usable line, or when more than half of its lines are unusable. The last two
        list the faults as `file:line: fault`.
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
                    "image named twice",
                    name,
                    place,
                    f"{name!r} is already named in another row. Remove one of the rows",
                )
            lines[name] = RawLine(name, group, transcript, *_read_images(folder, name, place))
        except Unusable as fault:
            faults.append(fault)
    usable = tuple(lines.values())
    fix = "Correct these rows" if faults else "Write one row for each line image"
    notes = settle(table, usable, faults, fix)
    if len({line.group for line in usable}) == len(usable):
        notes += (
            "each line is a group of its own, so the lines of a page may go into different "
            f"splits; give groups in column 3 of {TABLE}",
        )
    return RawLines(usable, notes)


def _rows(folder: Path) -> list[tuple[int, str]]:
    """Return the rows of the folder's table that are not blank, each with its number."""
    table = folder / TABLE
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: must be a folder of line images with {TABLE}, but is not a folder. "
            "Check the path"
        )
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(
            f"{table}: cannot read the table of lines: {error.strerror}. "
            "Write one row `file TAB transcription` for each line image"
        ) from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{table}:{number}: text must be UTF-8, got byte 0x{error.object[error.start]:02x}. "
            "Save the table as UTF-8"
        ) from error
    # Not splitlines: a transcription may contain U+2028 or a form feed.
    rows = [row.removesuffix("\r") for row in text.split("\n")]
    return [(number, row) for number, row in enumerate(rows, start=1) if row.strip()]


def _parse(row: str, number: int, place: str) -> tuple[str, str, str]:
    """Return file, transcription and group of a row. Raises: Unusable."""
    name, *columns = row.split("\t")
    label = name if columns and name.strip() else f"{TABLE}:{number}"
    if not 1 <= len(columns) <= 2:
        raise Unusable(
            "row without two or three columns",
            label,
            place,
            "a row must be file TAB transcription [TAB group], "
            f"got {len(columns) + 1} columns. Separate the columns by one tab each",
        )
    if not name.strip():
        raise Unusable(
            "row without a file name",
            label,
            place,
            f"the file name is empty ({name!r}). Name the line's image",
        )
    path = Path(name)
    if path.anchor or ".." in path.parts:
        raise Unusable(
            "file outside the folder",
            label,
            place,
            f"the file must be in the folder of the table, got {name!r}. Copy the image there",
        )
    if not columns[0].strip():
        raise Unusable(
            "empty transcription",
            label,
            place,
            f"the transcription is empty ({columns[0]!r}). Transcribe the line or remove the row",
        )
    group = columns[1].strip() if len(columns) == 2 else ""
    transcript = unicodedata.normalize("NFC", columns[0])
    return path.as_posix(), transcript, group or group_of(path.as_posix())


def group_of(name: str) -> str:
    """Derive a group from a file name: the name up to its line number, or else the whole name.

    The line number is at the end of the name without its extension: digits, possibly after
    letters, behind the last separator (one of `_ - . /` or a space). `br_0020_l01.png` is in
    `br_0020` and `page7/03.png` in `page7`, but `0012.png` is a group of its own, `0012`.
    """
    stem = os.path.splitext(name)[0]
    # A name that does not end in a separator; separators; letters; digits.
    numbered = re.fullmatch(r"(.*[^_\-./ ])[_\-./ ]+[^\W\d_]*\d+", stem)
    return numbered[1] if numbered else stem


def _read_images(folder: Path, name: str, place: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the named image and its degraded image, if any, as grey (h, w) uint8.

    Raises: Unusable.
    """
    clean = _read_image(folder, name, place)
    degraded_name = f"{DEGRADED}/{name}"
    if not os.path.lexists(folder / degraded_name):
        return clean, None
    degraded = _read_image(folder, degraded_name, place)
    if degraded.shape != clean.shape:
        raise Unusable(
            "degraded image of another size",
            name,
            place,
            f"{degraded_name} must have the size of the clean image "
            f"({clean.shape[0]} x {clean.shape[1]}), "
            f"got {degraded.shape[0]} x {degraded.shape[1]}. Cut both images alike",
        )
    return clean, degraded


def _read_image(folder: Path, name: str, place: str) -> np.ndarray:
    """Return the named image as grey (h, w) uint8. Raises: Unusable."""
    path = folder / name
    if not os.path.isfile(path):  # Path.is_file raises on a name that is too long
        raise Unusable(
            "image missing",
            name,
            place,
            f"the image {name!r} does not exist in the folder. Add it or remove the row",
        )
    try:
        image = read_grey(path)
    except Exception as error:  # Pillow's plugins raise almost anything on a damaged file
        raise Unusable(
            "image unreadable",
            name,
            place,
            f"cannot read the image {name}: {type(error).__name__}: {error}. Save it again",
        ) from error
    if min(image.shape) < SMALLEST:
        raise Unusable(
            "image too small",
            name,
            place,
            f"{name} must be at least {SMALLEST} px high and {SMALLEST} px wide, "
            f"got {image.shape[0]} x {image.shape[1]}. Cut the line again",
        )
    return image


def write_folder(folder: Path, lines: Iterable[RawLine]) -> tuple[int, tuple[str, ...]]:
    """Write lines as a new folder for `read_folder`: PNG images, and every group in column 3.

    A file is named after its line. Characters other than letters, digits, spaces and `-._` become
    `_`, and a number is added if the name is taken. A tab or line break in a transcription or
    group becomes a space, because it would end the column or the row. The folder appears only
    when it is complete.

    Returns: number of lines written, notes on what was changed or left out.
    Raises: ValueError when no line has text; OSError, for example when the folder exists.
    """
    rows: list[str] = []
    left, changed, taken = 0, 0, set[str]()
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    partial = making / "whole"  # unlike the folder of mkdtemp it has the usual permissions
    partial.mkdir()
    try:
        for line in lines:
            transcript = one_row(line.transcript)
            if not transcript.strip():
                left += 1
                continue
            changed += transcript != line.transcript
            name = _file_name(line.name, taken)
            # Not write_png: the folder is renamed as a whole, and a sync per image takes long.
            (partial / name).write_bytes(encode_png(line.clean))
            if line.degraded is not None:
                (partial / DEGRADED).mkdir(exist_ok=True)
                (partial / DEGRADED / name).write_bytes(encode_png(line.degraded))
            rows.append(f"{name}\t{transcript}\t{one_row(line.group)}\n")
        if not rows:
            raise ValueError(
                f"{folder}: at least one line must have text, got none. Use another source"
            )
        (partial / TABLE).write_bytes("".join(rows).encode(errors="replace"))
        partial.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    notes = []
    if changed:
        notes.append(f"{changed} transcriptions had tabs or line breaks, which became spaces")
    if left:
        notes.append(f"{left} lines without text were left out")
    return len(rows), tuple(notes)


def one_row(text: str) -> str:
    """Replace each tab and line break by a space, so that the text fits into a column of a row."""
    return re.sub(r"\r\n|[\t\r\n]", " ", text)


def _file_name(name: str, taken: set[str]) -> str:
    """Make a file name from a line's name and add it to `taken`.

    Names differ even when case is ignored, as on the file systems of Windows and macOS.
    """
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
