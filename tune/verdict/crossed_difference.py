"""The mean difference of two arms over seeds and lines that are crossed: its interval, its p-value and where its variance comes from.

Model: d[s, l] = mu + a[s] + b[l] + e[s, l], seeds and lines random. A corpus rate is a ratio of sums with the same lengths in both arms, so
that r = sum(w d) / sum(w) is exactly the difference of the corpus rates; it is linearised as z[s, l] = w[l] (d[s, l] - r) / mean(w).
With equal weights z is d less its mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LEVEL = 0.95
CAUTION = 0.25  # a mean square of so few seeds is often too small: the degrees of freedom take it at this quantile's upper bound


@dataclass(frozen=True)
class CrossedDifference:
    """The estimate with its mean squares. `by_seed` holds the corpus difference of each seed.

    Variance of the estimate: (MS_seed + max(MS_line - MS_residual, 0)) / (S L): the expected mean squares of the two-way crossed layout
    without replication give each effect its part, and lines cannot vary less than not at all.
    Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components"; for crossed readers and cases, with
    the same bounds, Hillis 2007, "A comparison of denominator degrees of freedom methods for multiple observer ROC analysis".
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
        """What lines add to the mean square of the estimate."""
        return max(self.ms_line - self.ms_residual, 0.0)

    @property
    def variance(self) -> float:
        return (self.ms_seed + self.line_part) / (self.seeds * self.lines)

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)

    @property
    def paired_sd(self) -> float:
        """The standard deviation, over seeds, of the corpus difference."""
        return math.sqrt(self.ms_seed / self.lines)

    @property
    def shares(self) -> tuple[float, float]:
        """The parts of seeds and of lines in the variance; what is left is the residual's."""
        whole = self.ms_seed + self.line_part
        return (
            (max(self.ms_seed - self.ms_residual, 0.0) / whole, self.line_part / whole)
            if whole
            else (0.0, 0.0)
        )

    @cached_property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom, at least those of the seeds (of the lines, if these are fewer).

        Differs: MS_seed enters at its upper quartile bound. Taken as it is, a chance small one both narrows the interval and raises the
        degrees of freedom, and with three seeds the 95 % interval covers 92 % only (tests/benchmarks/coverage.py).
        """
        from scipy import special

        seeds, lines = self.seeds - 1, self.lines - 1
        seed_part = self.ms_seed * seeds / special.chdtri(seeds, 1 - CAUTION)
        spread = seed_part**2 / seeds
        if self.line_part:
            spread += self.ms_line**2 / lines + self.ms_residual**2 / (seeds * lines)
        least = float(min(seeds, lines) if lines else seeds)
        return max((seed_part + self.line_part) ** 2 / spread, least) if spread else least

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided t-interval."""
        from scipy import special

        reach = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.estimate - reach, self.estimate + reach

    @cached_property
    def p(self) -> float:
        """The two-sided p-value of no difference, of the same t as the interval."""
        from scipy import special

        if not self.error:
            return float(self.estimate == 0)
        return float(2 * special.stdtr(self.df, -abs(self.estimate) / self.error))


def crossed_difference(off: np.ndarray, on: np.ndarray, weights: np.ndarray) -> CrossedDifference:
    """`on` less `off` over the same seeds and lines.

    Shapes: off, on (seeds, lines), at least 2 seeds; weights (lines,), their sum positive: 1 each, or the lengths of the references.
    """
    assert off.shape == on.shape == (len(off), len(weights)) and len(off) > 1
    seeds, lines = off.shape
    scale, changes = weights / weights.mean(), on - off
    by_seed = (scale * changes).mean(axis=1)
    estimate = by_seed.mean()
    z = scale * (changes - estimate)
    of_seeds, of_lines = by_seed - estimate, z.mean(axis=0)
    rest = z - of_seeds[:, None] - of_lines
    ms_seed = lines * (of_seeds**2).sum() / (seeds - 1)
    ms_line = seeds * (of_lines**2).sum() / max(lines - 1, 1)
    ms_residual = (rest**2).sum() / max((seeds - 1) * (lines - 1), 1)
    return CrossedDifference(
        float(estimate),
        seeds,
        lines,
        float(ms_seed),
        float(ms_line),
        float(ms_residual),
        tuple(by_seed.tolist()),
    )


