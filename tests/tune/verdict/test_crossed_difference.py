"""The crossed difference against hand calculation, naive sums, SciPy's t-test and known truth."""

import math

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.benchmarks.coverage import SETTINGS, coverage
from tune.verdict.crossed_difference import crossed_difference


def made(seeds=5, lines=40, run=0.3, line=0.5, rest=0.7, shift=0.2, seed=0, weighted=False):
    """off, on, weights with planted effects."""
    rng = np.random.default_rng(seed)
    off = rng.normal(20, 1, (seeds, lines))
    on = (
        off
        + shift
        + rng.normal(0, run, (seeds, 1))
        + rng.normal(0, line, lines)
        + rng.normal(0, rest, (seeds, lines))
    )
    return off, on, rng.integers(1, 60, lines).astype(float) if weighted else np.ones(lines)


def naive(off, on, weights):
    """Estimate and mean squares by loops, from the definitions."""
    seeds, lines, total = len(off), len(weights), sum(weights)
    rates = [
        sum(w * (b - a) for w, a, b in zip(weights, *pair, strict=True)) / total
        for pair in zip(off, on, strict=True)
    ]
    estimate = sum(rates) / seeds
    z = [
        [lines * weights[j] / total * (on[i][j] - off[i][j] - estimate) for j in range(lines)]
        for i in range(seeds)
    ]
    rows, columns = (
        [sum(row) / lines for row in z],
        [sum(row[j] for row in z) / seeds for j in range(lines)],
    )
    rest = sum((z[i][j] - rows[i] - columns[j]) ** 2 for i in range(seeds) for j in range(lines))
    return (
        estimate,
        lines * sum(r**2 for r in rows) / (seeds - 1),
        seeds * sum(c**2 for c in columns) / (lines - 1),
        rest / ((seeds - 1) * (lines - 1)),
    )


