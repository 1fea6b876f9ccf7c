"""Seeds and lines needed, against statsmodels' sizes, simulation and the limits."""

import math

import numpy as np
import pytest
from scipy import stats

from tune.verdict.crossed_difference import CrossedDifference, lines_needed, power, seeds_needed


def crossed_of(sd, line_sd=0.0, seeds=5, lines=200):
    """A difference with a paired SD over seeds; the lines add line_sd² / lines to the variance."""
    return CrossedDifference(
        0.0, seeds, lines, lines * sd**2, seeds * line_sd**2 + 1e-9, 1e-9, (0.0,) * seeds
    )


@pytest.mark.parametrize(("size", "count"), [(0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_seeds_of_a_paired_t_test(size, count):
    """Cohen's tables: two-sided 5 %, power 80 %, one sample (statsmodels gives 4.2 for 2)."""
    assert seeds_needed(crossed_of(1.0), size) == count
    assert (
        power(size, 1 / count, 0, count, 200)
        >= 0.8
        > power(size, 1 / (count - 1), 0, count - 1, 200)
    )


def test_power_is_the_share_of_tests_that_detect_the_difference():
    data = np.random.default_rng(0).normal(0.8, 1, (20_000, 12))
    test = stats.ttest_1samp(data, 0, axis=1)
    assert power(0.8, 1 / 12, 0, 12, 200) == pytest.approx(
        ((test.pvalue < 0.05) & (test.statistic > 0)).mean(), abs=0.01
    )


def test_a_stricter_level_needs_more():
    assert (
        seeds_needed(crossed_of(1.0), 1.0, 1 - 0.05 / 8) == 17
    )  # 300,000 simulated tests: power .78 with 16, .82 with 17
    assert lines_needed(crossed_of(0.1, line_sd=2.0), 0.2, 1 - 0.05 / 8) > lines_needed(
        crossed_of(0.1, line_sd=2.0), 0.2
    )


def test_the_approximate_power_continues_the_exact_one():
    below, above = (
        power(size, 1 / 3, 0, 3, 200, 1 - 0.05 / 40) for size in (29.99 / 3**0.5, 30.01 / 3**0.5)
    )
    assert above == pytest.approx(below, abs=0.01) and 0.5 < below < 0.9


def test_too_few_lines_cannot_be_made_up_for_by_seeds():
    # lines alone: standard error .141, so 2.8 times as much can be detected
    crossed = crossed_of(0.1, line_sd=2.0)
    assert seeds_needed(crossed, 0.2) is None and seeds_needed(crossed, 0.45) is not None
    assert (
        lines_needed(crossed, 0.2) == pytest.approx(4 * (2.8016 / 0.2) ** 2, rel=0.01)
        and lines_needed(crossed, 0.45) is None
    )


def test_lines_need_more_seeds_and_a_larger_size_fewer():
    assert seeds_needed(crossed_of(0.3, line_sd=0.8), 0.2) > seeds_needed(crossed_of(0.3), 0.2)
    counts = [seeds_needed(crossed_of(0.3), size) for size in (0.05, 0.1, 0.2, 0.4, 50.0)]
    assert counts == sorted(counts, reverse=True) and counts[-1] == 3


def test_more_than_ten_thousand_seeds_are_not_counted():
    assert (
        seeds_needed(crossed_of(100.0), 0.1) is None
        and lines_needed(crossed_of(100.0), 0.1) is None
    )
    assert seeds_needed(crossed_of(0.0), 0.1) == 3 and power(0.1, 0, 0, math.inf, 5) == 1
