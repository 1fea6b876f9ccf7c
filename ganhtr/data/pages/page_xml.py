"""PAGE of 2013-07-15 and 2019-07-15, as Transkribus and eScriptorium write it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ganhtr.data.pages.page_file import WrittenLine, WrittenPage

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_page_xml(root: Element) -> WrittenPage:
    """The page below a `PcGts` root without namespaces. Raises: ValueError when there is no page or it has no size."""
    pages = root.findall("Page")
    if len(pages) != 1:
        raise ValueError(
            f"PcGts must hold one Page, got {len(pages)}. Write one file for each page"
        )
    page = pages[0]
    missing = [key for key in ("imageWidth", "imageHeight") if page.get(key) is None]
    if missing:
        raise ValueError(
            f"Page must have imageWidth and imageHeight, got no {' and no '.join(missing)}. Export the page anew"
        )
    return WrittenPage(
        page.get("imageFilename", "").strip(),
        page.get("imageWidth"),
        page.get("imageHeight"),
        tuple(map(_line, page.iter("TextLine"))),
    )


def _line(line: Element) -> WrittenLine:
    """A line with its own text, or with that of its words where it has none."""
    coords = line.find("Coords")
    words = (_text(word) for word in line.findall("Word"))
    text = _text(line) or " ".join(word for word in words if word)
    return WrittenLine(line.get("id", ""), text, None if coords is None else coords.get("points"))


def _text(element: Element) -> str:
    """The element's own text; of several versions the one with the lowest index, which is 0 where none is given."""
    versions = element.findall("TextEquiv")
    text = min(versions, key=_index).findtext("Unicode", "") if versions else ""
    return text if text.strip() else ""


def _index(version: Element) -> float:
    try:
        return int(version.get("index", "0"))
    except ValueError:
        return math.inf
