"""From raw lines to the arrays of a split, all lines at one size."""

from __future__ import annotations

from collections import deque

import numpy as np

from ganhtr.config_sections import DataConfig
from ganhtr.data.pairs import Lines, fit_line
from ganhtr.data.raw import RawLine
from ganhtr.seeds import generator


def is_squeezed(shape: tuple[int, ...], data: DataConfig) -> bool:
    """Whether an image (h, w), scaled to the configured height, exceeds the configured width."""
    return shape[1] * data.height > shape[0] * data.width


def fit_lines(waiting: deque[RawLine], data: DataConfig, split: str) -> Lines:
    """Return the arrays of a split. A line without a degraded image gets one from its own stream.

    The lines of split `recognizer` are only read clean and get none. The lines are removed from
    `waiting` one by one, so that their images are freed early.
    """
    from ganhtr.data.degrade import degrade

    transcripts, names, groups = (
        tuple(getattr(line, key) for line in waiting) for key in ("transcript", "name", "group")
    )
    clean = np.empty((len(waiting), data.height, data.width), dtype=np.uint8)
    widths = np.empty(len(waiting), dtype=np.int32)
    only_clean = split == "recognizer"
    degraded = clean if only_clean else np.full_like(clean, 255)
    for i in range(len(waiting)):
        line = waiting.popleft()
        clean[i], widths[i] = fit_line(line.clean, data.height, data.width)
        if only_clean:
            continue
        if line.degraded is not None:
            degraded[i] = fit_line(line.degraded, data.height, data.width)[0]
        else:
            rng = generator(data.seed, "degrade", split, line.name)
            fitted = clean[i, :, : widths[i]]
            degraded[i, :, : widths[i]] = degrade(fitted, rng, data.degradation)
    return Lines(clean, degraded, widths, transcripts, names, groups)
