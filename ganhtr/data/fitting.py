"""From raw lines to the arrays of a split: every line at one size, with the degraded image of its source or with one that is made."""

from __future__ import annotations

from collections import deque

import numpy as np

from ganhtr.config_sections import DataConfig
from ganhtr.data.pairs import Lines, fit_line
from ganhtr.data.raw import RawLine
from ganhtr.seeds import generator


def is_squeezed(shape: tuple[int, ...], data: DataConfig) -> bool:
    """Whether an image (h, w) is wider than the lines may be at their height."""
    return shape[1] * data.height > shape[0] * data.width


def fit_lines(waiting: deque[RawLine], data: DataConfig, split: str) -> Lines:
    """The arrays of a split. A line without a degraded image is degraded by its own stream of random numbers.

    Takes the lines away as it goes, so that their images are not held twice.
    """
    from ganhtr.data.degrade import degrade

    columns = [
        tuple(getattr(line, key) for line in waiting) for key in ("transcript", "name", "group")
    ]
    clean = np.empty((len(waiting), data.height, data.width), dtype=np.uint8)
    widths = np.empty(len(waiting), dtype=np.int32)
    degraded = np.full_like(clean, 255)
    for i in range(len(waiting)):
        line = waiting.popleft()
        clean[i], widths[i] = fit_line(line.clean, data.height, data.width)
        if line.degraded is not None:
            degraded[i] = fit_line(line.degraded, data.height, data.width)[0]
        else:
            own = clean[i, :, : widths[i]]
            degraded[i, :, : widths[i]] = degrade(
                own, generator(data.seed, "degrade", split, line.name), data.degradation
            )
    return Lines(clean, degraded, widths, *columns)
