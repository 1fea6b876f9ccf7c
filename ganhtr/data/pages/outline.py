"""The outline of a line on its page: read as its file writes it, cut at the page's edges, and as a mask of pixels.

Coordinates run along the page's edges: pixel i lies between i and i + 1, and belongs to a polygon when its centre does.
"""

from __future__ import annotations

import math

import numpy as np

from ganhtr.data.pages.page_file import WrittenLine
from ganhtr.data.raw import Unusable

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two exclusive
_FARTHEST = 1e6  # pixels; no page is as large, so a larger coordinate is an error


def read_outline(
    line: WrittenLine, width: int, height: int, name: str, place: str
) -> tuple[np.ndarray | None, Box]:
    """Polygon and box of a line on a page; without a polygon of 3 points, the box that its file gives.

    Raises: Unusable with this name and place when the line encloses no pixel of the page.
    """
    try:
        values = numbers(line.points or "")
        sides = numbers(" ".join(line.box)) if line.box and len(values) < 6 else []
        if len(values) % 2 or len(sides) not in (0, 4):
            raise ValueError("one number too many or too few")
    except ValueError as error:
        raise Unusable(
            "their coordinates are no numbers",
            name,
            place,
            f"coordinates must be pairs of numbers up to {_FARTHEST:.0f}, "
            f"got {str(line.points or line.box)[:40]!r} ({str(error)[:60]}). Draw the line anew",
        ) from error
    if len(values) >= 6:
        polygon = np.array(values).reshape(-1, 2)
    elif sides:
        left, top, right, bottom = (
            sides[0],
            sides[1],
            sides[0] + max(0, sides[2]),
            sides[1] + max(0, sides[3]),
        )
        polygon = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    elif values:
        raise Unusable(
            "their polygon has fewer than 3 points",
            name,
            place,
            f"polygon must have 3 points or more, got {len(values) // 2}. Draw the line's outline",
        )
    else:
        raise Unusable(
            "they have no place on the page",
            name,
            place,
            "line must have a polygon or a box, got neither. Draw the line's outline",
        )
    clipped = clip(polygon, width, height)
    box = _box_of(clipped)
    if not covered(clipped, box).any():
        outside = (polygon < 0).any() or (polygon > (width, height)).any()
        why, rule = (
            ("they lie outside the page", f"lie on the page of {width} x {height} px")
            if outside
            else ("they have no area", "enclose an area")
        )
        raise Unusable(
            why,
            name,
            place,
            f"line must {rule}, got x from {polygon[:, 0].min():g} to {polygon[:, 0].max():g} and "
            f"y from {polygon[:, 1].min():g} to {polygon[:, 1].max():g}. Draw the line anew",
        )
    return (clipped if len(values) >= 6 else None), box


def numbers(text: str) -> list[float]:
    """Numbers separated by commas or spaces. Raises: ValueError when one is none, or is out of all range."""
    found = [float(part) for part in text.replace(",", " ").split()]
    for number in found:
        if not abs(number) <= _FARTHEST:  # not a number is not, either
            raise ValueError(f"{number:g} is out of range")
    return found


def _box_of(polygon: np.ndarray) -> Box:
    if not len(polygon):
        return 0, 0, 0, 0
    (left, top), (right, bottom) = np.floor(polygon.min(axis=0)), np.ceil(polygon.max(axis=0))
    return int(left), int(top), int(right), int(bottom)


def clip(polygon: np.ndarray, width: int, height: int) -> np.ndarray:
    """The part of a polygon that lies on a page, cut at one edge after the other; without points where it lies outside.

    Shapes: polygon (n, 2), returns (m, 2). Source: Sutherland and Hodgman, Reentrant polygon clipping, 1974.
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
                crossing = here + (there - here) * (
                    (edge - here[axis]) / (there[axis] - here[axis])
                )
                crossing[axis] = edge  # exactly, whatever was rounded
                kept.append(crossing)
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def covered(polygon: np.ndarray, box: Box) -> np.ndarray:
    """Which pixels of a box have their centre in the polygon; where its outline crosses itself, it leaves no holes (winding number not 0).

    Shapes: polygon (n, 2); returns (h, w) bool.
    """
    left, top, right, bottom = box
    turns = np.zeros(
        (bottom - top, right - left + 1), dtype=np.int32
    )  # what crosses right of the box goes into one more column
    corners = polygon.tolist()
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        low, high = min(y0, y1), max(y0, y1)
        rows = np.arange(max(math.ceil(low - 0.5), top), min(math.ceil(high - 0.5), bottom))
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5).astype(int) - left, 0, right - left)
            turns[rows - top, columns] += 1 if y1 > y0 else -1
    return np.cumsum(turns, axis=1, out=turns)[:, :-1] != 0
