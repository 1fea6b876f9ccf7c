"""A folder of line images with their transcriptions in `lines.tsv`, and its split by groups.

A row is `file TAB transcription`, or `file TAB transcription TAB group`; UTF-8, where a byte-order mark and CRLF do no
harm and blank rows are passed over. A group is what a split must not tear apart: a page, a writer, a document.
One bad row never takes a study down: its line is skipped, counted and named in the notes.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

TABLE = "lines.tsv"
SMALLEST = 8  # pixels; a lower or narrower image holds no line
_NAMED, _LISTED = 5, 20  # skipped lines that a note names, faults that an error lists


@dataclass(frozen=True)
class FolderLines:
    """Every usable line of a folder, in the order of its table.

    images are uint8 (h, w) at their own size, 0 black to 255 white; transcripts are the untouched references (NFC);
    notes say in words what was skipped.
    """

    images: list[np.ndarray]
    transcripts: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


class _Unusable(Exception):
    """A row that gives no line: `why` counts it in the notes, `name` names it there, the message is its fault."""

    def __init__(self, why: str, name: str, fault: str):
        self.why, self.name = why, name
        super().__init__(fault)


def read_folder(folder: Path) -> FolderLines:
    """Reads the images that the folder's `lines.tsv` names.

    Raises: ValueError when there is no folder or no table, when the table is not UTF-8, when it has no usable line,
    or when more than half of its lines are unusable; the last two with the faults, as `file:line: fault`.
    """
    table = folder / TABLE
    lines: dict[str, tuple[np.ndarray, str, str]] = {}
    faults: list[tuple[int, _Unusable]] = []
    for number, row in _rows(folder):
        try:
            name, transcript, group = _parse(row, number)
            if name in lines:
                raise _Unusable("their image is named twice", name, "file must be named once, "
                                f"got {name!r} again. Remove one of the rows")
            lines[name] = _read_image(folder, name), transcript, group
        except _Unusable as fault:
            faults.append((number, fault))
    if len(faults) > len(lines) or not lines:
        fix = "Mend these rows" if faults else "Write one row for each line image"
        message = [f"{table}: half of the lines must be usable, got {len(lines)} of {len(lines) + len(faults)}. {fix}"]
        message += [f"{table}:{number}: {fault}" for number, fault in faults[:_LISTED]]
        message += [f"and {len(faults) - _LISTED} more"] if len(faults) > _LISTED else []
        raise ValueError("\n".join(message))
    images, transcripts, groups = zip(*lines.values(), strict=True)
    notes = _notes([fault for _, fault in faults])
    if len(set(groups)) == len(groups):
        notes += (f"each line is a group of its own, so a page may be split; name groups in column 3 of {TABLE}",)
    return FolderLines(list(images), transcripts, tuple(lines), groups, notes)


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


def _parse(row: str, number: int) -> tuple[str, str, str]:
    """File, transcription and group of a row. Raises: _Unusable."""
    name, *columns = row.split("\t")
    where = name if columns and name.strip() else f"{TABLE}:{number}"
    if not 1 <= len(columns) <= 2:
        raise _Unusable("their row has not two or three columns", where, "row must be file TAB transcription "
                        f"[TAB group], got {len(columns) + 1} columns. Separate the columns by one tab each")
    if not name.strip():
        raise _Unusable("their row names no file", where, f"file must be a name, got {name!r}. Name the line's image")
    path = Path(name)
    if path.anchor or ".." in path.parts:
        raise _Unusable("their file lies outside the folder", where, "file must lie in the folder of the table, "
                        f"got {name!r}. Copy the image there")
    if not columns[0].strip():
        raise _Unusable("their transcription is empty", where, "transcription must hold a character, "
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


def _read_image(folder: Path, name: str) -> np.ndarray:
    """The named image in grey (h, w) uint8. Raises: _Unusable."""
    path = folder / name
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        raise _Unusable("their image is missing", name, f"file must be an image in the folder, got {name!r}, which "
                        "is not there. Add the image or remove the row")
    try:
        image = read_grey(path)
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file; the note shows what
        raise _Unusable("their image cannot be read", name, f"{name} must be a whole image file, "
                        f"got {type(error).__name__}: {error}. Save the image anew") from error
    if min(image.shape) < SMALLEST:
        raise _Unusable("their image is too small", name, f"{name} must be at least {SMALLEST} px high and "
                        f"{SMALLEST} px wide, got {image.shape[0]} x {image.shape[1]}. Cut the line anew")
    return image


def read_grey(path: Path) -> np.ndarray:
    """An image file of any kind in grey (h, w) uint8, turned upright by its EXIF tag, what is transparent on white.

    Whole numbers of more than 8 bits count as 16-bit and are scaled by 1/257; floats run to 1, or else to 255.

    Raises: whatever Pillow raises on a damaged file or a decompression bomb; ValueError for values out of range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
    if image.mode[0] in "IF":
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        if not (values.min() >= 0 and values.max() <= top):
            raise ValueError(f"values must be from 0 to {top}, got {values.min():g} to {values.max():g}")
        return np.rint(values * 255 / top).astype(np.uint8)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return np.asarray(image.convert("RGB").convert("L"))


def _notes(faults: Sequence[_Unusable]) -> tuple[str, ...]:
    """One note for each reason to skip: how many lines, and the first of them by name."""
    skipped: dict[str, list[str]] = {}
    for fault in faults:
        skipped.setdefault(fault.why, []).append(fault.name)
    return tuple(f"{len(names)} skipped, {why}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
                 for why, names in skipped.items())


def split_groups(groups: Sequence[str], seed: int, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> np.ndarray:
    """Split of each line, 0 train, 1 validation, 2 test: whole groups, line counts near the shares, none empty.

    Groups stand in an order that only the seed and their names give, and are cut where their middle passes a share.
    So the order of the lines is of no account, and a line more or less in a group moves no other group, save one
    whose middle lies within a line of a cut, or one that had to fill an empty split.

    Shapes: returns (N,) int64. Raises: ValueError when there are fewer than three groups.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    if len(names) < 3:
        raise ValueError(f"groups must be at least 3, one for each split, got {len(names)} ({', '.join(names)}). "
                         f"Give each line its group (page, writer, document) in a third column of {TABLE}")
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(f"{seed}\t{names[i]}".encode()).digest())
    ends = np.cumsum(sizes[order])
    middles = (ends - sizes[order] / 2) / ends[-1]
    cuts = np.cumsum(shares)[:2] / sum(shares)
    split = np.empty(len(names), dtype=np.int64)
    split[order] = np.searchsorted(cuts, middles, side="right")
    for empty in (part for part in range(3) if part not in split):
        crowded = np.bincount(split).argmax()  # has two groups at least, or none were empty
        donors = [i for i in order if split[i] == crowded]
        split[min(donors, key=lambda i: sizes[i])] = empty
    return split[np.searchsorted(names, np.asarray(groups, dtype=str))]
