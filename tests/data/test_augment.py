"""Tests of fresh degradation: which lines, which random stream, which columns, and when none."""

import numpy as np
import pytest

from ganhtr.config import build_config
from ganhtr.data import degrade as degrade_module
from ganhtr.data.augment import degrade_anew
from ganhtr.data.degrade import degrade
from ganhtr.seeds import generator

WIDTHS = np.array([40, 64, 1, 33, 64, 20] * 4, dtype=np.int32)


def augment(**settings):
    return build_config(
        "tiny", {f"augment.{name}": value for name, value in settings.items()}
    ).augment


@pytest.fixture
def lines():
    """Clean lines with ink outside their width too, and their twins."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (len(WIDTHS), 32, 64), dtype=np.uint8)
    return clean, WIDTHS, rng.integers(0, 256, clean.shape, dtype=np.uint8)


def taken(made, degraded):
    return [not np.array_equal(a, b) for a, b in zip(made, degraded, strict=True)]


def test_none_asked_for_gives_the_array_itself_and_draws_nothing(lines, monkeypatch):
    monkeypatch.setattr("ganhtr.data.augment.generator", None)
    assert degrade_anew(*lines, augment(fresh=0.0), 0, 0) is lines[2]


@pytest.mark.parametrize("strategy", ["all", "ink", "paper", "camera"])
def test_a_fresh_line_is_degraded_over_its_width_and_white_beside_it(strategy, lines):
    clean, widths, degraded = lines
    before = clean.copy(), degraded.copy()
    made = degrade_anew(*lines, augment(fresh=1.0, strategy=strategy, strength=0.7), 5, 12)
    assert made.shape == clean.shape and made.dtype == np.uint8
    for position, width in enumerate(widths):
        rng = generator(5, "augment", 12, position)
        rng.random()
        assert np.array_equal(
            made[position, :, :width], degrade(clean[position, :, :width], rng, 0.7, strategy)
        )
        assert (made[position, :, width:] == 255).all()
    assert np.array_equal(clean, before[0]) and np.array_equal(degraded, before[1])


def test_the_share_is_kept_and_a_larger_one_takes_in_the_smaller(lines):
    made = {
        fresh: [degrade_anew(*lines, augment(fresh=fresh), 1, step) for step in range(20)]
        for fresh in (0.25, 0.7)
    }
    shares = {
        fresh: np.array([taken(one, lines[2]) for one in steps]) for fresh, steps in made.items()
    }
    assert [share.mean() for share in shares.values()] == pytest.approx([0.25, 0.7], abs=0.08)
    assert (shares[0.7] | ~shares[0.25]).all()
    for few, many, both in zip(made[0.25], made[0.7], shares[0.25], strict=True):
        assert np.array_equal(few[both], many[both])
    assert (
        shares[0.25].any(axis=0).all() and len({tuple(row) for row in shares[0.25]}) > 10
    )  # each step decides anew


def test_seed_step_and_position_decide_and_nothing_else(lines):
    clean, widths, degraded = lines
    config = augment(fresh=1.0)
    made = degrade_anew(*lines, config, 3, 4)
    assert np.array_equal(made, degrade_anew(*lines, config, 3, 4))
    assert all(taken(degrade_anew(*lines, config, 3, 5), made)) and all(
        taken(degrade_anew(*lines, config, 4, 4), made)
    )
    assert np.array_equal(degrade_anew(clean[:3], widths[:3], degraded[:3], config, 3, 4), made[:3])
    same = degrade_anew(clean[[1, 1]], widths[[1, 1]], degraded[[1, 1]], config, 3, 4)
    assert not np.array_equal(same[0], same[1])


def test_strength_zero_gives_the_clean_line_on_white(lines):
    clean, widths, _ = lines
    made = degrade_anew(*lines, augment(fresh=1.0, strength=0.0), 0, 0)
    inside = np.arange(64) < widths[:, None, None]
    assert np.array_equal(made, np.where(inside, clean, 255))


def test_lines_that_are_not_fresh_cost_no_damage(lines, monkeypatch):
    calls = []
    monkeypatch.setattr(
        degrade_module, "degrade", lambda image, *rest: (calls.append(image.shape), image)[1]
    )
    made = degrade_anew(*lines, augment(fresh=0.4), 2, 2)
    fresh = [generator(2, "augment", 2, position).random() < 0.4 for position in range(len(WIDTHS))]
    assert calls == [(32, width) for width, is_fresh in zip(WIDTHS, fresh, strict=True) if is_fresh]
    assert taken(made, lines[2]) == fresh and 0 < sum(fresh) < len(WIDTHS)
