"""Tests of degradations: none at strength 0, more with more strength, repeatable by seed."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ganhtr.config import RULES
from ganhtr.data import degrade as degrade_module
from ganhtr.data.degrade import DEGRADATIONS, STRATEGIES, degrade
from ganhtr.data.drawn.synthetic import synthesize

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
    return np.mean(
        [np.abs(applied(name, image, strength, seed) - image).mean() for seed in range(seeds)]
    )


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
    assert np.array_equal(
        applied("bleed_through", np.ones((32, 100), np.float32), 1.0),
        np.ones((32, 100), np.float32),
    )


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
        assert all(
            out.dtype == np.uint8 and out.shape == line.shape
            for out, line in zip(outs, lines, strict=True)
        )
        mean.append(
            np.mean(
                [
                    np.abs(out.astype(float) - line).mean()
                    for out, line in zip(outs, lines, strict=True)
                ]
            )
        )
    assert all(more > less for less, more in pairwise(mean)), mean
    assert all(np.array_equal(a, b) for a, b in zip(lines, before, strict=True))


def test_strength_one_is_as_bad_as_intended(lines):
    values = [
        psnr(degrade(line, np.random.default_rng(i), 1.0), line) for i, line in enumerate(lines)
    ]
    assert 8 < np.median(values) < 13, np.median(values)


@pytest.mark.parametrize("size", SIZES)
def test_degrade_takes_any_size(size):
    image = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    assert degrade(image, np.random.default_rng(2), 1.0).shape == size


def test_a_negative_strength_is_refused(lines):
    with pytest.raises(ValueError, match="strength"):
        degrade(lines[0], np.random.default_rng(0), -0.1)


def plain_stain(image, rng, strength):
    """`stain` over the whole line, not only where a stain is."""
    y, x = degrade_module._grid(image)
    edge = 0.5 * degrade_module._clouds(image.shape, rng, degrade_module._cell(image, 0.3))
    dark = np.zeros_like(image)
    for _ in range(degrade_module._count(image, rng, 0.15)):
        middle, across, down = (
            rng.uniform(0, x[0, -1] + 1e-3),
            rng.uniform(0.5, 1.8),
            rng.uniform(0.4, 1.0),
        )
        distance = np.hypot((x - middle) / across, (y - rng.uniform(0, 1)) / down) + edge
        inside = np.clip((1 - distance) * 8, 0, 1)
        dark = np.maximum(dark, 0.28 * inside + 0.22 * np.exp(-(((distance - 0.95) / 0.07) ** 2)))
    return image * np.clip(1 - strength * dark, 0, 1)


def plain_foxing(image, rng, strength):
    """`foxing` with SciPy's filter over both axes."""
    height, width = image.shape
    dark = np.zeros_like(image)
    for radius in (0.035, 0.09):
        n = degrade_module._count(image, rng, 0.12 / radius)
        seeds = np.zeros_like(image)
        seeds[rng.integers(height, size=n), rng.integers(width, size=n)] = rng.uniform(
            0.3, 1, size=n
        )
        sigma = radius * height
        dark += gaussian_filter(seeds, sigma) * max(1.0, 2 * np.pi * sigma**2)
    return image * (1 - np.clip(0.6 * strength * dark, 0, 0.8))


def plain_holes(image, rng, strength):
    """`holes` over the whole line, not only where a hole is."""
    y, x = degrade_module._grid(image)
    ragged = 0.35 * degrade_module._clouds(image.shape, rng, degrade_module._cell(image, 0.1))
    for _ in range(degrade_module._count(image, rng, 0.25)):
        middle, level = rng.uniform(0, x[0, -1] + 1e-3), rng.uniform(0, 1)
        long, radius, floor = rng.uniform(0.6, 2.0), rng.uniform(0.07, 0.18), rng.uniform(0.15, 0.4)
        distance = np.hypot((x - middle) / long, (y - level) * long**0.5) / radius + ragged
        gone = np.clip((strength - distance) * 4, 0, 1)
        image = image * (1 - gone) + floor * gone
    return image


@pytest.mark.parametrize("plain", [plain_stain, plain_foxing, plain_holes])
@pytest.mark.parametrize("size", [*SIZES, (64, 768)])
def test_what_is_computed_only_where_it_shows_is_the_same_bit_by_bit(plain, size):
    image = np.random.default_rng(0).random(size, dtype=np.float32)
    for seed in range(10):
        for strength in (0.0, 0.4, 1.0, 3.0):
            ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
            out = DEGRADATIONS[plain.__name__.removeprefix("plain_")](image, ours, strength)
            assert np.array_equal(out, plain(image, theirs, strength))
            assert ours.bit_generator.state == theirs.bit_generator.state


