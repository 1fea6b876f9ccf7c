"""The bootstrap interval of a difference over seeds and lines: whole seeds and whole lines are drawn anew, independently of each other."""

from __future__ import annotations

import math

import numpy as np

from tune.crossed_difference import LEVEL

ENOUGH_SEEDS = 10  # of fewer, resamples repeat each other
RESAMPLES = 4000
_AT_ONCE = 4_000_000  # line counts that are held at a time


def bootstrap_interval(off: np.ndarray, on: np.ndarray, weights: np.ndarray, df: float, generator: np.random.Generator,
                       resamples: int = RESAMPLES, level: float = LEVEL) -> tuple[float, float]:
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
        drawn.append(sums[lengths > 0] / lengths[lengths > 0])  # of lines without any weight there is no rate
    reach = math.sqrt((df + 1) / df) * float(special.stdtrit(df, (1 + level) / 2))
    tail = float(special.ndtr(-reach))
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return float(low), float(high)
