"""The mean difference of two arms over crossed seeds and lines: interval, p-value, sample size.

Model: d[s, l] = mu + a[s] + b[l] + e[s, l], seeds and lines random. A corpus rate is a ratio of
sums with the same lengths in both arms, so r = sum(w d) / sum(w) is exactly the difference of the
corpus rates. It is linearised as z[s, l] = w[l] (d[s, l] - r) / mean(w). With equal weights z is d
minus its mean.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tune.verdict.judgement import MIN_SEEDS

LEVEL = 0.95
# A mean square of few seeds is often too small. The degrees of freedom use its upper confidence
# bound at this quantile.
CAUTION = 0.25
BOOTSTRAP_SEEDS = 10  # with fewer seeds, resamples repeat each other
RESAMPLES = 4000
_MAX_COUNTS = 4_000_000  # line counts in memory at a time
POWER = 0.8
MAX_SEEDS = 10_000  # the most that `seeds_needed` returns
MAX_LINES = 10_000_000  # the most that `lines_needed` returns
# Beyond this noncentrality, in standard errors, the noncentral t distribution is hard to compute
# and its numerator is almost constant.
FAR = 30.0


@dataclass(frozen=True)
class CrossedDifference:
    """The estimate with its mean squares. by_seed: the corpus difference of each seed.

    Variance of the estimate: (MS_seed + max(MS_line - MS_residual, 0)) / (S L). The expected mean
    squares of the crossed two-way layout without replication give each effect its part; the part of
    the lines cannot be negative.
    Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components".
    For crossed readers and cases, with the same bounds: Hillis 2007, "A comparison of denominator
    degrees of freedom methods for multiple observer ROC analysis".
    Differs: see `df`.
    """

    estimate: float
    seeds: int
    lines: int
    ms_seed: float
    ms_line: float
    ms_residual: float
    by_seed: tuple[float, ...]

    @property
    def line_part(self) -> float:
        """The part of the lines in the mean square of the estimate."""
        return max(self.ms_line - self.ms_residual, 0.0)

    @property
    def variance(self) -> float:
        return (self.ms_seed + self.line_part) / (self.seeds * self.lines)

    @property
    def line_variance(self) -> float:
        """The part of the lines in the variance of the estimate."""
        return self.line_part / (self.seeds * self.lines)

    @property
    def error(self) -> float:
        """The standard error of the estimate."""
        return math.sqrt(self.variance)

    @property
    def paired_sd(self) -> float:
        """The standard deviation, over seeds, of the corpus difference."""
        return math.sqrt(self.ms_seed / self.lines)

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of seeds and of lines in the variance; the rest is the residual's."""
        total = self.ms_seed + self.line_part
        if not total:
            return 0.0, 0.0
        return max(self.ms_seed - self.ms_residual, 0.0) / total, self.line_part / total

    @cached_property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom, at least those of the smaller sample.

        Differs: MS_seed enters at its upper quartile bound. Without this, an MS_seed that is small
        by chance both narrows the interval and raises the degrees of freedom, and with three seeds
        the 95 % interval covers the truth in only 92 % of cases (tests/benchmarks/coverage.py).
        """
        from scipy import special

        seeds, lines = self.seeds - 1, self.lines - 1
        # The chi-square quantile at CAUTION is the value whose upper tail is 1 - CAUTION.
        seed_part = self.ms_seed * seeds / special.chdtri(seeds, 1 - CAUTION)
        # Satterthwaite: df = (sum of parts)^2 / sum(part^2 / df of the part).
        spread = seed_part**2 / seeds
        if self.line_part:
            spread += self.ms_line**2 / lines + self.ms_residual**2 / (seeds * lines)
        least = float(min(seeds, lines) if lines else seeds)
        return max((seed_part + self.line_part) ** 2 / spread, least) if spread else least

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the two-sided t-interval."""
        from scipy import special

        reach = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.estimate - reach, self.estimate + reach

    @cached_property
    def p(self) -> float:
        """The two-sided p-value of no difference, consistent with the interval."""
        from scipy import special

        if not self.error:
            return float(self.estimate == 0)
        return float(2 * special.stdtr(self.df, -abs(self.estimate) / self.error))


