"""A line of a page: its place, cutting it out of the page image, and pasting it back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganhtr.data.pages.outline import Box, covered


@dataclass(frozen=True)
class PageLine:
    """A line and its place on the page's image.

    Args:
        id: of the line, usable as a file name.
        transcript: normalised to NFC and otherwise unchanged; empty if the page gives none.
        polygon: x and y in pixels (n, 2), clipped to the page; None if the page gives only a box.
        box: left, top, right, bottom, the last two exclusive, within the page.
    """

    id: str
    transcript: str
    polygon: np.ndarray | None
    box: Box


def cut(page: np.ndarray, line: PageLine) -> np.ndarray:
    """Cut out the box of a line, with the tone of the paper outside its polygon.

    The tone is the median of the lighter half of the pixels inside the polygon.

    Shapes: page (H, W) uint8; returns (h, w) uint8, a copy.
    """
    left, top, right, bottom = line.box
    crop = page[top:bottom, left:right].copy()
    if line.polygon is not None:
        mask = covered(line.polygon, line.box)
        inside = crop[mask]
        crop[~mask] = np.median(inside[inside >= np.median(inside)]) if inside.size else 255
    return crop


def lay_back(page: np.ndarray, line: PageLine, restored: np.ndarray) -> None:
    """Paste a line into its place on the page, scaled to its box, inside its polygon only.

    Shapes: page (H, W) uint8, changed in place; restored (h, w) uint8 of any size.
    """
    from PIL import Image

    left, top, right, bottom = line.box
    size = (right - left, bottom - top)
    if restored.shape != size[::-1]:
        smaller = restored.shape[0] >= size[1]
        method = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
        restored = np.asarray(Image.fromarray(restored).resize(size, method))
    place = page[top:bottom, left:right]
    if line.polygon is None:
        place[:] = restored
    else:
        mask = covered(line.polygon, line.box)
        place[mask] = restored[mask]
