"""Pages with their lines: ALTO or PAGE files, each with the image of its page.

Lines keep the order of the file. One bad line never takes a page down, nor a bad page its folder: they are skipped, counted and
named in the notes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganhtr.data.pages.alto import read_alto
from ganhtr.data.pages.outline import numbers, read_outline
from ganhtr.data.pages.page_file import WrittenPage, parse, root_name
from ganhtr.data.pages.page_image import check_shape, find_image, image_shape, page_name, read_image
from ganhtr.data.pages.page_line import PageLine, cut
from ganhtr.data.pages.page_xml import read_page_xml
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle

DIALECTS = {"alto": read_alto, "PcGts": read_page_xml}
_NAMED = 5  # files that a note names


@dataclass(frozen=True)
class Page:
    """A page file that was read. Its lines all have a pixel or more on the image; `faults` are those that have none."""

    xml: Path
    image: Path
    width: int
    height: int
    lines: tuple[PageLine, ...]
    faults: tuple[Unusable, ...]


def is_page(path: Path) -> bool:
    """Whether a path is an ALTO or PAGE file, told from its first bytes; it may yet be damaged."""
    try:
        return path.suffix.lower() == ".xml" and root_name(path) in DIALECTS
    except ValueError:
        return False


def read_page(xml: Path) -> Page:
    """The lines of a page, with and without transcription. Raises: ValueError when the file or its image cannot be used."""
    try:
        return _read(xml)
    except Unusable as fault:
        raise ValueError(f"{fault.place}: {fault}") from fault


def read_pages(path: Path) -> RawLines:
    """The transcribed lines of a page file, or of all page files in a folder (not in folders below), cut out of their images.

    A line is called `<page>/<id>` and its group is the page: the file's name without .xml, .alto and .page. Where several files are of
    one page (by that name or by its image), the first by file name that gives lines counts, and the notes name the others.

    Raises: ValueError when there is no page file, when the only one cannot be used, or when more than half of the lines are unusable.
    """
    files, foreign = _page_files(path)
    lines: list[RawLine] = []
    faults: list[Unusable] = []
    again: list[str] = []
    seen: dict[object, str] = {}  # name and image of every page, with the file that gave its lines
    silent = 0
    for xml in files:
        try:
            page = _read(xml)
            keys = (page_name(xml), page.image.resolve())
            first = next((seen[key] for key in keys if key in seen), None)
            if first is not None:
                again.append(f"{xml.name} ({first} was)")
                continue
            grey = read_image(xml, page.image, (page.height, page.width))
        except Unusable as fault:
            if len(files) == 1:
                raise ValueError(f"{fault.place}: {fault}") from fault
            faults.append(fault)
            continue
        own, small = _cut_lines(page, grey)
        seen |= dict.fromkeys(keys, xml.name) if own else {}
        lines += own
        faults += [*page.faults, *small]
        silent += sum(not line.transcript for line in page.lines)
    fix = "Mend the page files" if faults else "Transcribe the lines of the pages"
    notes = (
        *settle(path, lines, faults, fix),
        *_note("another file of their page was read", again),
        *_note("they are neither ALTO nor PAGE", foreign),
    )
    return RawLines(
        tuple(lines),
        (*notes, f"{silent} lines without transcription left out") if silent else notes,
    )


def _note(why: str, names: Sequence[str]) -> list[str]:
    return (
        [
            f"{len(names)} skipped, {why}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        ]
        if names
        else []
    )


def _page_files(path: Path) -> tuple[list[Path], list[str]]:
    """The page files that a path stands for, damaged ones too, and the names of a folder's other XML files."""
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise ValueError(
            f"{path}: must be an ALTO or PAGE file or a folder of them, got neither. Check the path"
        )
    files, foreign = [], []
    for xml in sorted(
        file for file in path.iterdir() if file.suffix.lower() == ".xml" and file.is_file()
    ):
        try:
            known = root_name(xml) in DIALECTS
        except ValueError:
            known = True  # reading it will say what is wrong
        if known:
            files.append(xml)
        else:
            foreign.append(xml.name)
    if not files:
        raise ValueError(
            f"{path}: must hold ALTO or PAGE files (.xml), got none. Export the pages with their images into it"
        )
    return files, foreign


def _read(xml: Path) -> Page:
    """Raises: Unusable for what makes the whole page useless."""
    try:
        written, width, height = _written(xml)
    except ValueError as error:
        raise Unusable("their page file cannot be read", xml.name, str(xml), str(error)) from error
    image = find_image(xml, written.image)
    shape = image_shape(xml, image)
    check_shape(xml, image, (height or shape[0], width or shape[1]), shape)
    lines: dict[str, PageLine] = {}
    faults = []
    for number, line in enumerate(written.lines, start=1):
        key = (
            re.sub(r"[^\w.-]+", "_", line.id).lstrip(".")[:80] or f"line_{number}"
        )  # names may become file names
        while key in lines:
            key += f"_{number}"
        try:
            polygon, box = read_outline(
                line, shape[1], shape[0], f"{xml.name}: line {key}", f"{xml}: line {key}"
            )
            lines[key] = PageLine(key, _one_line(line.text), polygon, box)
        except Unusable as fault:
            faults.append(fault)
    return Page(xml, image, shape[1], shape[0], tuple(lines.values()), tuple(faults))


def _written(xml: Path) -> tuple[WrittenPage, int | None, int | None]:
    """A page file with its page's width and height. Raises: ValueError without the file's name."""
    root = parse(xml)
    if root.tag not in DIALECTS:
        raise ValueError(
            f"the root of a page file must be alto or PcGts, got {root.tag[:40]!r}. Export the page as ALTO or PAGE"
        )
    written = DIALECTS[root.tag](root)
    return written, _pixels("width", written.width), _pixels("height", written.height)


def _pixels(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        (number,) = numbers(text)
        if number < 1 or number % 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"the page's {key} must be a whole number of pixels, got {text[:40]!r}. Export the page anew"
        ) from None
    return int(number)


def _one_line(text: str) -> str:
    """NFC; a line break, with the indentation around it, becomes a space; a text of spaces only is none."""
    if "\n" in text or "\r" in text:
        text = " ".join(part for row in re.split(r"[\r\n]", text) if (part := row.strip(" \t")))
    return unicodedata.normalize("NFC", text) if text.strip() else ""


def _cut_lines(page: Page, grey: np.ndarray) -> tuple[list[RawLine], list[Unusable]]:
    """The transcribed lines of a page, and those that are too small."""
    group = page_name(page.xml)
    lines, faults = [], []
    for line in page.lines:
        left, top, right, bottom = line.box
        if line.transcript and min(right - left, bottom - top) < SMALLEST:
            faults.append(
                Unusable(
                    "they are too small",
                    f"{page.xml.name}: line {line.id}",
                    f"{page.xml}: line {line.id}",
                    f"line must be at least {SMALLEST} px high and {SMALLEST} px wide, got {bottom - top} x "
                    f"{right - left}. Draw the line anew",
                )
            )
        elif line.transcript:
            lines.append(RawLine(f"{group}/{line.id}", group, line.transcript, cut(grey, line)))
    return lines, faults
