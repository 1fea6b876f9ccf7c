"""The bootstrap over seeds and lines against the crossed interval and a loop over draws."""

import numpy as np
import pytest

from tests.tune.verdict.test_crossed_difference import made
from tune.verdict.crossed_difference import bootstrap_interval, crossed_difference


def interval(values, df=1e9, resamples=4000, seed=0):
    return np.array(bootstrap_interval(*values, df, np.random.default_rng(seed), resamples))


def test_it_is_what_drawing_rows_and_columns_one_by_one_gives():
    off, on, weights = made(12, 50, weighted=True)
    rng, rates = np.random.default_rng(1), []
    for _ in range(4000):
        i, j = rng.integers(0, 12, 12), rng.integers(0, 50, 50)
        rates.append((weights[j] * (on - off)[np.ix_(i, j)]).sum() / (12 * weights[j].sum()))
    assert interval((off, on, weights)) == pytest.approx(
        np.quantile(rates, [0.025, 0.975]), abs=0.02
    )


def test_it_is_near_the_crossed_interval_where_there_are_many_seeds():
    values = made(60, 150)
    crossed = crossed_difference(*values)
    low, high = crossed.interval()
    assert interval(values, crossed.df) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_few_degrees_of_freedom_widen_it():
    values = made(10, 80)
    narrow, wide = interval(values), interval(values, df=9)
    assert wide[0] < narrow[0] and narrow[1] < wide[1]
    assert np.ptp(wide) == pytest.approx(np.ptp(narrow) * (10 / 9) ** 0.5 * 2.262 / 1.96, rel=0.06)


def test_the_same_generator_gives_the_same_interval_in_any_portions(monkeypatch):
    values = made(10, 30)
    assert (interval(values) == interval(values)).all() and (
        interval(values) != interval(values, seed=1)
    ).any()
    whole = interval(values, resamples=20_000)
    monkeypatch.setattr("tune.verdict.crossed_difference._MAX_COUNTS", 1000)
    assert interval(values, resamples=20_000) == pytest.approx(whole, abs=0.02)


def test_lines_without_weight_are_nothing():
    off, on, _ = made(10, 3)
    low, high = interval((off, on, np.array([1.0, 0, 0])))
    assert np.isfinite([low, high]).all() and low < (on - off)[:, 0].mean() < high
