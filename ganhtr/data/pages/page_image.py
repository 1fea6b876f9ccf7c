"""The image of a page: its path, its size, and a check that it is the transcribed one."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np

from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import Unusable

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".jp2", ".bmp")  # also in upper case
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width


def page_name(xml: Path) -> str:
    """Return the name of a page: `0077` for `0077.xml`, `0077.alto.xml` and `0077.page.xml`."""
    return re.sub(r"\.(alto|page)$", "", xml.stem, flags=re.IGNORECASE)


def find_image(xml: Path, name: str) -> Path:
    """Find the image that a page file calls `name`. Raises: Unusable.

    Only the last part of the name is used, so that a page file cannot refer to other folders. If
    there is no such image, the image with the name of the page file is used. Both are searched
    next to the page file and, if that is in a folder `page` or `alto` (Transkribus), one folder up.
    """
    name = re.split(r"[/\\]", name)[-1]
    stems = list(dict.fromkeys([xml.stem, page_name(xml)]))
    suffixes = [end for suffix in SUFFIXES for end in (suffix, suffix.upper())]
    names = [name, *(stem + suffix for stem in stems for suffix in suffixes)]
    folder = Path(os.path.abspath(xml)).parent
    places = [xml.parent]
    if folder.name.lower() in ("page", "alto"):
        places.append(folder.parent)
    for place in places:
        for candidate in names:
            # False for an empty name and for `..`. Path.is_file would raise on a name that is too
            # long.
            if os.path.isfile(place / candidate):
                return place / candidate
    raise Unusable(
        "image missing",
        xml.name,
        str(xml),
        f"no image found next to the page file: neither {name[:100]!r} nor "
        f"{' nor '.join(stems)} with {', '.join(SUFFIXES)}. Put the image there",
    )


def image_shape(xml: Path, image: Path) -> tuple[int, int]:
    """Return height and width from an image's header, with its EXIF orientation applied.

    Raises: Unusable.
    """
    from PIL import ExifTags, Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(image) as opened:
                width, height = opened.size
                sideways = opened.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
                return (width, height) if sideways else (height, width)
    except Exception as error:  # Pillow's plugins raise almost anything on a damaged file
        raise _damaged(xml, image, error) from error


def read_image(xml: Path, image: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the image as grey (h, w) uint8. Raises: Unusable when damaged or of another shape."""
    try:
        grey = read_grey(image)
    except Exception as error:  # see image_shape
        raise _damaged(xml, image, error) from error
    check_shape(xml, image, shape, grey.shape)
    return grey


def check_shape(xml: Path, image: Path, expected: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise Unusable if an image does not have the height and width in its page file.

    The coordinates of the page file then belong to another image.
    """
    if expected != shape:
        raise Unusable(
            "image size differs from the page file",
            xml.name,
            str(xml),
            f"{image.name} must be {expected[1]} x {expected[0]} px as in the page file, "
            f"got {shape[1]} x {shape[0]} px. Use the transcribed image, or export the page again",
        )


def _damaged(xml: Path, image: Path, error: Exception) -> Unusable:
    return Unusable(
        "image unreadable",
        xml.name,
        str(xml),
        f"cannot read the image {image.name}: {type(error).__name__}: {error}. Save it again",
    )