def test_an_anova_table_by_hand():
    """d = 1 2 3 / 3 4 8: means 2, 5; 2, 3, 5.5; 3.5.

    Sums of squares: seeds 13.5, lines 13, total 29.5, so 3 for the residual.
    """
    crossed = crossed_difference(np.zeros((2, 3)), np.array([[1, 2, 3], [3, 4, 8.0]]), np.ones(3))
    assert crossed.estimate == 3.5 and crossed.by_seed == (2, 5)
    assert (crossed.ms_seed, crossed.ms_line, crossed.ms_residual) == pytest.approx(
        (13.5, 6.5, 1.5)
    )
    assert crossed.variance == pytest.approx(
        (13.5 + 6.5 - 1.5) / 6
    ) and crossed.paired_sd == pytest.approx(math.sqrt(4.5))
    assert crossed.shares == pytest.approx((12 / 18.5, 5 / 18.5))
    # the mean square of the seeds with one degree of freedom, at its upper quartile bound
    bound = 13.5 / stats.chi2.ppf(0.25, 1)
    assert crossed.df == pytest.approx((bound + 5) ** 2 / (bound**2 + 6.5**2 / 2 + 1.5**2 / 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_squares_are_those_of_naive_loops(weighted):
    values = made(weighted=weighted)
    crossed = crossed_difference(*values)
    assert (
        crossed.estimate,
        crossed.ms_seed,
        crossed.ms_line,
        crossed.ms_residual,
    ) == pytest.approx(naive(*values))


def test_without_line_effects_it_is_the_paired_t_test():
    """With equal column means the lines add nothing: what is left is t over seeds with S - 1."""
    change = np.array([[1.0, 2.0], [4.0, 3.0], [2.5, 2.5], [0.5, 0.5]]) * [[1, 1]]
    change[:, 1] += change[:, 0].mean() - change[:, 1].mean()
    crossed, test = (
        crossed_difference(np.zeros_like(change), change, np.ones(2)),
        stats.ttest_1samp(change.mean(axis=1), 0),
    )
    assert crossed.line_part == 0 and crossed.p == pytest.approx(test.pvalue)
    assert crossed.interval() == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_where_only_lines_differ_it_is_the_t_test_over_lines():
    reaction = np.random.default_rng(1).normal(0.1, 1, 50)
    crossed = crossed_difference(np.zeros((4, 50)), np.tile(reaction, (4, 1)), np.ones(50))
    test = stats.ttest_1samp(reaction, 0)
    assert crossed.p == pytest.approx(test.pvalue) and crossed.df == pytest.approx(49)
    assert crossed.interval() == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_the_corpus_difference_is_that_of_edits_and_lengths_summed():
    rng = np.random.default_rng(3)
    texts = ["".join(rng.choice(list("abcde"), rng.integers(1, 30))) + "x" for _ in range(12)]
    read = [
        [["".join(c for c in text if rng.random() > drop) for text in texts] for _ in range(3)]
        for drop in (0.1, 0.3)
    ]
    edits = [
        [[len(t) * jiwer.cer(t, r) for t, r in zip(texts, run, strict=True)] for run in arm]
        for arm in read
    ]
    lengths = np.array([len(text) for text in texts], dtype=float)
    off, on = (np.array(arm) / lengths for arm in edits)
    whole = [np.mean([jiwer.cer(texts, run) for run in arm]) for arm in read]
    assert crossed_difference(off, on, lengths).estimate == pytest.approx(whole[1] - whole[0])


def test_the_line_part_of_a_rate_is_that_of_its_jackknife():
    """With one effect in all seeds, the variance is that of a ratio estimate over lines."""
    rng = np.random.default_rng(4)
    weights, change = rng.gamma(3, 10, 400), rng.normal(0.5, 0.2, 400)
    crossed = crossed_difference(np.zeros((3, 400)), np.tile(change, (3, 1)), weights)
    left_out = np.array(
        [np.delete(weights * change, i).sum() / np.delete(weights, i).sum() for i in range(400)]
    )
    assert crossed.variance == pytest.approx(
        399 / 400 * ((left_out - left_out.mean()) ** 2).sum(), rel=0.03
    )
    same = crossed_difference(np.zeros((3, 400)), np.full((3, 400), 0.5), weights)
    assert same.variance == pytest.approx(
        0, abs=1e-20
    )  # unequal lengths alone make no rate uncertain


@given(st.integers(2, 8), st.integers(1, 30), st.integers(0, 10**6), st.booleans())
def test_degrees_of_freedom_never_fall_below_those_of_the_seeds(seeds, lines, seed, weighted):
    crossed = crossed_difference(*made(seeds, lines, seed=seed, weighted=weighted))
    assert crossed.df >= (min(seeds, lines) if lines > 1 else seeds) - 1
    low, high = crossed.interval()
    assert low <= crossed.estimate <= high and crossed.variance >= crossed.paired_sd**2 / seeds * (
        1 - 1e-9
    )
    assert (crossed.p < 0.05) == (low > 0 or high < 0)


@pytest.mark.parametrize("weighted", [False, True])
def test_swapping_arms_flips_the_sign_and_order_does_not_matter(weighted):
    off, on, weights = made(weighted=weighted)
    crossed, flipped = crossed_difference(off, on, weights), crossed_difference(on, off, weights)
    assert flipped.interval() == pytest.approx(
        tuple(-x for x in reversed(crossed.interval()))
    ) and flipped.p == pytest.approx(crossed.p)
    rng = np.random.default_rng(0)
    i, j = rng.permutation(len(off)), rng.permutation(len(weights))
    moved = crossed_difference(off[i][:, j], on[i][:, j], weights[j])
    assert moved.interval() == pytest.approx(crossed.interval()) and moved.df == pytest.approx(
        crossed.df
    )
    scaled = crossed_difference(3 * off + 1, 3 * on + 1, 7 * weights)
    assert scaled.interval() == pytest.approx(
        tuple(3 * x for x in crossed.interval())
    ) and scaled.p == pytest.approx(crossed.p)


def test_equal_arms_differ_by_nothing_and_a_constant_change_is_certain():
    off, _, weights = made()
    same = crossed_difference(off, off, weights)
    assert (same.estimate, same.interval(), same.p, same.shares) == (0, (0, 0), 1, (0, 0))
    fixed = crossed_difference(np.zeros((3, 4)), np.ones((3, 4)), np.ones(4))
    assert fixed.interval() == (1, 1) and fixed.p == 0


def test_planted_variances_come_back_on_average():
    crossed = [crossed_difference(*made(6, 60, seed=seed)) for seed in range(300)]
    truth = 0.3**2 / 6 + 0.5**2 / 60 + 0.7**2 / 360
    assert np.mean([each.variance for each in crossed]) == pytest.approx(truth, rel=0.1)
    assert np.var([each.estimate for each in crossed]) == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[6]], ids=["psnr", "cer"])
def test_intervals_of_three_seeds_cover_the_truth(setting):
    covered = coverage(setting, 3, 200, 3000, np.random.default_rng(7))
    assert 0.94 < covered["crossed"] < 0.97
    assert (
        covered["df as it is"] < covered["crossed"] - 0.01
        and covered["t over seeds"] < covered["crossed"]
    )
