"""Simulates how often the 95 % interval of a verdict holds the truth: `python tests/benchmarks/coverage.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tune.crossed_difference import crossed_difference  # noqa: E402

TRUTH = 0.3


def simulate(rng, seeds, lines, seed_sd, line_sd, rest_sd, weighted=False, skewed=False):
    """Differences of two arms, each with noise of its own run, line and rest on top of what they share. Shapes: (S, L), (L,)."""
    weights = rng.integers(8, 60, size=lines).astype(float) if weighted else np.ones(lines)

    def arm():
        rest = rng.exponential(rest_sd, (seeds, lines)) - rest_sd if skewed else rng.normal(0, rest_sd, (seeds, lines))
        return rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, line_sd, (1, lines)) + rest

    shared = rng.normal(0, 2, (seeds, 1)) + rng.normal(0, 3, (1, lines))
    return (shared + arm() + TRUTH) - (shared + arm()), weights


def satterthwaite(differences, weights):
    """The half width by Satterthwaite's own formula, for comparison."""
    seeds, lines = differences.shape
    u = weights * (differences - (differences @ weights / weights.sum()).mean()) / weights.mean()
    rows, columns = u.mean(axis=1, keepdims=True), u.mean(axis=0, keepdims=True)
    parts = (lines * (rows**2).sum(), seeds * (columns**2).sum(), ((u - rows - columns)**2).sum())
    dfs = (seeds - 1, lines - 1, (seeds - 1) * (lines - 1))
    ms = [part / df for part, df in zip(parts, dfs, strict=True)]
    total = max(ms[0] + ms[1] - ms[2], ms[0], ms[1])
    df = max(seeds - 1, total**2 / sum(each**2 / own for each, own in zip(ms, dfs, strict=True)))
    return stats.t.ppf(0.975, df) * (total / (seeds * lines))**0.5


def coverage(seeds, repeats=4000, lines=200, rng=None, **effects):
    """The share of intervals that hold the truth: ours, and those by Satterthwaite's formula."""
    rng = rng or np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(repeats):
        differences, weights = simulate(rng, seeds, lines, **effects)
        found = crossed_difference(differences, weights)
        held += [found.low <= TRUTH <= found.high, abs(found.mean - TRUTH) <= satterthwaite(differences, weights)]
    return tuple(held / repeats)


SETTINGS = {
    "seeds, lines and rest": {"seed_sd": 0.5, "line_sd": 1.0, "rest_sd": 1.5},
    "seeds alone": {"seed_sd": 0.5, "line_sd": 0.0, "rest_sd": 1.5},
    "lines alone": {"seed_sd": 0.0, "line_sd": 1.0, "rest_sd": 1.5},
    "little of either": {"seed_sd": 0.07, "line_sd": 1.0, "rest_sd": 1.5},
    "weighted, skewed": {"seed_sd": 0.5, "line_sd": 1.0, "rest_sd": 1.5, "weighted": True, "skewed": True},
}

if __name__ == "__main__":
    print("Share of 95 % intervals that hold the truth, 4,000 simulations each; in brackets by Satterthwaite's own formula.\n")
    print("| noise | " + " | ".join(f"S = {seeds}" for seeds in (3, 5, 10)) + " |\n|---|---|---|---|")
    for name, effects in SETTINGS.items():
        cells = ["{:.1%} ({:.1%})".format(*coverage(seeds, **effects)) for seeds in (3, 5, 10)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
