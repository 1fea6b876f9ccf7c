"""Batches: what a step sees of its lines, and which lines it sees."""

from collections import Counter

import numpy as np
import pytest
import torch

from ganhtr.charset import Charset
from ganhtr.data.batches import LineBatches, pad, step_indices
from ganhtr.data.pairs import Lines

TEXTS = ("ab", "", "abz!ba", "ab", "b")
WIDTHS = np.array([16, 24, 17, 20, 19], dtype=np.int32)
RNG = np.random.default_rng(0)
LINES = Lines(
    RNG.integers(0, 256, (5, 8, 24), dtype=np.uint8),
    RNG.integers(0, 256, (5, 8, 24), dtype=np.uint8),
    WIDTHS,
    TEXTS,
    TEXTS,
    TEXTS,
)
TAPS = RNG.random((5, 6, 3), dtype=np.float32)
ORDER = np.array([2, 0, 1, 3])


@pytest.fixture(scope="module")
def batch():
    return LineBatches(LINES, Charset("ab"), torch.device("cpu"), TAPS).take(ORDER)


def test_images_are_scaled_to_one_in_the_order_asked_for(batch):
    for image, array in ((batch.clean, LINES.clean), (batch.degraded, LINES.degraded)):
        assert image.shape == (4, 1, 8, 24) and image.dtype == torch.float32
        assert torch.equal(
            image, torch.tensor(array[ORDER][:, None].astype(np.float32) / np.float32(255))
        )
    assert LineBatches(LINES, Charset("ab"), torch.device("cpu")).take(ORDER).clean_tap is None
    assert np.array_equal(batch.clean_tap.numpy(), TAPS[ORDER])


def test_the_arrays_are_copied(batch):
    before = LINES.clean.copy(), TAPS.copy()
    fresh = LineBatches(LINES, Charset("ab"), torch.device("cpu"), TAPS).take(ORDER)
    fresh.clean.zero_()
    fresh.clean_tap.zero_()
    assert np.array_equal(LINES.clean, before[0]) and np.array_equal(TAPS, before[1])


def test_inside_covers_the_width_of_each_line(batch):
    assert batch.inside.shape == (4, 1, 1, 24) and batch.inside.dtype == torch.bool
    assert batch.inside.sum(dim=3).flatten().tolist() == [17, 16, 24, 20] == batch.widths.tolist()
    assert all(
        row[0, 0, :width].all() for row, width in zip(batch.inside, batch.widths, strict=True)
    )


def test_texts_hold_every_character_and_targets_the_known_ones(batch):
    assert batch.text.tolist() == [
        [1, 2, 3, 3, 2, 1],
        [1, 2, 0, 0, 0, 0],
        [0] * 6,
        [1, 2, 0, 0, 0, 0],
    ]
    assert batch.text_lengths.tolist() == [6, 2, 0, 2]
    assert batch.targets.tolist() == [1, 2, 2, 1, 1, 2, 1, 2]
    assert batch.target_lengths.tolist() == [4, 2, 0, 2]
    assert {
        t.dtype for t in (batch.text, batch.text_lengths, batch.targets, batch.target_lengths)
    } == {torch.int64}


def test_equal_transcriptions_are_marked(batch):
    assert batch.same.dtype == torch.bool
    assert batch.same.tolist() == [[TEXTS[i] == TEXTS[j] for j in ORDER] for i in ORDER]


@pytest.mark.parametrize(
    ("stride", "frames"), [(4, [5, 4, 6, 5]), (8, [3, 2, 3, 3]), (1, [17, 16, 24, 20])]
)
def test_frames_are_rounded_up(batch, stride, frames):
    assert batch.frames(stride).tolist() == frames


def test_padding_is_zero_and_at_least_one_wide():
    assert pad([np.array([3, 4]), np.array([5])]).tolist() == [[3, 4], [5, 0]]
    assert pad([np.array([], dtype=np.int64)] * 2).tolist() == [[0], [0]]


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (12, 4), (5, 5), (7, 3), (9, 1)])
def test_every_line_comes_once_a_pass(count, batch_size):
    row = np.concatenate(
        [step_indices(count, batch_size, step, seed=3) for step in range(3 * count)]
    )
    passes = row.reshape(-1, count)
    assert all(sorted(one) == list(range(count)) for one in passes)
    assert len({tuple(one) for one in passes}) > len(passes) // 2
    assert set(Counter(row.tolist()).values()) == {3 * batch_size}


def test_the_order_depends_on_seed_and_step_alone():
    first = [step_indices(10, 4, step, seed=0).tolist() for step in range(20)]
    assert [step_indices(10, 4, step, seed=0).tolist() for step in reversed(range(20))] == first[
        ::-1
    ]
    assert [step_indices(10, 4, step, seed=1).tolist() for step in range(20)] != first
    np.random.seed(0)
    assert step_indices(10, 4, 7, seed=0).tolist() == first[7]


def test_a_batch_that_does_not_fit_is_refused():
    assert sorted(step_indices(4, 4, 0, seed=0)) == [0, 1, 2, 3]
    with pytest.raises(
        ValueError,
        match=r"train.batch_size must be at most the number of training lines \(4\), got 5",
    ):
        step_indices(4, 5, 0, seed=0)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_are_the_batch_cut_in_order(batch, count):
    parts = batch.parts(count)
    assert [len(part) for part in parts] == [4 // count] * count
    for name in (
        "degraded",
        "clean",
        "inside",
        "widths",
        "text",
        "text_lengths",
        "targets",
        "target_lengths",
        "text_ids",
        "clean_tap",
    ):
        assert torch.equal(
            torch.cat([getattr(part, name) for part in parts]), getattr(batch, name)
        ), name
    assert batch.parts(1)[0] is batch
    without = LineBatches(LINES, Charset("ab"), torch.device("cpu")).take(ORDER).parts(2)
    assert [part.clean_tap for part in without] == [None, None]


def test_other_degraded_images_replace_those_of_the_lines(batch):
    lines, other = (
        LineBatches(LINES, Charset("ab"), torch.device("cpu")),
        np.full((4, 8, 24), 51, dtype=np.uint8),
    )
    given = lines.take(ORDER, other)
    assert (
        (given.degraded == 0.2).all()
        and torch.equal(given.clean, batch.clean)
        and LINES.degraded.max() > 51
    )
