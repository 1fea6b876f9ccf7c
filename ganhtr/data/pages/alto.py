"""ALTO 2 to 4, as written by eScriptorium, Transkribus and OCR engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganhtr.data.pages.page_file import WrittenLine, WrittenPage

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_alto(root: Element) -> WrittenPage:
    """Return the page of an `alto` root without namespaces. The default unit is the pixel.

    Raises: ValueError when the unit is another one, or when there is not exactly one page.
    """
    unit = (root.findtext("Description/MeasurementUnit") or "pixel").strip()
    if unit.lower() != "pixel":
        raise ValueError(
            f"MeasurementUnit must be pixel, got {unit[:40]!r}. "
            "Export the page with its coordinates in pixels"
        )
    pages = root.findall("Layout/Page")
    if len(pages) != 1:
        raise ValueError(
            f"Layout must have exactly one Page, got {len(pages)}. Write one file for each page"
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
    box = None
    if left is not None and top is not None and width is not None and height is not None:
        box = (left, top, width, height)
    polygon = line.find("Shape/Polygon")
    points = None if polygon is None else polygon.get("POINTS")
    return WrittenLine(line.get("ID", ""), _text(line), points, box)


def _text(line: Element) -> str:
    """Return the text of a line.

    A String is a word (in eScriptorium the whole line), so Strings are joined by spaces. A hyphen
    (HYP) follows its word without a space.
    """
    text = ""
    for part in line:
        content = part.get("CONTENT", "")
        if part.tag == "String" and content:
            text += f" {content}" if text else content
        elif part.tag == "HYP":
            text += content
    return text
