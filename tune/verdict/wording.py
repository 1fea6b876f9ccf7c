"""A verdict for a person: a table, a sentence for each metric, the differences by seed, and how it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from tune.report_markup import cell, shown
from tune.report_markup import table as markdown_table
from tune.verdict.judge import lost_text, missing_text
from tune.verdict.judgement import ENOUGH, NONE, SETTLED, UNCLEAR, Judgement, Verdict
from tune.verdict.line_table import REFERENCE

WORDS = ("metric", "verdict")
_LISTED = 20


def report(verdict: Verdict, command: str = "") -> str:
    """Table, sentences, differences by seed and method, in Markdown. `command`: goes on with the seeds that a provisional verdict lacks."""
    parts = [
        table(verdict),
        "\n".join(f"- {sentence(each)}" for each in verdict.judgements),
        "\n".join(f"- {line}" for line in by_seed(verdict)),
    ]
    if more := onward(verdict, command):
        parts.append(more)
    parts.append("\n".join(f"- {cell(note)}" for note in (*verdict.notes, *method(verdict))))
    return "\n\n".join(parts)


def table(verdict: Verdict) -> str:
    """One row a metric and arm, in Markdown."""
    header = [
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
    rows = []
    for each in verdict.judgements:
        metric = each.shown
        signed = f"{{:+z.{metric.places}f}}"
        interval = (
            "-" if isnan(each.low) else f"{metric.signed(each.low)} to {metric.signed(each.high)}"
        )
        lost = [
            f"{len(diverged)}{f' + {len(missing)} missing' if missing else ''}"
            for diverged, missing in (
                (each.on_diverged, each.on_missing),
                (each.off_diverged, each.off_missing),
            )
        ]
        rows.append(
            [
                cell(each.arm),
                f"{metric.title}{' (primary)' if each.primary else ''}",
                each.said,
                *(shown(value, f"{{:.{metric.places}f}}") for value in (each.off, each.on)),
                shown(each.estimate, signed),
                interval,
                shown(each.p, "{:.2g}"),
                shown(each.p_adjusted, "{:.2g}"),
                str(len(each.seeds)),
                str(each.lines),
                ", ".join(lost),
            ]
        )
    return markdown_table(header, rows, WORDS)


def sentence(judgement: Judgement) -> str:
    """One metric of one arm in words."""
    metric, name = judgement.shown, cell(judgement.arm)
    said = f"{metric.name}{' (primary)' if judgement.primary else ''}, {name}: {judgement.said}. "
    if judgement.word == NONE:
        said += f"{judgement.reason[0].upper()}{judgement.reason[1:]}."
        if judgement.seeds:
            said += f" The difference in what there is: {metric.signed(judgement.estimate)}{metric.unit}."
    else:
        said += (
            f"{_difference(judgement)} (95 % interval {metric.signed(judgement.low)} to {metric.signed(judgement.high)}, "
            f"{len(judgement.seeds)} seeds x {judgement.lines:,} lines): {judgement.reason}."
        )
    if judgement.bootstrap is not None:
        low, high = map(metric.signed, judgement.bootstrap)
        said += f" The bootstrap over seeds and lines gives {low} to {high}."
    lost = lost_text(judgement)
    return f"{said} {lost[0].upper()}{lost[1:]}." if lost and lost not in judgement.reason else said


def _difference(judgement: Judgement) -> str:
    metric, name = judgement.shown, cell(judgement.arm)
    if not metric.visible(judgement.estimate):
        return f"{name} equals {REFERENCE} to {metric.places} decimals"
    higher = judgement.estimate > 0
    quality = "better" if higher == metric.higher_is_better else "worse"
    return f"{name} is {metric.plain(abs(judgement.estimate))}{metric.unit} {'higher' if higher else 'lower'} ({quality}) than {REFERENCE}"


def by_seed(verdict: Verdict) -> list[str]:
    """The corpus difference of each seed, a line for each metric and arm that has any; and how the variance divides."""
    said = []
    for each in (each for each in verdict.judgements if each.seeds):
        metric = each.shown
        pairs = [
            f"{seed}: {metric.signed(change)}"
            for seed, change in zip(each.seeds, each.differences, strict=True)
        ]
        text = ", ".join(pairs[:_LISTED]) + (
            f" and {len(pairs) - _LISTED} more" if len(pairs) > _LISTED else ""
        )
        parts = (
            ""
            if isnan(each.p)
            else (
                f" (SD over seeds {metric.plain(each.paired_sd)}{metric.unit}; of the estimate's variance seeds make {each.seed_share:.0%}, "
                f"lines {each.line_share:.0%}; {each.df:.1f} degrees of freedom)"
            )
        )
        said.append(f"{metric.name}, {cell(each.arm)}, difference by seed: {text}{parts}.")
    return said


def onward(verdict: Verdict, command: str = "") -> str:
    """What the verdict on the primary metric lacks: seeds in the arm that lacks most, with the command that goes on, and runs that only
    the other arm of a pair has; empty when nothing."""
    primary = [each for each in verdict.judgements if each.primary]
    said = (
        [_more(max(primary, key=lambda each: each.more_seeds), command)]
        if verdict.more_seeds
        else []
    )
    said += [
        f"{cell(each.arm)}: the arms must have the same seeds, so run {cell(missing)}."
        for each in primary
        if (each.word in (NONE, UNCLEAR) or each.provisional) and (missing := missing_text(each))
    ]
    return " ".join(said)


def _more(held: Judgement, command: str) -> str:
    if held.word == NONE:
        why = f"no verdict yet, as fewer than {ENOUGH} seeds are complete"
    elif held.provisional:
        why = f"provisional, as fewer than {SETTLED} seeds are complete"
    else:
        why = f"the primary metric, {held.shown.name}, cannot tell yet"
    return f"{cell(held.arm)}: {why}. {held.more_seeds:,} more would serve{f': `{command}`' if command else ''}."


def method(verdict: Verdict) -> Sequence[str]:
    """What the figures are."""
    arms, others = len(verdict.arms), len(verdict.judgements) - len(verdict.arms)
    return (
        f"Differences are the arm's less {REFERENCE}'s on the same lines and seed. A seed counts where both arms completed it. Error rates "
        "are sum(weight x value) / sum(weight): where the weights are the references' lengths, edits and lengths summed, then divided.",
        "Intervals: seeds and lines are crossed, both random; Satterthwaite's t. They are not adjusted for the number of metrics and arms.",
        f"p, Holm: the primary metric over {arms} judged arm{'s' if arms > 1 else ''}"
        + (f"; the {others} secondary tests among themselves." if others else "."),
    )
