"""The bootstrap of a crossed difference, where there are seeds enough: whole seeds and whole lines are drawn anew, each on their own.

Source: the pigeonhole bootstrap, Owen 2007, Annals of Applied Statistics 1(2). It errs on the wide side.
"""

from __future__ import annotations

import numpy as np

from ganhtr.seeds import generator

FROM_SEEDS = 10  # fewer seeds give too few different draws
DRAWS = 2000


def bootstrap_interval(differences: np.ndarray, weights: np.ndarray, level: float = 0.95, draws: int = DRAWS) -> tuple[float, float] | None:
    """The percentile interval of the mean difference; None with fewer than 10 seeds. Shapes: differences (S, L), weights (L,)."""
    seeds, lines = differences.shape
    if seeds < FROM_SEEDS:
        return None
    rng = generator(0, "bootstrap", seeds, lines)
    means = np.empty(draws)
    for draw in range(draws):
        drawn = rng.integers(lines, size=lines)
        rows = rng.integers(seeds, size=seeds)
        share = np.bincount(drawn, minlength=lines) * weights
        means[draw] = differences[rows].mean(axis=0) @ share / share.sum() if share.sum() > 0 else 0.0
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
