"""Transcriptions with a few wrong characters, as hard negatives.

Legend: B lines of a batch, L characters (padded).
"""

from __future__ import annotations

import numpy as np

CHARACTERS_PER_EDIT = 8  # beyond the first edit, which every text gets


def edited(
    text_BL: np.ndarray, lengths_B: np.ndarray, characters: int, rng: np.random.Generator
) -> np.ndarray:
    """Copy index rows and replace 1 + length // 8 characters in each; empty rows stay empty.

    `characters` is the size of the charset, the largest index that is drawn. Lengths do not change,
    so a model cannot detect the edit by the length. Shapes: (B, L), (B,) -> (B, L).
    """
    edited_BL = text_BL.copy()
    for row, length in zip(edited_BL, lengths_B, strict=True):
        edits = min(length, 1 + length // CHARACTERS_PER_EDIT)
        places = rng.choice(length, size=edits, replace=False)
        # a shift by 1 to characters - 1 within the indices 1 to characters never gives the same one
        shifts = rng.integers(1, max(2, characters), size=edits)
        replacements = 1 + (row[places] - 1 + shifts) % max(1, characters)
        # a charset of one character has no other one: the index of unknown characters replaces it
        unknown = characters + 1
        row[places] = np.where(replacements == row[places], unknown, replacements)
    return edited_BL
