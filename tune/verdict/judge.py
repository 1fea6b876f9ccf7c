"""Judges every arm of a table against OFF, metric by metric.

The primary metric, chosen before the runs, is one test at 5 % for each judged arm, Holm-adjusted
over the arms. All other metrics of all arms are secondary, Holm-adjusted among themselves. A
difference is claimed by the adjusted p-value, practical equality by the 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
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


@dataclass(frozen=True)
class Comparison:
    """One metric of an arm beside OFF; crossed is None with too few seeds or lines for a test."""

    arm: str
    metric: str
    pair: PairedRuns
    crossed: CrossedDifference | None

    @property
    def p(self) -> float:
        return self.crossed.p if self.crossed else nan


def judge(table: LineTable, settings: VerdictSettings, primary: str | None = None) -> Verdict:
    """Return the verdict on a table.

    primary: the primary metric; by default that of the settings, or the only one of the table.
    Raises: ValueError if the table lacks the primary metric.
    """
    primary = _primary(table, settings, primary)
    metrics = sorted(table.metrics, key=lambda name: name != primary)
    comparisons = [compare(table, arm, metric) for arm in table.arms for metric in metrics]
    judgements = []
    for comparison in comparisons:
        is_primary = comparison.metric == primary
        family = [other.p for other in comparisons if (other.metric == primary) == is_primary]
        margin = settings.margins.get(comparison.metric, 0.0)
        judgements.append(judge_one(comparison, is_primary, margin, family))
    return Verdict(primary, tuple(judgements), table.notes)


def _primary(table: LineTable, settings: VerdictSettings, chosen: str | None) -> str:
    metrics = list(table.metrics)
    if chosen is None:
        chosen = metrics[0] if len(metrics) == 1 else settings.primary
    if chosen not in metrics:
        raise ValueError(
            f"{table.source}: the table has no lines of the primary metric {chosen}; its metrics "
            f"are {listed(metrics)}. Add its lines, or choose another with --primary or with "
            "verdict.primary in a space"
        )
    return chosen


def compare(table: LineTable, arm: str, metric: str) -> Comparison:
    """Pair one metric of an arm with OFF, and test the difference if there are enough runs."""
    pair = table.pair(arm, metric)
    enough = len(pair.runs.seeds) >= MIN_SEEDS and pair.runs.lines >= MIN_LINES
    crossed = crossed_difference(pair.off, pair.on, pair.weights) if enough else None
    return Comparison(arm, metric, pair, crossed)


def judge_one(
    comparison: Comparison, primary: bool, margin: float, family: Sequence[float]
) -> Judgement:
    """Return the judgement on a comparison. family: the p-values of all tests of its family."""
    pair, crossed = comparison.pair, comparison.crossed
    test = significance(comparison.p, family)
    evidence = Evidence(
        comparison.arm,
        BY_KEY[comparison.metric],
        primary,
        margin,
        pair.runs,
        mean_difference(pair),
        interval(pair, crossed) if crossed else Interval(),
        test,
        sample_size(crossed, margin, test.tests) if crossed else SampleSize(),
    )
    word, reason = conclude(evidence)
    return Judgement(**vars(evidence), word=word, reason=reason)


def mean_difference(pair: PairedRuns) -> Difference:
    """Return the corpus means of both arms over the complete seeds; NaN without any."""
    if not pair.runs.seeds:
        return Difference(nan, nan, nan, ())
    scale = pair.weights / pair.weights.sum()
    by_seed = (pair.on - pair.off) @ scale
    return Difference(
        float((pair.off @ scale).mean()),
        float((pair.on @ scale).mean()),
        float(by_seed.mean()),
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
    """Return a p-value of the family with its Holm-adjusted value; NaN stands for no test."""
    tests = [other for other in family if not isnan(other)]
    if isnan(p):
        return Significance(nan, nan, len(tests))
    return Significance(p, holm(tests)[tests.index(p)], len(tests))


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
