"""Safe parsing of a page's XML file, and the form that ALTO and PAGE are both read into."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 50_000_000  # bytes of a page file; usual files have less than one million
_HEAD = 65_536  # bytes that are read to find the root element


@dataclass(frozen=True)
class WrittenLine:
    """A line as in its file, unchecked. `box` is left, top, width, height."""

    id: str
    text: str
    points: str | None
    box: tuple[str, str, str, str] | None = None


@dataclass(frozen=True)
class WrittenPage:
    """A page as in its file, unchecked. A size is None if the file does not give it."""

    image: str
    width: str | None
    height: str | None
    lines: tuple[WrittenLine, ...]


def parse(xml: Path) -> Element:
    """Return the root of an XML file, with namespaces removed from all tags.

    Raises: ValueError when the file is larger than LARGEST, is not XML, or declares a document
        type. Only such a declaration can define entities, which could expand without limit or
        read other files.
    """
    from defusedxml.common import DTDForbidden
    from defusedxml.ElementTree import fromstring

    content = _read(xml, LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(
            f"the page file is larger than {LARGEST // 1_000_000} MB. Write one file for each page"
        )
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DTDForbidden as error:
        raise ValueError(
            "a page file must not declare a document type or entities, "
            f"got <!DOCTYPE {error.name[:40]}>. Remove the declaration"
        ) from error
    except (SyntaxError, ValueError, LookupError) as error:  # the last two: unknown encodings
        raise ValueError(
            f"the page file is not valid XML: {error}. Export the page again"
        ) from error
    for element in root.iter():
        element.tag = _local(element.tag)
    return root


def root_name(xml: Path) -> str:
    """Return the name of a file's root without its namespace, from the file's first bytes.

    After a document type nothing is parsed. The root is then the first `alto` or `PcGts` tag in
    these bytes, or else the name in the document type.

    Raises: ValueError when the file does not begin as XML.
    """
    from defusedxml.common import DTDForbidden
    from defusedxml.ElementTree import iterparse

    head = _read(xml, _HEAD)
    try:
        _, root = next(iterparse(io.BytesIO(head), ("start",), forbid_dtd=True))
    except DTDForbidden as error:
        tag = re.search(rb"<(?:[\w.-]+:)?(alto|PcGts)[\s/>]", head)
        return tag[1].decode() if tag else str(error.name)
    except (StopIteration, SyntaxError, ValueError, LookupError) as error:
        raise ValueError(
            f"the page file is not valid XML: {error}. Export the page again"
        ) from error
    return _local(root.tag)


def _read(xml: Path, most: int) -> bytes:
    try:
        with xml.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise ValueError(f"cannot read the page file: {error.strerror}. Check the path") from error


def _local(tag: str) -> str:
    """Remove the namespace of a tag, as in `{http://www.loc.gov/...}alto`."""
    return tag.rpartition("}")[2]
