"""Image files of any kind, in grey."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def read_grey(path: Path) -> np.ndarray:
    """An image file of any kind in grey (h, w) uint8, turned upright by its EXIF tag, what is transparent on white.

    Whole numbers of more than 8 bits count as 16-bit and are scaled by 1/257; floats run to 1, or else to 255.

    Raises: whatever Pillow raises on a damaged file or a decompression bomb; ValueError for values out of range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
    if image.mode[0] in "IF":
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        if not (values.min() >= 0 and values.max() <= top):
            raise ValueError(
                f"values must be from 0 to {top}, got {values.min():g} to {values.max():g}"
            )
        return np.rint(values * 255 / top).astype(np.uint8)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return np.asarray(image.convert("RGB").convert("L"))
