"""PAGE XML of 2013-07-15 and 2019-07-15, as written by Transkribus and eScriptorium."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ganhtr.data.pages.page_file import WrittenLine, WrittenPage

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_page_xml(root: Element) -> WrittenPage:
    """Return the page of a `PcGts` root without namespaces.

    Raises: ValueError when there is not exactly one page or when the page has no size.
    """
    pages = root.findall("Page")
    if len(pages) != 1:
        raise ValueError(
            f"PcGts must have exactly one Page, got {len(pages)}. Write one file for each page"
        )
    page = pages[0]
    missing = [key for key in ("imageWidth", "imageHeight") if page.get(key) is None]
    if missing:
        raise ValueError(f"Page has no {' and no '.join(missing)}. Export the page again")
    return WrittenPage(
        page.get("imageFilename", "").strip(),
        page.get("imageWidth"),
        page.get("imageHeight"),
        tuple(map(_line, page.iter("TextLine"))),
    )


def _line(line: Element) -> WrittenLine:
    """Return a line with its text, or with the text of its words if it has none itself."""
    coords = line.find("Coords")
    words = (_text(word) for word in line.findall("Word"))
    text = _text(line) or " ".join(word for word in words if word)
    return WrittenLine(line.get("id", ""), text, None if coords is None else coords.get("points"))


def _text(element: Element) -> str:
    """Return the text of an element: of several versions the one with the lowest index.

    The index of a version defaults to 0.
    """
    versions = element.findall("TextEquiv")
    text = min(versions, key=_index).findtext("Unicode", "") if versions else ""
    return text if text.strip() else ""


def _index(version: Element) -> float:
    try:
        return int(version.get("index", "0"))
    except ValueError:
        return math.inf
