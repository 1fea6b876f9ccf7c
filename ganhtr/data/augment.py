"""Fresh degradations in each training step, so that a line is seen with different damage."""

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
    """Return the degraded images for a step: a share `config.fresh` new ones, the others as given.

    Each line has its own random stream (seed, step, position), whose first draw decides whether
    it is degraded again. So a larger share includes the lines of a smaller one, and a resumed run
    makes the same images. A new image is white outside the line's width.

    Shapes: clean, degraded (B, H, W) uint8, widths (B,) -> (B, H, W) uint8; with `fresh` 0 the
        array `degraded` itself, else a new one.
    """
    if not config.fresh:
        return degraded
    # Imported here because it needs Pillow, and training without fresh damage does not.
    from ganhtr.data.degrade import degrade

    images = degraded.copy()
    for position, width in enumerate(widths):
        rng = generator(seed, "augment", step, position)
        if rng.random() < config.fresh:
            line = clean[position, :, :width]
            images[position] = 255
            images[position, :, :width] = degrade(line, rng, config.strength, config.strategy)
    return images
