"""The image of a page: where it lies, its size, and whether it is the one that was transcribed."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np

from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import Unusable

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".jp2", ".bmp")  # in capitals, too
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width


def page_name(xml: Path) -> str:
    """What the files of a page have in common: `0077` of `0077.xml`, `0077.alto.xml` and `0077.page.xml`."""
    return re.sub(r"\.(alto|page)$", "", xml.stem, flags=re.IGNORECASE)


def find_image(xml: Path, name: str) -> Path:
    """The image of a page file that calls it `name`. Raises: Unusable.

    Only the last part of the name counts, so that no file can name one elsewhere. Without such an image it is the one with the page
    file's own name. Both are sought beside the page file and, where that lies in a folder `page` or `alto` (Transkribus), one folder up.
    """
    name = re.split(r"[/\\]", name)[-1]
    stems = list(dict.fromkeys([xml.stem, page_name(xml)]))
    names = [
        name,
        *(stem + end for stem in stems for suffix in SUFFIXES for end in (suffix, suffix.upper())),
    ]
    folder = Path(os.path.abspath(xml)).parent
    for place in [
        xml.parent,
        *([folder.parent] if folder.name.lower() in ("page", "alto") else []),
    ]:
        for candidate in names:
            if os.path.isfile(
                place / candidate
            ):  # not so where it is empty or `..`; Path.is_file raises where it is too long
                return place / candidate
    raise Unusable(
        "their image is missing",
        xml.name,
        str(xml),
        f"image must lie beside the page file, got neither {name[:100]!r} nor "
        f"{' nor '.join(stems)} with {', '.join(SUFFIXES)}. Put the image there",
    )


def image_shape(xml: Path, image: Path) -> tuple[int, int]:
    """Height and width of an image that is turned upright by its EXIF tag, from its header. Raises: Unusable."""
    from PIL import ExifTags, Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(image) as opened:
                width, height = opened.size
                return (
                    (width, height)
                    if opened.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
                    else (height, width)
                )
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        raise _damaged(xml, image, error) from error


def read_image(xml: Path, image: Path, shape: tuple[int, int]) -> np.ndarray:
    """The image in grey (h, w) uint8. Raises: Unusable when it is damaged or has not this shape."""
    try:
        grey = read_grey(image)
    except Exception as error:  # see image_shape
        raise _damaged(xml, image, error) from error
    check_shape(xml, image, shape, grey.shape)
    return grey


def check_shape(xml: Path, image: Path, said: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Raises: Unusable when an image is not as high and wide as its page file says; the coordinates are of another one then."""
    if said != found:
        raise Unusable(
            "their image has another size than the page file says",
            xml.name,
            str(xml),
            f"{image.name} must be {said[1]} x {said[0]} px as the page file says, got {found[1]} x {found[0]} px. "
            "Take the image that was transcribed, or export the page anew",
        )


def _damaged(xml: Path, image: Path, error: Exception) -> Unusable:
    return Unusable(
        "their image cannot be read",
        xml.name,
        str(xml),
        f"{image.name} must be a whole image file, "
        f"got {type(error).__name__}: {error}. Save the image anew",
    )
