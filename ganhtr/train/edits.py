"""Transcriptions with small mistakes: hard negatives that differ from a line's own text in a character or a few.

Legend: B batch, L characters (padded).
"""

from __future__ import annotations

import numpy as np

ONE_IN = 8  # characters; the first mistake is made whatever the length


def edited(
    text_BL: np.ndarray, lengths_B: np.ndarray, characters: int, rng: np.random.Generator
) -> np.ndarray:
    """A copy of the index rows in which about every eighth character is another; no row with a character stays as it was.

    `characters` is the largest index drawn (1..characters). Lengths stay, so that a line's length does not give the mistake away.
    """
    changed = text_BL.copy()
    for row, length in zip(changed, lengths_B, strict=True):
        places = rng.choice(length, size=min(length, 1 + length // ONE_IN), replace=False)
        moved = 1 + (row[places] - 1 + rng.integers(1, max(2, characters), size=len(places))) % max(
            1, characters
        )
        row[places] = np.where(
            moved == row[places], characters + 1, moved
        )  # a charset of one: its only other sign is `unknown`
    return changed
