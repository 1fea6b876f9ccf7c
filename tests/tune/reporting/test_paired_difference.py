"""Differences paired by seed, against hand calculation and SciPy's paired t-test."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.tune.made_study import Made, two_arms
from tune.reporting.paired_difference import best_means, difference, paired


def test_three_seeds_by_hand(pair_of):
    """Differences -1, -1.5 and -.5: mean -1, s = .5, s.e. = .5 / sqrt 3, t(.975, 2) = 4.302653."""
    result = difference(pair_of(*two_arms()), "psnr")
    assert (result.first, result.second, result.change, result.count) == (21.0, 20.0, -1.0, 3)
    assert result.error == pytest.approx(0.288675, abs=1e-6)
    assert (result.low, result.high) == pytest.approx((-1 - 1.242069, -1 + 1.242069), abs=1e-5)
    assert result.percent == pytest.approx(-100 / 21) and not result.excludes_zero


@settings(deadline=None)  # the first example imports SciPy
@given(st.lists(st.tuples(*[st.floats(-100, 100)] * 2), min_size=3, max_size=12))
def test_the_interval_is_the_one_of_the_paired_t_test(values):
    first, second = np.array(values).T
    assume((second - first).std() > 1e-6)
    result, test = paired(first, second), stats.ttest_rel(second, first)
    interval = test.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-9, abs=1e-9
    )
    assert result.excludes_zero == (test.pvalue < 0.05) or abs(test.pvalue - 0.05) < 1e-9
    assert result.change == pytest.approx((second - first).mean(), abs=1e-9)


def test_few_seeds_tell_less(pair_of, tmp_path):
    two = paired(np.array([1.0, 2.0]), np.array([2.0, 5.0]))
    assert (
        two.change == 2
        and two.error == pytest.approx(1.0)
        and math.isnan(two.low)
        and not two.excludes_zero
    )
    one = paired(np.array([1.0]), np.array([2.0]))
    assert one.change == 1 and math.isnan(one.error)
    none = paired(np.array([]), np.array([]))
    assert math.isnan(none.change) and math.isnan(none.percent)


def test_seeds_are_paired_and_not_places(pair_of):
    """ON lacks seed 1 and comes in another order: seeds 0 and 2 count, in both arms."""
    off = [
        Made("off-000", 0, [20.0], [0.2]),
        Made("off-001", 1, [90.0], [0.2]),
        Made("off-002", 2, [30.0], [0.2]),
    ]
    result = difference(
        pair_of(*off, Made("on-000", 2, [33.0], [0.2]), Made("on-001", 0, [21.0], [0.2])), "psnr"
    )
    assert (result.first, result.second, result.count) == (25.0, 27.0, 2)
    assert result.error == pytest.approx(1.0)  # of the differences 1 and 3


def test_a_failed_trial_takes_its_seed_out_of_both_arms(pair_of):
    trials = two_arms()
    trials[4].status = "failed"
    pair = pair_of(*trials)
    assert pair.seeds == [0, 2] and len(pair.second.trials) == 3
    assert difference(pair, "psnr").first == 21.0 and difference(pair, "psnr").second == 20.25


def test_a_metric_that_is_missing_takes_its_seed_out(pair_of):
    trials = two_arms()
    pair = pair_of(*trials)
    pair.second.trials[0].row.metrics["wer"] = None
    assert difference(pair, "wer").count == 2 and difference(pair, "psnr").count == 3
    assert "ctc" not in best_means(pair.first.finished) and math.isnan(
        difference(pair, "ctc").change
    )


def test_arms_without_a_common_seed_are_not_paired(pair_of):
    on = [Made("on-000", 1, [22.0], [0.2]), Made("on-001", 2, [26.0], [0.2])]
    result = difference(pair_of(Made("off-000", 0, [20.0], [0.2]), *on), "psnr")
    assert (result.first, result.second, result.count) == (20.0, 24.0, 0) and math.isnan(
        result.error
    )
