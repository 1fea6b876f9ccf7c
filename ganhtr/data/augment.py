"""Damage made anew in each training step, so that a line is seen in more than one state of decay."""

from __future__ import annotations

import numpy as np

from ganhtr.config_sections import AugmentConfig
from ganhtr.seeds import generator


def degrade_anew(
    clean: np.ndarray,
    widths: np.ndarray,
    degraded: np.ndarray,
    config: AugmentConfig,
    seed: int,
    step: int,
) -> np.ndarray:
    """The degraded twins that a step trains on: a share `config.fresh` of them made anew, the others as given.

    Each line has its own stream (seed, step, position), whose first draw decides: a larger share takes in the lines of a smaller one, and
    a resumed run makes the same damage. Outside its width a line made anew is white paper.
    Shapes: clean, degraded (B, H, W) uint8, widths (B,) -> (B, H, W) uint8: with `fresh` 0 the array `degraded` itself, else a new one.
    """
    if not config.fresh:
        return degraded
    from ganhtr.data.degrade import (
        degrade,
    )  # brings in Pillow and SciPy, which training without fresh damage does not need

    made = degraded.copy()
    for position, width in enumerate(widths):
        rng = generator(seed, "augment", step, position)
        if rng.random() < config.fresh:
            made[position] = 255
            made[position, :, :width] = degrade(
                clean[position, :, :width], rng, config.strength, config.strategy
            )
    return made
