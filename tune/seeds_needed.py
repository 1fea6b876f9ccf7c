"""How many seeds, or lines, would tell a difference of a given size: power of the crossed interval, from the variances that were found."""

from __future__ import annotations

from collections.abc import Callable

from tune.crossed_difference import LEVEL, CrossedDifference

POWER = 0.8
MOST = 10_000
FAR = 30.0  # standard errors: from there on the noncentral t is hard to compute, and its numerator as good as constant


def power(size: float, seed_variance: float, line_variance: float, seeds: float, lines: int, level: float = LEVEL) -> float:
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
    return float(stats.nct.sf(bound, df, shift) if shift < FAR else stats.chi2.cdf(df * (shift / bound) ** 2, df))


def seeds_needed(held: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """The fewest seeds, 3 at least, that find a true difference of `size` with a power of 80 %; None if MOST do not."""
    def enough(seeds: int) -> bool:
        return power(size, held.paired_sd**2 / seeds, _line_variance(held), seeds, held.lines, level) >= POWER

    return _fewest(enough, 3)


def lines_needed(held: CrossedDifference, size: float, level: float = LEVEL) -> int | None:
    """The fewest lines without which no number of seeds finds a true difference of `size`; None where those there are suffice."""
    def enough(lines: int) -> bool:
        return power(size, 0.0, _line_variance(held) * held.lines / lines, float("inf"), lines, level) >= POWER

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
