"""The word of a verdict and the reason for it."""

from __future__ import annotations

from math import isnan

from tune.verdict.crossed_difference import LEVEL, MAX_SEEDS
from tune.verdict.judgement import (
    EQUAL,
    HELPS,
    HURTS,
    MIN_LINES,
    MIN_SEEDS,
    NONE,
    UNCLEAR,
    Evidence,
)
from tune.verdict.line_table import REFERENCE

_MAX_NAMED = 10  # seeds named in a sentence


def conclude(evidence: Evidence) -> tuple[str, str]:
    """Return the word and its reason.

    An arm that diverged, or has no run, in more seeds than OFF neither helps nor equals it: the
    seeds that remain are those that it happened to survive.
    """
    if isnan(evidence.significance.p):
        return NONE, _too_few(evidence)
    word, reason = _by_interval(evidence)
    if word in (HELPS, EQUAL) and evidence.runs.arm_loses_more:
        without = f"the complete seeds alone would give: {word}, {reason}"
        return UNCLEAR, f"{lost_text(evidence)}; {without}"
    return word, reason


def _by_interval(evidence: Evidence) -> tuple[str, str]:
    """Return the word and its reason from the complete seeds.

    An interval inside the margin is practically equal even if it excludes 0. The reason says so.
    """
    interval, test, metric = evidence.interval, evidence.significance, evidence.metric
    margin = f"±{evidence.margin:g}{metric.unit}"
    improves = metric.is_better(evidence.difference.estimate)
    if -evidence.margin <= interval.low and interval.high <= evidence.margin:
        reason = f"the interval lies inside {margin}"
        if evidence.excludes_zero:
            direction = "better" if improves else "worse"
            reason += f" and excludes 0: {direction}, but by less than the margin"
        return EQUAL, reason
    if test.p_adjusted < 1 - LEVEL:
        return HELPS if improves else HURTS, "the interval excludes 0"
    if evidence.excludes_zero:
        adjusted = f"p = {test.p:.2g} becomes {test.p_adjusted:.2g} after Holm"
        reason = f"the interval excludes 0, but {adjusted} over {test.tests} tests"
    else:
        beyond = f" and extends beyond {margin}" if evidence.margin else ""
        reason = f"the interval contains 0{beyond}"
    return UNCLEAR, f"{reason}; {seeds_text(evidence)}"


def _too_few(evidence: Evidence) -> str:
    """Return why there is no verdict: too few lines or too few seeds."""
    reasons = []
    runs, count = evidence.runs, len(evidence.runs.seeds)
    if runs.has_too_few_lines:
        lines = f"{runs.lines} line has" if runs.lines == 1 else f"{runs.lines} lines have"
        reasons.append(f"{lines} weight; a verdict needs {MIN_LINES}")
    ran_in_both = {*runs.seeds, *runs.on_diverged, *runs.off_diverged}
    if not ran_in_both and runs.on_missing and runs.off_missing:
        seeds = (
            f"{evidence.arm}: {_names(runs.off_missing)}; {REFERENCE}: {_names(runs.on_missing)}"
        )
        reasons.append(
            f"the arms share no seed ({seeds}); a verdict needs {MIN_SEEDS} shared seeds"
        )
    elif count < MIN_SEEDS:
        seeds = f"{count} seed is" if count == 1 else f"{count} seeds are"
        reasons.append(f"{seeds} complete in both arms; a verdict needs {MIN_SEEDS}")
    return "; ".join(reasons)


def seeds_text(evidence: Evidence) -> str:
    """Return how many seeds would decide, or why more seeds would not."""
    size, unit = evidence.target, evidence.metric.unit
    if not size:
        return "no number of seeds detects a difference of 0"
    lines_needed = evidence.sample_size.lines_needed
    seeds_needed = evidence.sample_size.seeds_needed
    tests = evidence.significance.tests
    holm = f" after Holm over {tests} tests" if tests > 1 else ""
    detect = (
        f"to detect a true difference of {size:.3g}{unit} "
        f"(power 80 %{holm}, paired SD {evidence.interval.paired_sd:.2g}{unit})"
    )
    if lines_needed is not None:
        return (
            f"more seeds alone do not suffice {detect}, because the lines differ: "
            f"at least {lines_needed:,} lines are needed, got {evidence.runs.lines:,}"
        )
    if seeds_needed is None:
        return f"more than {MAX_SEEDS:,} seeds are needed {detect}"
    if seeds_needed > len(evidence.runs.seeds):
        return f"about {seeds_needed:,} seeds are needed {detect}"
    if abs(evidence.difference.estimate) < size:
        return f"{seeds_needed} seeds suffice {detect}, so the true difference is probably smaller"
    return f"{seeds_needed} seeds suffice {detect} in most cases, but not in this one"


def lost_text(evidence: Evidence) -> str:
    """Return which seeds each arm lost to divergence or lacks; empty if none."""
    runs = evidence.runs
    sides = (
        (evidence.arm, runs.on_diverged, runs.on_missing),
        (REFERENCE, runs.off_diverged, runs.off_missing),
    )
    lost = {seed for _, diverged, missing in sides for seed in (*diverged, *missing)}
    if not lost:
        return ""
    total = len(lost.union(runs.seeds))
    parts = []
    for name, diverged, missing in sides:
        part = f"{name} diverged in {len(diverged)} of {total} seeds{_in_brackets(diverged)}"
        if missing:
            part += f" and has no run for {len(missing)}{_in_brackets(missing)}"
        parts.append(part)
    return "; ".join(parts)


def missing_text(evidence: Evidence) -> str:
    """Return the runs that only one of the arms has; empty if none."""
    runs = evidence.runs
    parts = []
    for name, seeds in ((evidence.arm, runs.on_missing), (REFERENCE, runs.off_missing)):
        if seeds:
            parts.append(f"{name} with seed{'s' if len(seeds) > 1 else ''} {_names(seeds)}")
    return " and ".join(parts)


def _in_brackets(seeds: tuple[int, ...]) -> str:
    return f" ({_names(seeds)})" if seeds else ""


def _names(seeds: tuple[int, ...]) -> str:
    more = ["..."] if len(seeds) > _MAX_NAMED else []
    return ", ".join([*map(str, seeds[:_MAX_NAMED]), *more])
