"""Judges every arm of a table against OFF, metric by metric.

The primary metric, chosen before the runs, is one test at 5 % for each judged arm, Holm-adjusted
over the arms. All other metrics of all arms are secondary, Holm-adjusted among themselves. A
difference is claimed by the adjusted p-value, practical equality by the 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tune.metric import BY_KEY
from tune.report_markup import listed
from tune.verdict.crossed_difference import (
    BOOTSTRAP_SEEDS,
    LEVEL,
    CrossedDifference,
    bootstrap_interval,
    crossed_difference,
    lines_needed,
    seeds_needed,
)
from tune.verdict.judgement import (
    MIN_LINES,
    MIN_SEEDS,
    Difference,
    Evidence,
    Interval,
    Judgement,
    SampleSize,
    Significance,
    Verdict,
)
from tune.verdict.line_table import LineTable, PairedRuns
from tune.verdict.reason import conclude

if TYPE_CHECKING:
    from tune.space.settings import VerdictSettings


def judge(table: LineTable, settings: VerdictSettings, primary: str | None = None) -> Verdict:
    """Return the verdict on a table.

    primary: the primary metric; by default that of the settings, or the only one of the table, or
    the score where the table has it, else PSNR.
    Raises: ValueError if the table lacks the primary metric.
    """
    metrics = list(table.metrics)
    primary = primary or settings.primary
    if primary is None:
        usual = "score" if "score" in metrics else "psnr"
        primary = metrics[0] if len(metrics) == 1 else usual
    if primary not in metrics:
        raise ValueError(
            f"{table.source}: the table has no lines of the primary metric {primary}; its metrics "
            f"are {listed(metrics)}. Add its lines, or choose another with --primary or with "
            "verdict.primary in a space"
        )
    metrics.sort(key=lambda name: name != primary)
    pairs = {(arm, name): table.pair(arm, name) for arm in table.arms for name in metrics}
    crossed = {key: cross(pair) for key, pair in pairs.items()}
    judgements = []
    for (arm, name), pair in pairs.items():
        family = [
            test.p
            for (_, other), test in crossed.items()
            if test and (other == primary) == (name == primary)
        ]
        difference, margin = crossed[arm, name], settings.margins.get(name, 0.0)
        evidence = Evidence(
            arm,
            BY_KEY[name],
            name == primary,
            margin,
            pair.runs,
            mean_difference(pair, difference),
            interval(pair, difference) if difference else Interval(),
            significance(difference.p if difference else nan, family),
            sample_size(difference, margin, len(family)) if difference else SampleSize(),
        )
        word, reason = conclude(evidence)
        judgements.append(Judgement(**vars(evidence), word=word, reason=reason))
    return Verdict(primary, tuple(judgements), table.notes)


def cross(pair: PairedRuns) -> CrossedDifference | None:
    """Return the crossed difference, None with too few seeds or lines."""
    if len(pair.runs.seeds) < MIN_SEEDS or pair.runs.lines < MIN_LINES:
        return None
    return crossed_difference(pair.off, pair.on, pair.weights)


def mean_difference(pair: PairedRuns, crossed: CrossedDifference | None) -> Difference:
    """Return the corpus means of both arms over the complete seeds; NaN without any.

    With a crossed difference the estimate is its own, the exact middle of the interval.
    """
    if not pair.runs.seeds:
        return Difference(nan, nan, nan, ())
    scale = pair.weights / pair.weights.sum()
    by_seed = (pair.on - pair.off) @ scale
    return Difference(
        float((pair.off @ scale).mean()),
        float((pair.on @ scale).mean()),
        crossed.estimate if crossed else float(by_seed.mean()),
        tuple(by_seed.tolist()),
    )


def interval(pair: PairedRuns, crossed: CrossedDifference) -> Interval:
    """Return the 95 % interval, with the bootstrap interval if there are enough seeds."""
    bootstrap = None
    if crossed.seeds >= BOOTSTRAP_SEEDS:
        generator = np.random.default_rng(crossed.seeds)
        bootstrap = bootstrap_interval(pair.off, pair.on, pair.weights, crossed.df, generator)
    low, high = crossed.interval()
    return Interval(low, high, crossed.df, crossed.paired_sd, *crossed.shares, bootstrap)


def significance(p: float, family: Sequence[float]) -> Significance:
    """Return a p-value with its Holm adjustment over its family; NaN stands for no test."""
    adjusted = dict(zip(family, holm(family), strict=True))
    return Significance(p, adjusted.get(p, nan), len(family))


def sample_size(crossed: CrossedDifference, margin: float, tests: int) -> SampleSize:
    """Return the seeds or lines that detect a difference of the margin's size.

    The level is the smallest that Holm may require over its tests, so the result suffices whatever
    the other tests give.
    """
    size = margin or abs(crossed.estimate)
    if not size:
        return SampleSize()
    level = 1 - (1 - LEVEL) / tests
    return SampleSize(seeds_needed(crossed, size, level), lines_needed(crossed, size, level))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's step-down adjustment.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        # The k-th smallest p-value counts for the tests that are left; the result never decreases.
        least = max(least, (len(p_values) - rank) * p_values[index])
        adjusted[index] = least = min(1.0, least)
    return adjusted
