"""Pages with their lines: ALTO or PAGE files, each with the image of its page.

Lines keep the order of the file. Bad lines and bad pages are skipped, and the notes count and name
them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganhtr.data.pages.alto import read_alto
from ganhtr.data.pages.outline import numbers, read_outline
from ganhtr.data.pages.page_file import WrittenPage, parse, root_name
from ganhtr.data.pages.page_image import check_shape, find_image, image_shape, page_name, read_image
from ganhtr.data.pages.page_line import PageLine, cut
from ganhtr.data.pages.page_xml import read_page_xml
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle, skipped_note

DIALECTS = {"alto": read_alto, "PcGts": read_page_xml}


@dataclass(frozen=True)
class Page:
    """A page file that was read.

    All `lines` have at least one pixel on the image. `faults` are the lines that have none.
    """

    xml: Path
    image: Path
    width: int
    height: int
    lines: tuple[PageLine, ...]
    faults: tuple[Unusable, ...]


def is_page(path: Path) -> bool:
    """Whether a path is an ALTO or PAGE file, judged by its first bytes. It may be damaged."""
    try:
        return path.suffix.lower() == ".xml" and root_name(path) in DIALECTS
    except ValueError:
        return False


def read_page(xml: Path) -> Page:
    """Read the lines of a page, with and without transcription.

    Raises: ValueError when the file or its image cannot be used.
    """
    try:
        return _read(xml)
    except Unusable as fault:
        raise ValueError(f"{fault.place}: {fault}") from fault


def read_pages(path: Path) -> RawLines:
    """Read the transcribed lines of a page file, or of all page files in a folder.

    Subfolders are not searched. The name of a line is `<page>/<id>` and its group is the page: the
    file's name without .xml, .alto and .page. If several files describe the same page (by that
    name or by its image), the first by file name that has lines is used, and the notes name the
    others.

    Raises: ValueError when there is no page file, when the only one cannot be used, or when more
        than half of the lines are unusable.
    """
    files, foreign = _page_files(path)
    lines: list[RawLine] = []
    faults: list[Unusable] = []
    again: list[str] = []
    seen: dict[object, str] = {}  # name and image of each page -> the file whose lines are used
    silent = 0  # lines without transcription
    for xml in files:
        try:
            page = _read(xml)
            keys = (page_name(xml), page.image.resolve())
            first = next((seen[key] for key in keys if key in seen), None)
            if first is not None:
                again.append(f"{xml.name} (see {first})")
                continue
            grey = read_image(xml, page.image, (page.height, page.width))
        except Unusable as fault:
            if len(files) == 1:
                raise ValueError(f"{fault.place}: {fault}") from fault
            faults.append(fault)
            continue
        cut_lines, small = _cut_lines(page, grey)
        if cut_lines:
            seen |= dict.fromkeys(keys, xml.name)
        lines += cut_lines
        faults += [*page.faults, *small]
        silent += sum(not line.transcript for line in page.lines)
    fix = "Correct the page files" if faults else "Transcribe the lines of the pages"
    notes = list(settle(path, lines, faults, fix))
    if again:
        notes.append(skipped_note("another file of the page was read", again))
    if foreign:
        notes.append(skipped_note("neither ALTO nor PAGE", foreign))
    if silent:
        notes.append(f"{silent} lines without transcription left out")
    return RawLines(tuple(lines), tuple(notes))


def _page_files(path: Path) -> tuple[list[Path], list[str]]:
    """Return the page files of a path, including damaged ones, and the names of other XML files."""
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise ValueError(
            f"{path}: must be an ALTO or PAGE file or a folder of them, got neither. Check the path"
        )
    files, foreign = [], []
    for xml in sorted(path.iterdir()):
        if xml.suffix.lower() != ".xml" or not xml.is_file():
            continue
        try:
            known = root_name(xml) in DIALECTS
        except ValueError:
            known = True  # reading the file will report what is wrong
        if known:
            files.append(xml)
        else:
            foreign.append(xml.name)
    if not files:
        raise ValueError(
            f"{path}: no ALTO or PAGE files (.xml) found. Export the pages and their images to it"
        )
    return files, foreign


def _read(xml: Path) -> Page:
    """Read a page. Raises: Unusable when the whole page cannot be used."""
    try:
        written, width, height = _written(xml)
    except ValueError as error:
        raise Unusable("page file unreadable", xml.name, str(xml), str(error)) from error
    image = find_image(xml, written.image)
    shape = image_shape(xml, image)
    check_shape(xml, image, (height or shape[0], width or shape[1]), shape)
    lines: dict[str, PageLine] = {}
    faults = []
    for number, line in enumerate(written.lines, start=1):
        # Names may become file names, so only harmless characters are kept.
        key = re.sub(r"[^\w.-]+", "_", line.id).lstrip(".")[:80] or f"line_{number}"
        while key in lines:
            key += f"_{number}"
        try:
            name, place = f"{xml.name}: line {key}", f"{xml}: line {key}"
            polygon, box = read_outline(line, shape[1], shape[0], name, place)
            lines[key] = PageLine(key, _one_line(line.text), polygon, box)
        except Unusable as fault:
            faults.append(fault)
    return Page(xml, image, shape[1], shape[0], tuple(lines.values()), tuple(faults))


def _written(xml: Path) -> tuple[WrittenPage, int | None, int | None]:
    """Parse a page file and its page's width and height.

    Raises: ValueError, without the file's name.
    """
    root = parse(xml)
    if root.tag not in DIALECTS:
        raise ValueError(
            f"the root of a page file must be alto or PcGts, got {root.tag[:40]!r}. "
            "Export the page as ALTO or PAGE"
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
            f"the page's {key} must be a positive integer in pixels, got {text[:40]!r}. "
            "Export the page again"
        ) from None
    return int(number)


def _one_line(text: str) -> str:
    """Normalise a text to NFC on a single line. A text of spaces only becomes empty.

    A line break, with the indentation around it, becomes a space.
    """
    if "\n" in text or "\r" in text:
        rows = (row.strip(" \t") for row in re.split(r"[\r\n]", text))
        text = " ".join(row for row in rows if row)
    return unicodedata.normalize("NFC", text) if text.strip() else ""


def _cut_lines(page: Page, grey: np.ndarray) -> tuple[list[RawLine], list[Unusable]]:
    """Return the transcribed lines of a page, and faults for those that are too small."""
    group = page_name(page.xml)
    lines, faults = [], []
    for line in page.lines:
        left, top, right, bottom = line.box
        if line.transcript and min(right - left, bottom - top) < SMALLEST:
            fault = Unusable(
                "line too small",
                f"{page.xml.name}: line {line.id}",
                f"{page.xml}: line {line.id}",
                f"the line must be at least {SMALLEST} px high and {SMALLEST} px wide, "
                f"got {bottom - top} x {right - left}. Draw the line again",
            )
            faults.append(fault)
        elif line.transcript:
            lines.append(RawLine(f"{group}/{line.id}", group, line.transcript, cut(grey, line)))
    return lines, faults