def test_all_is_the_default_and_draws_as_it_always_did(lines):
    for seed, image in enumerate(lines):
        rng, default, named = (np.random.default_rng(seed) for _ in range(3))
        line = image.astype(np.float32) / 255
        for name, damage in DEGRADATIONS.items():
            chosen, share = rng.random() < 0.6, rng.uniform(0.5, 1.0)
            if chosen or name in ("uneven_paper", "noise"):
                line = damage(line, rng, 0.9 * share)
        expected = np.rint(np.clip(line, 0, 1) * 255).astype(np.uint8)
        assert np.array_equal(degrade(image, default, 0.9), expected)
        assert np.array_equal(degrade(image, named, 0.9, "all"), expected)
        assert rng.bit_generator.state == default.bit_generator.state == named.bit_generator.state


def test_the_groups_are_the_strategies_of_the_configuration_and_share_out_every_damage():
    assert tuple(STRATEGIES) == RULES["augment.strategy"].choices
    assert STRATEGIES["ink"] + STRATEGIES["paper"] + STRATEGIES["camera"] == (
        "fade_ink",
        "bleed_through",
        "uneven_paper",
        "stain",
        "foxing",
        "fold",
        "holes",
        "blur",
        "noise",
    )
    assert set(STRATEGIES["all"]) == set(DEGRADATIONS)


@pytest.mark.parametrize("strategy", ["ink", "paper", "camera"])
def test_a_group_damages_every_line_with_its_members_at_even_chances(strategy, lines, monkeypatch):
    calls = []

    def note(name, damage):
        return lambda image, rng, strength: (
            calls.append((name, strength)),
            damage(image, rng, strength),
        )[1]

    for name, damage in list(DEGRADATIONS.items()):
        monkeypatch.setitem(DEGRADATIONS, name, note(name, damage))
    count, members, seen, several = (
        1500,
        STRATEGIES[strategy],
        dict.fromkeys(STRATEGIES[strategy], 0),
        0,
    )
    tiny = lines[0][:, :20]
    for seed in range(count):
        calls.clear()
        degrade(tiny, np.random.default_rng(seed), 2.0, strategy)
        names = [name for name, _ in calls]
        assert names and names == [
            name for name in members if name in names
        ]  # each at most once, in their order
        assert all(1.0 <= strength <= 2.0 for _, strength in calls)
        for name in names:
            seen[name] += 1
        several += len(names) > 1
    n = len(members)
    expected = 0.6 + 0.4**n / n  # none is left out more often than another
    assert [seen[name] / count for name in members] == pytest.approx([expected] * n, abs=0.05)
    assert several / count == pytest.approx(1 - 0.4**n - n * 0.6 * 0.4 ** (n - 1), abs=0.05)


@pytest.mark.parametrize("strategy", ["ink", "paper", "camera"])
def test_a_group_changes_every_line_and_keeps_the_contract(strategy, lines):
    for seed, image in enumerate(lines):
        before = image.copy()
        out, same = (degrade(image, np.random.default_rng(seed), 1.0, strategy) for _ in range(2))
        assert (
            np.array_equal(out, same)
            and not np.array_equal(out, image)
            and np.array_equal(image, before)
        )
        assert out.shape == image.shape and out.dtype == np.uint8
        assert np.array_equal(degrade(image, np.random.default_rng(seed), 0.0, strategy), image)


def test_ink_leaves_the_paper_and_the_camera_makes_no_marks(lines):
    blank = np.full((32, 200), 255, dtype=np.uint8)
    for seed in range(10):
        assert np.array_equal(degrade(blank, np.random.default_rng(seed), 1.0, "ink"), blank)
        assert degrade(blank, np.random.default_rng(seed), 1.0, "camera").min() > 180
    assert (
        min(degrade(blank, np.random.default_rng(seed), 1.0, "paper").min() for seed in range(10))
        < 130
    )


def test_an_unknown_strategy_is_refused(lines):
    with pytest.raises(
        ValueError, match="strategy must be one of all, ink, paper, camera, got 'mud'"
    ):
        degrade(lines[0], np.random.default_rng(0), 1.0, "mud")
