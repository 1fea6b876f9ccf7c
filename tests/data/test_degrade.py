"""Every damage keeps the contract: nothing at strength 0, more with more strength, the same for the same seed."""

from itertools import pairwise

import numpy as np
import pytest

from ganhtr.data.degrade import DEGRADATIONS, degrade
from ganhtr.data.synthetic import synthesize

NAMES = list(DEGRADATIONS)
SIZES = [(32, 256), (1, 16), (1, 1), (2, 40), (16, 16), (128, 300)]


@pytest.fixture(scope="module")
def lines():
    return [image for image, _ in synthesize({"train": 24}, 32, 256, seed=0)["train"]]


@pytest.fixture(scope="module")
def line(lines):
    return lines[0].astype(np.float32) / 255


def applied(name, image, strength, seed=0):
    return DEGRADATIONS[name](image, np.random.default_rng(seed), strength)


def change(name, image, strength, seeds=8):
    return np.mean([np.abs(applied(name, image, strength, seed) - image).mean() for seed in range(seeds)])


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("name", NAMES)
def test_strength_zero_is_the_identity(name, line):
    for seed in range(5):
        assert np.array_equal(applied(name, line, 0.0, seed), line)


@pytest.mark.parametrize("name", NAMES)
def test_more_strength_changes_more(name, line):
    changes = [change(name, line, strength) for strength in (0.0, 0.25, 0.5, 1.0, 2.0)]
    assert all(more > less for less, more in pairwise(changes)), changes
    assert changes[3] > 1e-3, changes


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name, line):
    assert np.array_equal(applied(name, line, 1.0, 7), applied(name, line, 1.0, 7))
    assert not np.array_equal(applied(name, line, 1.0, 7), applied(name, line, 1.0, 8))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_shape_type_and_range_are_kept_and_the_image_is_not_touched(name, size):
    image = np.random.default_rng(0).random(size, dtype=np.float32)
    before = image.copy()
    for strength in (0.3, 1.0, 3.0):
        out = applied(name, image, strength)
        assert out.shape == size and out.dtype == np.float32
        assert out.min() >= -1e-6 and out.max() <= 1 + 1e-6
    assert np.array_equal(image, before)


def test_ink_fades_and_paper_stays(line):
    out = applied("fade_ink", line, 1.0)
    assert (out >= line).all() and out.min() > line.min() + 0.1
    assert np.array_equal(out[line == 1], line[line == 1])


@pytest.mark.parametrize("name", ["bleed_through", "uneven_paper", "stain", "foxing"])
def test_paper_is_only_darkened(name, line):
    assert (applied(name, line, 1.0) <= line).all()


def test_bleed_through_shows_no_ghost_on_blank_paper():
    assert np.array_equal(applied("bleed_through", np.ones((32, 100), np.float32), 1.0), np.ones((32, 100), np.float32))


def test_degrade_at_zero_gives_an_equal_copy(lines):
    out = degrade(lines[0], np.random.default_rng(0), 0.0)
    assert np.array_equal(out, lines[0]) and out is not lines[0]


def test_degrade_is_decided_by_the_generator(lines):
    a, b, c = (degrade(lines[0], np.random.default_rng(seed), 1.0) for seed in (5, 5, 6))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_degrade_keeps_the_image_and_grows_with_strength(lines):
    before = [line.copy() for line in lines]
    mean = []
    for strength in (0.0, 0.3, 0.6, 1.0, 1.5):
        outs = [degrade(line, np.random.default_rng(i), strength) for i, line in enumerate(lines)]
        assert all(out.dtype == np.uint8 and out.shape == line.shape for out, line in zip(outs, lines, strict=True))
        mean.append(np.mean([np.abs(out.astype(float) - line).mean() for out, line in zip(outs, lines, strict=True)]))
    assert all(more > less for less, more in pairwise(mean)), mean
    assert all(np.array_equal(a, b) for a, b in zip(lines, before, strict=True))


def test_strength_one_is_as_bad_as_intended(lines):
    values = [psnr(degrade(line, np.random.default_rng(i), 1.0), line) for i, line in enumerate(lines)]
    assert 8 < np.median(values) < 13, np.median(values)


@pytest.mark.parametrize("size", SIZES)
def test_degrade_takes_any_size(size):
    image = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    assert degrade(image, np.random.default_rng(2), 1.0).shape == size


def test_a_negative_strength_is_refused(lines):
    with pytest.raises(ValueError, match="strength"):
        degrade(lines[0], np.random.default_rng(0), -0.1)
