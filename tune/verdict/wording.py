"""A verdict for a reader: a table, a sentence for each metric, differences by seed, the method."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan

from tune.report_markup import cell, shown
from tune.report_markup import table as markdown_table
from tune.verdict.judgement import (
    MIN_SEEDS,
    NONE,
    SETTLED_SEEDS,
    UNCLEAR,
    Judgement,
    Verdict,
)
from tune.verdict.line_table import REFERENCE
from tune.verdict.reason import lost_text, missing_text

_MAX_LISTED = 20  # seeds listed one by one
_HEADER = [
    "arm",
    "metric",
    "verdict",
    REFERENCE,
    "arm's",
    "difference",
    "95 % interval",
    "p",
    "p, Holm",
    "seeds",
    "lines",
    "diverged: arm, off",
]


def report(verdict: Verdict) -> str:
    """Return table, sentences, differences by seed and method, in Markdown."""
    parts = [
        table(verdict),
        _bullets(sentence(judgement) for judgement in verdict.judgements),
        _bullets(by_seed(verdict)),
        next_steps(verdict),
        _bullets(cell(note) for note in (*verdict.notes, *method(verdict))),
    ]
    return "\n\n".join(part for part in parts if part)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(verdict: Verdict) -> str:
    """Return one row for each metric and arm, in Markdown."""
    return markdown_table(_HEADER, list(map(_row, verdict.judgements)), ("metric", "verdict"))


def _row(judgement: Judgement) -> list[str]:
    metric, runs, difference = judgement.metric, judgement.runs, judgement.difference
    return [
        cell(judgement.arm),
        f"{metric.title}{' (primary)' if judgement.primary else ''}",
        judgement.title,
        metric.plain(difference.off),
        metric.plain(difference.on),
        metric.signed(difference.estimate),
        "-" if isnan(judgement.interval.low) else _interval(judgement),
        shown(judgement.significance.p, "{:.2g}"),
        shown(judgement.significance.p_adjusted, "{:.2g}"),
        str(len(runs.seeds)),
        str(runs.lines),
        f"{_lost(runs.on_diverged, runs.on_missing)}, {_lost(runs.off_diverged, runs.off_missing)}",
    ]


def _lost(diverged: tuple[int, ...], missing: tuple[int, ...]) -> str:
    return f"{len(diverged)}{f' + {len(missing)} missing' if missing else ''}"


def _interval(judgement: Judgement) -> str:
    metric, interval = judgement.metric, judgement.interval
    return f"{metric.signed(interval.low)} to {metric.signed(interval.high)}"


def sentence(judgement: Judgement) -> str:
    """Return one metric of one arm in words."""
    metric, runs, bootstrap = judgement.metric, judgement.runs, judgement.interval.bootstrap
    primary = " (primary)" if judgement.primary else ""
    sentences = [f"{metric.name}{primary}, {cell(judgement.arm)}: {judgement.title}."]
    if judgement.word == NONE:
        sentences.append(f"{_capitalised(judgement.reason)}.")
        if runs.seeds:
            estimate = metric.signed(judgement.difference.estimate)
            sentences.append(f"The difference in the complete runs is {estimate}{metric.unit}.")
    else:
        sample = f"{len(runs.seeds)} seeds x {runs.lines:,} lines"
        interval = f"95 % interval {_interval(judgement)}, {sample}"
        sentences.append(f"{_difference(judgement)} ({interval}): {judgement.reason}.")
    if bootstrap is not None:
        low, high = map(metric.signed, bootstrap)
        sentences.append(f"The bootstrap interval over seeds and lines is {low} to {high}.")
    lost = lost_text(judgement)
    if lost and lost not in judgement.reason:
        sentences.append(f"{_capitalised(lost)}.")
    return " ".join(sentences)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _difference(judgement: Judgement) -> str:
    metric, name = judgement.metric, cell(judgement.arm)
    estimate = judgement.difference.estimate
    if not metric.visible(estimate):
        return f"{name} equals {REFERENCE} to {metric.decimals} decimals"
    side = "higher" if estimate > 0 else "lower"
    quality = "better" if metric.is_better(estimate) else "worse"
    return (
        f"{name} is {metric.plain(abs(estimate))}{metric.unit} {side} ({quality}) than {REFERENCE}"
    )


def by_seed(verdict: Verdict) -> list[str]:
    """Return a line for each metric and arm: differences of the seeds, shares of the variance."""
    return [_by_seed(judgement) for judgement in verdict.judgements if judgement.runs.seeds]


def _by_seed(judgement: Judgement) -> str:
    metric, interval = judgement.metric, judgement.interval
    seeds, differences = judgement.runs.seeds, judgement.difference.differences
    pairs = [
        f"{seed}: {metric.signed(change)}" for seed, change in zip(seeds, differences, strict=True)
    ]
    text = ", ".join(pairs[:_MAX_LISTED])
    if len(pairs) > _MAX_LISTED:
        text += f" and {len(pairs) - _MAX_LISTED} more"
    if not isnan(interval.low):
        sd = f"SD over seeds {metric.plain(interval.paired_sd)}{metric.unit}"
        shares = f"seeds {interval.seed_share:.0%}, lines {interval.line_share:.0%}"
        df = f"{interval.df:.1f} degrees of freedom"
        text += f" ({sd}; share of the variance: {shares}; {df})"
    return f"{metric.name}, {cell(judgement.arm)}, difference by seed: {text}."


def next_steps(verdict: Verdict, command: str = "") -> str:
    """Return what the verdict on the primary metric lacks: seeds, or runs of one arm.

    command: how to run the missing seeds. Empty if nothing is missing.
    """
    steps = []
    if verdict.more_seeds:
        neediest = max(verdict.on_primary, key=lambda judgement: judgement.more_seeds)
        steps.append(_more_seeds(neediest, command))
    for judgement in verdict.on_primary:
        missing = missing_text(judgement)
        undecided = judgement.word in (NONE, UNCLEAR) or judgement.provisional
        if missing and undecided:
            steps.append(
                f"{cell(judgement.arm)}: both arms need the same seeds. Run {cell(missing)}."
            )
    return " ".join(steps)


def _more_seeds(judgement: Judgement, command: str) -> str:
    if judgement.word == NONE:
        why = f"no verdict yet, because fewer than {MIN_SEEDS} seeds are complete"
    elif judgement.provisional:
        why = f"the verdict is provisional, because fewer than {SETTLED_SEEDS} seeds are complete"
    else:
        why = f"{judgement.metric.name}, the primary metric, cannot tell yet"
    count = judgement.more_seeds
    seeds = f"{count:,} more seed{'s' if count > 1 else ''}"
    return f"{cell(judgement.arm)}: {why}. Run {seeds}{f': `{command}`' if command else ''}."


def method(verdict: Verdict) -> list[str]:
    """Return how the figures are calculated."""
    arms = len(verdict.arms)
    secondary = len(verdict.judgements) - arms
    holm = f"Holm's adjustment: the primary metric over {arms} judged arm{'s' if arms > 1 else ''}"
    if secondary:
        holm += f"; the other tests ({secondary}) among themselves"
    return [
        f"A difference is the arm minus {REFERENCE} on the same lines and seed. A seed counts if "
        "it is complete in both arms. An error rate is sum(weight x value) / sum(weight): with the "
        "lengths of the transcriptions as weights, it is the corpus rate.",
        "The intervals take seeds and lines as crossed random effects (t with Satterthwaite's "
        "degrees of freedom). They are not adjusted for the number of metrics and arms.",
        f"{holm}.",
    ]
