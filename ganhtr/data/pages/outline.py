"""The outline of a line on its page: parsed, clipped to the page, and as a mask of pixels.

Coordinates are measured from the page's corner: pixel i covers the interval from i to i + 1. It
belongs to a polygon if its centre does.
"""

from __future__ import annotations

import math

import numpy as np

from ganhtr.data.pages.page_file import WrittenLine
from ganhtr.data.raw import Unusable

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two exclusive
_FARTHEST = 1e6  # pixels; no page is so large, so a larger coordinate is an error


def read_outline(
    line: WrittenLine, width: int, height: int, name: str, place: str
) -> tuple[np.ndarray | None, Box]:
    """Return polygon and box of a line on a page of this size.

    If the line has no polygon with at least 3 points, the polygon is None and the box is the one
    in the file.

    Raises: Unusable, with this name and place, when the line covers no pixel of the page.
    """

    def unusable(why: str, fault: str, fix: str) -> Unusable:
        return Unusable(why, name, place, f"{fault}. {fix}")

    try:
        values = numbers(line.points or "")
        sides = numbers(" ".join(line.box)) if line.box and len(values) < 6 else []
        if len(values) % 2 or len(sides) not in (0, 4):
            raise ValueError("one number too many or too few")
    except ValueError as error:
        raise unusable(
            "invalid coordinates",
            f"coordinates must be pairs of numbers up to {_FARTHEST:.0f}, "
            f"got {str(line.points or line.box)[:40]!r} ({str(error)[:60]})",
            "Draw the line again",
        ) from error
    if len(values) >= 6:
        polygon = np.array(values).reshape(-1, 2)
    elif sides:
        left, top = sides[:2]
        right, bottom = left + max(0, sides[2]), top + max(0, sides[3])
        polygon = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    elif values:
        raise unusable(
            "polygon with fewer than 3 points",
            f"the polygon must have at least 3 points, got {len(values) // 2}",
            "Draw the outline of the line",
        )
    else:
        raise unusable(
            "no place on the page",
            "the line has neither a polygon nor a box",
            "Draw the outline of the line",
        )
    clipped = clip(polygon, width, height)
    box = _box_of(clipped)
    if not covered(clipped, box).any():
        (x0, y0), (x1, y1) = polygon.min(axis=0), polygon.max(axis=0)
        extent = f"x from {x0:g} to {x1:g} and y from {y0:g} to {y1:g}"
        if (polygon < 0).any() or (polygon > (width, height)).any():
            why = "outside the page"
            fault = f"the line must lie on the page of {width} x {height} px, got {extent}"
        else:
            why, fault = "no area", f"the line must enclose an area, got {extent}"
        raise unusable(why, fault, "Draw the line again")
    return (clipped if len(values) >= 6 else None), box


def numbers(text: str) -> list[float]:
    """Parse numbers separated by commas or spaces.

    Raises: ValueError when a part is not a number or is out of range.
    """
    values = [float(part) for part in text.replace(",", " ").split()]
    for value in values:
        if not abs(value) <= _FARTHEST:  # written so that NaN fails, too
            raise ValueError(f"{value:g} is out of range")
    return values


def _box_of(polygon: np.ndarray) -> Box:
    if not len(polygon):
        return 0, 0, 0, 0
    (left, top), (right, bottom) = np.floor(polygon.min(axis=0)), np.ceil(polygon.max(axis=0))
    return int(left), int(top), int(right), int(bottom)


def clip(polygon: np.ndarray, width: int, height: int) -> np.ndarray:
    """Clip a polygon to a page, at one edge after the other. Outside the page no point is left.

    Shapes: polygon (n, 2), returns (m, 2).
    Source: Sutherland and Hodgman, Reentrant polygon clipping, 1974.
    """
    for axis, edge, inward in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        within = inward * (polygon[:, axis] - edge) >= 0
        if within.all():
            continue
        kept = []
        for i, (here, there) in enumerate(zip(polygon, np.roll(polygon, -1, axis=0), strict=True)):
            if within[i]:
                kept.append(here)
            if within[i] != within[(i + 1) % len(polygon)]:
                share = (edge - here[axis]) / (there[axis] - here[axis])
                crossing = here + (there - here) * share
                crossing[axis] = edge  # exactly, in spite of rounding
                kept.append(crossing)
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def covered(polygon: np.ndarray, box: Box) -> np.ndarray:
    """Return which pixels of a box have their centre in the polygon.

    A pixel is inside if its winding number is not 0, so an outline that crosses itself leaves no
    holes.

    Shapes: polygon (n, 2); returns (h, w) bool.
    """
    left, top, right, bottom = box
    # Each edge adds +1 or -1 where it crosses a row; the cumulative sum along the row is then the
    # winding number. One more column takes the crossings to the right of the box.
    turns = np.zeros((bottom - top, right - left + 1), dtype=np.int32)
    corners = polygon.tolist()
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        low, high = min(y0, y1), max(y0, y1)
        # Rows whose centre lies between the two ends.
        rows = np.arange(max(math.ceil(low - 0.5), top), min(math.ceil(high - 0.5), bottom))
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5).astype(int) - left, 0, right - left)
            turns[rows - top, columns] += 1 if y1 > y0 else -1
    return np.cumsum(turns, axis=1, out=turns)[:, :-1] != 0
