"""Judges every arm of a table against OFF, metric by metric: helps, hurts, practically equal, or cannot tell.

The primary metric, named before the runs, is one test at 5 % for each judged arm, Holm-adjusted over the arms. All other metrics of all
arms are secondary, Holm-adjusted among themselves. A difference is claimed on the adjusted p-value, equality on the 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from tune.report_markup import listed
from tune.verdict.crossed_difference import (
    ENOUGH_SEEDS,
    LEVEL,
    MOST,
    CrossedDifference,
    bootstrap_interval,
    crossed_difference,
    lines_needed,
    seeds_needed,
)
from tune.verdict.judgement import (
    ENOUGH,
    EQUAL,
    FEWEST_LINES,
    HELPS,
    HURTS,
    NONE,
    UNCLEAR,
    Judgement,
    Verdict,
)
from tune.verdict.line_table import REFERENCE, LineTable

if TYPE_CHECKING:
    from tune.space.settings import VerdictSettings

_NAMED = 10


def judge(table: LineTable, settings: VerdictSettings, named: str | None = None) -> Verdict:
    """The verdict on a table. named: the primary metric where a user named one; else it is the settings', or the only one there is.

    Raises: ValueError when the table lacks the primary metric.
    """
    metrics = list(table.metrics)
    primary = named or (
        settings.primary if settings.primary in metrics or len(metrics) > 1 else metrics[0]
    )
    if primary not in metrics:
        raise ValueError(
            f"{table.source}: the primary metric must be in the table, got {primary}, and metrics {listed(metrics)}. "
            "Add its lines, or name another: --primary, or primary under verdict: of a space"
        )
    metrics.sort(key=lambda name: name != primary)
    measured = [
        measure(table, arm, name, settings.margins.get(name, 0.0), name == primary)
        for arm in table.arms
        for name in metrics
    ]
    adjusted = []
    for held, crossed in measured:
        family = [
            other.p for other, _ in measured if other.primary == held.primary and not isnan(other.p)
        ]
        after = dict(zip(family, holm(family), strict=True)).get(held.p, nan)
        adjusted.append(worded(sized(replace(held, p_adjusted=after, tests=len(family)), crossed)))
    return Verdict(primary, tuple(adjusted), table.notes)


def measure(
    table: LineTable, arm: str, metric: str, margin: float, primary: bool
) -> tuple[Judgement, CrossedDifference | None]:
    """The figures of one metric of one arm, without their word; None where seeds or lines are too few for more than means."""
    runs = table.metrics[metric]
    pair = table.pair(arm, metric)
    off, on = pair.means
    differences = (
        tuple(((pair.on - pair.off) @ (pair.weights / pair.weights.sum())).tolist())
        if pair.seeds
        else ()
    )
    bare = Judgement(
        arm,
        metric,
        primary,
        NONE,
        "",
        estimate=on - off,
        low=nan,
        high=nan,
        df=nan,
        p=nan,
        p_adjusted=nan,
        tests=0,
        margin=margin,
        paired_sd=nan,
        seed_share=nan,
        line_share=nan,
        seeds_needed=None,
        lines_needed=None,
        bootstrap=None,
        off=off,
        on=on,
        lines=len(runs.lines),
        seeds=pair.seeds,
        differences=differences,
        off_diverged=pair.off_diverged,
        on_diverged=pair.on_diverged,
        off_missing=pair.off_missing,
        on_missing=pair.on_missing,
    )
    if len(pair.seeds) < ENOUGH or len(runs.lines) < FEWEST_LINES:
        return bare, None
    held = crossed_difference(pair.off, pair.on, pair.weights)
    low, high = held.interval()
    resampled = None
    if len(pair.seeds) >= ENOUGH_SEEDS:
        resampled = bootstrap_interval(
            pair.off, pair.on, pair.weights, held.df, np.random.default_rng(len(pair.seeds))
        )
    return replace(
        bare,
        estimate=held.estimate,
        low=low,
        high=high,
        df=held.df,
        p=held.p,
        paired_sd=held.paired_sd,
        seed_share=held.shares[0],
        line_share=held.shares[1],
        bootstrap=resampled,
    ), held


def sized(held: Judgement, crossed: CrossedDifference | None) -> Judgement:
    """The judgement with the seeds, or lines, that would find a difference of the margin's size.

    The level is the least that Holm may ask for over its tests, so that they are enough whatever the others give.
    """
    size = held.margin or abs(held.estimate)
    if crossed is None or not size:
        return held
    level = 1 - (1 - LEVEL) / held.tests
    return replace(
        held,
        seeds_needed=seeds_needed(crossed, size, level),
        lines_needed=lines_needed(crossed, size, level),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's step-down. Source: Holm 1979, "A simple sequentially rejective multiple test procedure"."""
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = adjusted[place] = min(1.0, max(least, (len(p_values) - rank) * p_values[place]))
    return adjusted


