"""ALTO 2 to 4, as eScriptorium, Transkribus and OCR engines write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganhtr.data.pages.page_file import WrittenLine, WrittenPage

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_alto(root: Element) -> WrittenPage:
    """The page below an `alto` root without namespaces; a file that names no unit is taken to count pixels.

    Raises: ValueError when the unit is another one, or when there is not exactly one page.
    """
    unit = (root.findtext("Description/MeasurementUnit") or "pixel").strip()
    if unit.lower() != "pixel":
        raise ValueError(
            f"MeasurementUnit must be pixel, got {unit[:40]!r}. Export the page with its coordinates in pixels"
        )
    pages = root.findall("Layout/Page")
    if len(pages) != 1:
        raise ValueError(
            f"Layout must hold one Page, got {len(pages)}. Write one file for each page"
        )
    image = root.findtext("Description/sourceImageInformation/fileName") or ""
    return WrittenPage(
        image.strip(),
        pages[0].get("WIDTH"),
        pages[0].get("HEIGHT"),
        tuple(map(_line, pages[0].iter("TextLine"))),
    )


def _line(line: Element) -> WrittenLine:
    left, top, width, height = (line.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    box = (
        None
        if left is None or top is None or width is None or height is None
        else (left, top, width, height)
    )
    polygon = line.find("Shape/Polygon")
    return WrittenLine(
        line.get("ID", ""), _text(line), None if polygon is None else polygon.get("POINTS"), box
    )


def _text(line: Element) -> str:
    """A String is a word (or, in eScriptorium, the whole line), so spaces come between them; a hyphen (HYP) follows its word at once."""
    text = ""
    for part in line:
        content = part.get("CONTENT", "")
        if part.tag == "String" and content:
            text += f" {content}" if text else content
        elif part.tag == "HYP":
            text += content
    return text