ENOUGH_SEEDS = 10  # of fewer, resamples repeat each other
RESAMPLES = 4000
_AT_ONCE = 4_000_000  # line counts that are held at a time


def bootstrap_interval(
    off: np.ndarray,
    on: np.ndarray,
    weights: np.ndarray,
    df: float,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The percentile interval of the corpus difference, the percentiles widened for few seeds.

    Shapes: off, on (seeds, lines); weights (lines,). df: degrees of freedom of the crossed interval, S - 1 where seeds make the variance.
    Source: Owen 2007, "The pigeonhole bootstrap" (crossed resampling; its variance counts the residual thrice, which is on the safe side);
    Hesterberg 2015, "What teachers should know about the bootstrap" (expanded percentiles: t for the normal, and S / (S - 1)).
    Differs: the expansion of S seeds is that of df + 1, as lines too make the variance.
    """
    from scipy import special

    assert off.shape == on.shape == (len(off), len(weights)) and len(off) > 1
    seeds, lines = off.shape
    weighted = weights * (on - off)
    drawn = []
    for start in range(0, resamples, step := max(1, _AT_ONCE // lines)):
        count = min(step, resamples - start)
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), count)
        of_lines = generator.multinomial(lines, np.full(lines, 1 / lines), count)
        sums, lengths = ((of_seeds @ weighted) * of_lines).sum(axis=1), seeds * (of_lines @ weights)
        drawn.append(
            sums[lengths > 0] / lengths[lengths > 0]
        )  # of lines without any weight there is no rate
    reach = math.sqrt((df + 1) / df) * float(special.stdtrit(df, (1 + level) / 2))
    tail = float(special.ndtr(-reach))
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return float(low), float(high)


POWER = 0.8
MOST = 10_000
FAR = 30.0  # standard errors: from there on the noncentral t is hard to compute, and its numerator as good as constant


def power(
    size: float,
    seed_variance: float,
    line_variance: float,
    seeds: float,
    lines: int,
    level: float = LEVEL,
) -> float:
    """The chance that the two-sided test, at 5 % for the level of .95, finds a true difference of `size`, and on its side of 0.

    seed_variance, line_variance: what each adds to the variance of the estimate. With `seeds` infinite only the lines are left.
    """
    from scipy import stats

    variance = seed_variance + line_variance
    if not variance:
        return 1.0
    spread = seed_variance**2 / (seeds - 1) + line_variance**2 / (lines - 1)
    df, shift = variance**2 / spread, size / variance**0.5
    bound = stats.t.ppf((1 + level) / 2, df)
    return float(
        stats.nct.sf(bound, df, shift)
        if shift < FAR
        else stats.chi2.cdf(df * (shift / bound) ** 2, df)
    )


def seeds_needed(held: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """The fewest seeds, 3 at least, that find a true difference of `size` with a power of 80 %; None if MOST do not."""

    def enough(seeds: int) -> bool:
        return (
            power(size, held.paired_sd**2 / seeds, _line_variance(held), seeds, held.lines, level)
            >= POWER
        )

    return _fewest(enough, 3)


def lines_needed(held: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """The fewest lines without which no number of seeds finds a true difference of `size`; None where those there are suffice."""

    def enough(lines: int) -> bool:
        return (
            power(size, 0.0, _line_variance(held) * held.lines / lines, float("inf"), lines, level)
            >= POWER
        )

    if enough(held.lines):
        return None
    return _fewest(enough, held.lines, 1000 * MOST)


def _line_variance(held: CrossedDifference) -> float:
    return held.line_part / (held.seeds * held.lines)


def _fewest(enough: Callable[[int], bool], low: int, high: int = MOST) -> int | None:
    """The least number from low to high that is enough, as every greater one is."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
