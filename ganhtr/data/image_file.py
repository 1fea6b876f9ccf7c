"""Reading of image files of any kind as grey images."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def read_grey(path: Path) -> np.ndarray:
    """Read an image file as grey (h, w) uint8.

    The EXIF orientation is applied, and transparent pixels are laid on white. Integers of more
    than 8 bits are taken as 16-bit and scaled by 1/257. Floats are taken to lie in [0, 1], or in
    [0, 255] if one is above 1.

    Raises: any exception that Pillow raises on a damaged file or a decompression bomb; ValueError
        when values are out of range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
    if image.mode[0] in "IF":  # I, I;16, ... are integers, F are floats
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        if not (values.min() >= 0 and values.max() <= top):  # written so that NaN fails, too
            raise ValueError(
                f"values must lie between 0 and {top}, got {values.min():g} to {values.max():g}"
            )
        return np.rint(values * 255 / top).astype(np.uint8)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return np.asarray(image.convert("RGB").convert("L"))