def worded(held: Judgement) -> Judgement:
    """The judgement with its word and reason.

    An interval inside the margin is practically equal even where it excludes 0, which the reason then says. An arm that diverged (or has no
    run) in more seeds than OFF neither helps nor equals it: the seeds that are left are the ones it could bear.
    """
    metric = held.shown
    margin = f"±{held.margin:g}{metric.unit}"
    good = held.estimate > 0 if metric.higher_is_better else held.estimate < 0
    apart, inside = (
        held.low > 0 or held.high < 0,
        -held.margin <= held.low and held.high <= held.margin,
    )
    if isnan(held.p):
        word, reason = NONE, _too_few(held)
    elif inside:
        word, reason = EQUAL, f"the interval lies inside {margin}"
        reason += (
            f" and excludes 0: {'better' if good else 'worse'}, by less than matters"
            if apart
            else ""
        )
    elif held.p_adjusted < 1 - LEVEL:
        word, reason = HELPS if good else HURTS, "the interval excludes 0"
    elif apart:
        word, reason = (
            UNCLEAR,
            (
                f"the interval excludes 0, but p = {held.p:.2g} is {held.p_adjusted:.2g} after Holm over {held.tests} "
                f"tests; {seeds_text(held)}"
            ),
        )
    else:
        word, reason = (
            UNCLEAR,
            f"the interval holds 0{f' and reaches beyond {margin}' if held.margin else ''}; {seeds_text(held)}",
        )
    if word in (HELPS, EQUAL) and held.loses_more:
        word, reason = (
            UNCLEAR,
            f"{lost_text(held)}; of the complete seeds alone it would be {word}, as {reason}",
        )
    return replace(held, word=word, reason=reason)


def _too_few(held: Judgement) -> str:
    said, count = [], len(held.seeds)
    if held.few_lines:
        have = "line has" if held.lines == 1 else "lines have"
        said.append(
            f"{held.lines} {have} weight, a verdict needs {FEWEST_LINES}: measure more lines"
        )
    if (
        not {*held.seeds, *held.on_diverged, *held.off_diverged}
        and held.on_missing
        and held.off_missing
    ):
        said.append(
            f"the arms share no seed ({held.arm}: {_numbers(held.off_missing)}; {REFERENCE}: {_numbers(held.on_missing)}), "
            f"a verdict needs {ENOUGH} that both have"
        )
    elif count < ENOUGH:
        said.append(
            f"{count} seed{' is' if count == 1 else 's are'} complete in both arms, a verdict needs {ENOUGH}"
        )
    return "; ".join(said)


def seeds_text(held: Judgement) -> str:
    """How many seeds would tell, or why none would."""
    metric, count = held.shown, len(held.seeds)
    size = held.margin or abs(held.estimate)
    among = f" after Holm over {held.tests} tests" if held.tests > 1 else ""
    told = f"a true difference of {size:.3g}{metric.unit} (power 80 %{among}, paired SD {held.paired_sd:.2g}{metric.unit})"
    if held.lines_needed is not None:
        return (
            f"more seeds alone would not tell {told}, as the lines differ: that takes {held.lines_needed:,} lines or "
            f"more, got {held.lines:,}"
        )
    if held.seeds_needed is None:
        return (
            f"more than {MOST:,} seeds would be needed for {told}"
            if size
            else "no number of seeds would tell a difference of 0"
        )
    if held.seeds_needed <= count:
        return f"{held.seeds_needed} seeds are enough for {told}" + (
            ", so this one seems to lie between 0 and that"
            if abs(held.estimate) < size
            else " in most cases, not in this one"
        )
    return f"about {held.seeds_needed:,} seeds would tell {told}"


def lost_text(held: Judgement) -> str:
    """In how many seeds each arm diverged, or lacks a run, and in which; empty where none did."""
    sides = (
        (held.arm, held.on_diverged, held.on_missing),
        (REFERENCE, held.off_diverged, held.off_missing),
    )
    lost = {seed for _, *kinds in sides for seeds in kinds for seed in seeds}
    if not lost:
        return ""
    count = len(lost.union(held.seeds))
    return "; ".join(
        f"{name} diverged in {len(diverged)} of {count} seeds{_named(diverged)}"
        + (f" and lacks {len(missing)}{_named(missing)}" if missing else "")
        for name, diverged, missing in sides
    )


def missing_text(held: Judgement) -> str:
    """The runs that one arm lacks and the other has; empty where none."""
    return " and ".join(
        f"{name} with seed{'s' if len(seeds) > 1 else ''} {_numbers(seeds)}"
        for name, seeds in ((held.arm, held.on_missing), (REFERENCE, held.off_missing))
        if seeds
    )


def _named(seeds: tuple[int, ...]) -> str:
    return f" ({_numbers(seeds)})" if seeds else ""


def _numbers(seeds: tuple[int, ...]) -> str:
    return ", ".join([*map(str, seeds[:_NAMED]), *(["..."] if len(seeds) > _NAMED else [])])