def crossed_difference(off: np.ndarray, on: np.ndarray, weights: np.ndarray) -> CrossedDifference:
    """Estimate `on` minus `off` over the same seeds and lines.

    Shapes: off, on (seeds, lines), at least 2 seeds; weights (lines,), with a positive sum.
    """
    assert off.shape == on.shape == (len(off), len(weights)) and len(off) > 1
    seeds, lines = off.shape
    scale, changes = weights / weights.mean(), on - off
    by_seed = (scale * changes).mean(axis=1)
    estimate = by_seed.mean()
    z = scale * (changes - estimate)
    seed_effects, line_effects = by_seed - estimate, z.mean(axis=0)
    residuals = z - seed_effects[:, None] - line_effects
    ms_seed = lines * (seed_effects**2).sum() / (seeds - 1)
    ms_line = seeds * (line_effects**2).sum() / max(lines - 1, 1)
    ms_residual = (residuals**2).sum() / max((seeds - 1) * (lines - 1), 1)
    return CrossedDifference(
        float(estimate),
        seeds,
        lines,
        float(ms_seed),
        float(ms_line),
        float(ms_residual),
        tuple(by_seed.tolist()),
    )


def bootstrap_interval(
    off: np.ndarray,
    on: np.ndarray,
    weights: np.ndarray,
    df: float,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the percentile interval of the corpus difference, widened for few seeds.

    Shapes: off, on (seeds, lines); weights (lines,). df: degrees of freedom of the crossed
    interval, or S - 1 if seeds alone make the variance.
    Source: Owen 2007, "The pigeonhole bootstrap" (crossed resampling; its variance counts the
    residual three times, which is conservative); Hesterberg 2015, "What teachers should know about
    the bootstrap" (expanded percentiles: t instead of the normal, and S / (S - 1)).
    Differs: the expansion of S seeds uses df + 1 for S, because lines also make the variance.
    """
    from scipy import special

    assert off.shape == on.shape == (len(off), len(weights)) and len(off) > 1
    seeds, lines = off.shape
    weighted = weights * (on - off)
    rates = []
    batch = max(1, _MAX_COUNTS // lines)
    for start in range(0, resamples, batch):
        # Drawing seeds and lines with replacement is drawing how often each of them counts.
        count = min(batch, resamples - start)
        seed_counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), count)
        line_counts = generator.multinomial(lines, np.full(lines, 1 / lines), count)
        sums = ((seed_counts @ weighted) * line_counts).sum(axis=1)
        lengths = seeds * (line_counts @ weights)
        has_weight = lengths > 0  # a resample of lines without weight has no rate
        rates.append(sums[has_weight] / lengths[has_weight])
    reach = math.sqrt((df + 1) / df) * float(special.stdtrit(df, (1 + level) / 2))
    tail = float(special.ndtr(-reach))
    low, high = np.quantile(np.concatenate(rates), [tail, 1 - tail])
    return float(low), float(high)


def power(
    size: float,
    seed_variance: float,
    line_variance: float,
    seeds: float,
    lines: int,
    level: float = LEVEL,
) -> float:
    """Return the probability that the two-sided test detects a true difference with its sign.

    size: the true difference. seed_variance, line_variance: parts of the variance of the estimate.
    With infinitely many seeds only the lines contribute.
    """
    from scipy import stats

    variance = seed_variance + line_variance
    if not variance:
        return 1.0
    spread = seed_variance**2 / (seeds - 1) + line_variance**2 / (lines - 1)
    df = variance**2 / spread  # Satterthwaite
    noncentrality = size / variance**0.5
    bound = stats.t.ppf((1 + level) / 2, df)
    if noncentrality < FAR:
        return float(stats.nct.sf(bound, df, noncentrality))
    # t = N(noncentrality, 1) / sqrt(chi2 / df) > bound, with the numerator taken as constant
    return float(stats.chi2.cdf(df * (noncentrality / bound) ** 2, df))


def seeds_needed(crossed: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """Return the smallest number of seeds that detects a difference of `size` with 80 % power.

    None if MAX_SEEDS do not suffice.
    """

    def suffices(seeds: int) -> bool:
        seed_variance = crossed.paired_sd**2 / seeds
        lines = crossed.lines
        return power(size, seed_variance, crossed.line_variance, seeds, lines, level) >= POWER

    candidates = range(MIN_SEEDS, MAX_SEEDS + 1)
    index = bisect.bisect_left(candidates, True, key=suffices)
    return candidates[index] if index < len(candidates) else None


def lines_needed(crossed: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """Return the smallest number of lines with which some number of seeds detects `size`.

    None if the lines there are suffice, or if MAX_LINES do not.
    """

    def suffices(lines: int) -> bool:
        line_variance = crossed.line_variance * crossed.lines / lines
        return power(size, 0.0, line_variance, math.inf, lines, level) >= POWER

    if suffices(crossed.lines):
        return None
    candidates = range(crossed.lines, MAX_LINES + 1)
    index = bisect.bisect_left(candidates, True, key=suffices)
    return candidates[index] if index < len(candidates) else None
