"""Tests of splits: whole groups near the shares by seed and names, or by order in the file."""

import os
from pathlib import Path

import numpy as np
import pytest

from ganhtr.data.folder import group_of
from ganhtr.data.splits import split_groups, split_in_order

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("GANHTR_TEST_DATA", ROOT / ".." / "shared" / "data")) / "lines"


def some_groups(seed=0, groups=59):
    rng = np.random.default_rng(seed)
    return [f"page{i}" for i in range(groups) for _ in range(rng.integers(8, 25))]


@pytest.mark.parametrize("seed", range(8))
def test_a_split_holds_whole_groups_near_the_shares(seed):
    groups = some_groups(seed)
    split = split_groups(groups, seed)
    assert split.shape == (len(groups),)
    assert len(set(zip(groups, split.tolist(), strict=True))) == 59
    assert np.abs(np.bincount(split, minlength=3) / len(groups) - [0.8, 0.1, 0.1]).max() < 0.03
    halves = np.bincount(split_groups(groups, seed, (2, 1, 1)), minlength=3) / len(groups)
    assert np.abs(halves - [0.5, 0.25, 0.25]).max() < 0.03


def test_a_split_depends_on_seed_and_groups_alone():
    groups = some_groups()
    split = split_groups(groups, 3)
    assert (split_groups(tuple(groups), 3) == split).all()
    assert (split_groups(groups, 4) != split).any()
    order = np.random.default_rng(0).permutation(len(groups))
    assert (split_groups([groups[i] for i in order], 3) == split[order]).all()


def test_a_line_more_moves_hardly_a_group():
    groups = some_groups()
    split = split_groups(groups, 0)
    moved = [
        len(
            {
                g
                for g, a, b in zip(
                    groups, split, split_groups([*groups, f"page{i}"], 0), strict=False
                )
                if a != b
            }
        )
        for i in range(59)
    ]
    assert max(moved) <= 1 and np.mean(moved) < 0.1


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (100, 1, 1), (1, 1, 1000, 1), (50, 50, 50), (1, 200, 3, 2)]
)
def test_no_split_is_empty(sizes):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    for seed in range(30):
        assert set(split_groups(groups, seed).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("groups", [[], ["a"] * 9, ["a", "b"] * 9])
def test_too_few_groups_name_the_fix(groups):
    with pytest.raises(
        ValueError,
        match=f"at least 3.*got {len(set(groups))} "
        ".*third column of lines.tsv; .*three pages or more",
    ):
        split_groups(groups, 0)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (3, [1, 1, 1]),
        (19, [17, 1, 1]),
        (20, [16, 2, 2]),
        (101, [81, 10, 10]),
        (4739, [3793, 473, 473]),
    ],
)
def test_a_file_is_split_in_its_order(count, sizes):
    split = split_in_order(count)
    assert np.bincount(split).tolist() == sizes and split.shape == (count,)
    assert (np.diff(split) >= 0).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_lines_in_order_name_the_fix(count):
    with pytest.raises(
        ValueError, match=f"at least 3 lines are needed, .*got {count}. Give a file with more lines"
    ):
        split_in_order(count)


@pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real lines at {REAL}; set GANHTR_TEST_DATA to the data folder"
)
def test_the_real_groups():
    groups = [
        group_of(row.split("\t")[0])
        for row in (REAL / "lines.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    ]
    assert np.abs(np.bincount(split_groups(groups, 0)) / 641 - [0.8, 0.1, 0.1]).max() < 0.03
