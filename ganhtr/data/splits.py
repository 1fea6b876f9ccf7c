"""The split of lines: by groups or by order in the file.

The parts are train, search-validation and test. A share of the training lines can be set aside for
the recognizers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def split_groups(
    groups: Sequence[str], seed: int, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> np.ndarray:
    """Return the split of each line: 0 train, 1 validation, 2 test.

    Whole groups are assigned. The numbers of lines come close to the shares, and no split is
    empty. The groups are put into an order that depends only on the seed and their names, and a
    group belongs to the share in which its middle line lies. So the order of the lines does not
    matter, and one line more or less in a group moves no other group, except one whose middle is
    within a line of a boundary, or one that had to fill an empty split.

    Shapes: returns (N,) int64. Raises: ValueError when there are fewer than three groups.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    if len(names) < 3:
        raise ValueError(
            f"at least 3 groups are needed, one for each split, got {len(names)} "
            f"({', '.join(names)}). Give each line its group (page, writer, document): in a "
            "folder in the third column of lines.tsv; with ALTO or PAGE each page is a group, so "
            "give three pages or more"
        )

    order, middles = _places(names, sizes, seed)
    cuts = np.cumsum(shares)[:2] / sum(shares)
    split = np.empty(len(names), dtype=np.int64)
    split[order] = np.searchsorted(cuts, middles, side="right")
    for empty in (part for part in range(3) if part not in split):
        # With three groups or more, the split with most groups has two when another is empty.
        crowded = np.bincount(split).argmax()
        donors = [i for i in order if split[i] == crowded]
        split[min(donors, key=lambda i: sizes[i])] = empty
    return split[np.searchsorted(names, np.asarray(groups, dtype=str))]


def recognizer_groups(groups: Sequence[str], seed: int, share: float) -> np.ndarray:
    """Return which training lines only the recognizers are trained on: whole groups, at random.

    Both parts get at least one group, unless the share is 0 or there is only one group: then no
    line is set aside.

    Shapes: returns (N,) bool.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    order, middles = _places(names, sizes, seed)
    count = int((middles < share).sum())
    count = min(max(count, 1), len(names) - 1) if share else 0
    return np.isin(np.asarray(groups, dtype=str), names[order[:count]])


def _places(names: np.ndarray, sizes: np.ndarray, seed: int) -> tuple[list[int], np.ndarray]:
    """The order of the groups, and where the middle line of each lies in it, from 0 to 1."""
    order = sorted(
        range(len(names)), key=lambda i: hashlib.sha256(f"{seed}\t{names[i]}".encode()).digest()
    )
    ends = np.cumsum(sizes[order])
    return order, (ends - sizes[order] / 2) / ends[-1]


def split_in_order(count: int) -> np.ndarray:
    """Return the split of each line by its position in the file: 0 train, 1 validation, 2 test.

    The last tenth is test, the tenth before it validation, the rest train.

    Shapes: returns (count,) int64. Raises: ValueError when there are fewer than three lines.
    Differs: the original experiment trained on the first nine tenths, validated on the last, and
        had no test lines.
    """
    if count < 3:
        raise ValueError(
            f"at least 3 lines are needed, one for each split, got {count}. "
            "Give a file with more lines"
        )
    tenth = max(1, count // 10)
    return np.repeat(np.arange(3), [count - 2 * tenth, tenth, tenth])
