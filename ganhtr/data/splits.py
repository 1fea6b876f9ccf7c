"""Which lines train, which choose (search-validation), and which judge (test): by whole groups, or by their order in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def split_groups(
    groups: Sequence[str], seed: int, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> np.ndarray:
    """Split of each line, 0 train, 1 validation, 2 test: whole groups, line counts near the shares, none empty.

    Groups stand in an order that only the seed and their names give, and are cut where their middle passes a share.
    So the order of the lines is of no account, and a line more or less in a group moves no other group, save one
    whose middle lies within a line of a cut, or one that had to fill an empty split.

    Shapes: returns (N,) int64. Raises: ValueError when there are fewer than three groups.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    if len(names) < 3:
        raise ValueError(
            f"groups must be at least 3, one for each split, got {len(names)} ({', '.join(names)}). "
            "Give each line its group (page, writer, document), in a folder by the third column of lines.tsv; "
            "with ALTO or PAGE each page is one, so give three pages or more"
        )
    order = sorted(
        range(len(names)), key=lambda i: hashlib.sha256(f"{seed}\t{names[i]}".encode()).digest()
    )
    ends = np.cumsum(sizes[order])
    middles = (ends - sizes[order] / 2) / ends[-1]
    cuts = np.cumsum(shares)[:2] / sum(shares)
    split = np.empty(len(names), dtype=np.int64)
    split[order] = np.searchsorted(cuts, middles, side="right")
    for empty in (part for part in range(3) if part not in split):
        crowded = np.bincount(split).argmax()  # has two groups at least, or none were empty
        donors = [i for i in order if split[i] == crowded]
        split[min(donors, key=lambda i: sizes[i])] = empty
    return split[np.searchsorted(names, np.asarray(groups, dtype=str))]


def split_in_order(count: int) -> np.ndarray:
    """Split of each line by its place in the file: the last tenth is test (2), the tenth before it validation (1), the rest train (0).

    Shapes: returns (count,) int64. Raises: ValueError when there are fewer than three lines.
    Differs: the original experiment trained on the first nine tenths, validated on the last, and had no test lines.
    """
    if count < 3:
        raise ValueError(
            f"lines must be at least 3, one for each split, got {count}. Give a file with more lines"
        )
    held = max(1, count // 10)
    return np.repeat(np.arange(3), [count - 2 * held, held, held])
