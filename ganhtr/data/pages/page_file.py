"""A page's XML file before its dialect is known: parsed without trust, into the form that ALTO and PAGE are both read into."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 50_000_000  # bytes of a page file; real ones have less than one million
_HEAD = 65_536  # bytes that are read to find the root


@dataclass(frozen=True)
class WrittenLine:
    """A line as its file writes it, nothing of it checked yet. `box` is left, top, width, height."""

    id: str
    text: str
    points: str | None
    box: tuple[str, str, str, str] | None = None


@dataclass(frozen=True)
class WrittenPage:
    """A page as its file writes it; sizes are None where the dialect lets them be left out and the file does so."""

    image: str
    width: str | None
    height: str | None
    lines: tuple[WrittenLine, ...]


def parse(xml: Path) -> Element:
    """The root of an XML file, every tag in it without its namespace.

    Raises: ValueError when the file is larger than LARGEST, is not XML, or declares a document type; only such a declaration
    can define entities, and they could expand without end or name other files.
    """
    from defusedxml.common import DTDForbidden
    from defusedxml.ElementTree import fromstring

    content = _read(xml, LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(
            f"a page file must have at most {LARGEST // 1_000_000} MB, got more. Write one file for each page"
        )
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DTDForbidden as error:
        raise ValueError(
            f"a page file must not declare a document type or entities, got <!DOCTYPE {error.name[:40]}>. "
            "Remove the declaration"
        ) from error
    except (
        SyntaxError,
        ValueError,
        LookupError,
    ) as error:  # the last two: an encoding that is not known or not supported
        raise ValueError(f"a page file must be XML, got: {error}. Export the page anew") from error
    for element in root.iter():
        element.tag = _local(element.tag)
    return root


def root_name(xml: Path) -> str:
    """The name of a file's root without its namespace, from the file's first bytes.

    Behind a document type nothing is parsed: the root is then the first tag of a page that stands there, else what the type names.

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
        raise ValueError(f"a page file must be XML, got: {error}. Export the page anew") from error
    return _local(root.tag)


def _read(xml: Path, most: int) -> bytes:
    try:
        with xml.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise ValueError(
            f"a page file must be readable, got: {error.strerror}. Check the path"
        ) from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
