"""Cutting a line out of a page, and putting one back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganhtr.data.pages.outline import Box, covered

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class PageLine:
    """A line and its place on the page's image.

    The transcript is NFC and else untouched, "" where the page gives none. The polygon (n, 2) holds x and y in pixels, cut at the
    page's edges where it reaches over them, and is None where the page gives a box only. The box is left, top, right, bottom, the last
    two exclusive, and lies within the page.
    """

    id: str
    transcript: str
    polygon: np.ndarray | None
    box: Box


def cut(page: np.ndarray, line: PageLine) -> np.ndarray:
    """The line's box, where what lies outside its polygon has the paper's tone: the median of the lighter half of what lies inside.

    Shapes: page (H, W) uint8; returns (h, w) uint8, a copy.
    """
    left, top, right, bottom = line.box
    crop = page[top:bottom, left:right].copy()
    if line.polygon is not None:
        mask = covered(line.polygon, line.box)
        own = crop[mask]
        crop[~mask] = np.median(own[own >= np.median(own)]) if own.size else 255
    return crop


def lay_back(page: np.ndarray, line: PageLine, restored: np.ndarray) -> None:
    """Writes a line into its place on the page, scaled to its box; outside its polygon the page stays as it is.

    Shapes: page (H, W) uint8, changed in place; restored (h, w) uint8 of any size.
    """
    from PIL import Image

    left, top, right, bottom = line.box
    size = (right - left, bottom - top)
    if restored.shape != size[::-1]:
        method = (
            Image.Resampling.LANCZOS if restored.shape[0] >= size[1] else Image.Resampling.BICUBIC
        )
        restored = np.asarray(Image.fromarray(restored).resize(size, method))
    place = page[top:bottom, left:right]
    mask = (
        np.ones(place.shape, dtype=bool)
        if line.polygon is None
        else covered(line.polygon, line.box)
    )
    place[mask] = restored[mask]
