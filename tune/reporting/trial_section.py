"""The section "Trials" of a report: the trials in a table, the best first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tune.arm import OFF
from tune.metric import BY_KEY, OBJECTIVES
from tune.report_markup import cell, listed, short, shown, table
from tune.space.constraint import Constraint
from tune.study.trial_status import TrialStatus
from tune.study.trial_table import Row, best_row

MAX_SHOWN = 50  # trials in the table; all are in trials.csv
METRICS = [BY_KEY[key] for key in ("psnr", "cer", "judge_cer")]
DIAGNOSTICS = {"retrieval_top1": "top-1", "length_top1": "length", "contrastive_ratio": "ratio"}
UNFINISHED = "shown at its best epoch, on the lines of an epoch"
STATUSES = {
    TrialStatus.PRUNED: f"stopped by the pruner, cannot win; {UNFINISHED}",
    TrialStatus.HALTED: f"stopped by the user, cannot win; {UNFINISHED}",
    TrialStatus.WAITING: "continues when the search is resumed",
}


def in_order(rows: list[Row]) -> list[Row]:
    """Sort trials: those that can win, finished ones that break a constraint, stopped ones, others.

    The best comes first within each group.
    """

    def rank(row: Row) -> tuple[int, float]:
        value = float("-inf") if row.value is None else row.value
        if row.finished and row.value is not None:
            return (0 if row.feasible else 1), -value
        return (2, -value) if row.status in (TrialStatus.PRUNED, TrialStatus.HALTED) else (3, 0.0)

    return sorted(rows, key=rank)


def trial_section(
    rows: list[Row], objective: str, constraints: Sequence[Constraint] = ()
) -> list[str]:
    """Return the section: all trials, or the best fifty and the best OFF trial."""
    best = in_order(rows)[:MAX_SHOWN]
    off = best_row(rows, OFF)
    if off and off not in best:
        best.append(off)
    counts: Counter[str] = Counter(row.status for row in rows)
    totals = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    some = [
        f"{len(best)} of {len(rows):,} trials are shown, the best first; `trials.csv` has all "
        f"({totals}).",
        "",
    ]
    notes = [f"*{status}*: {text}." for status, text in STATUSES.items() if counts[status]]
    if constraints:
        notes.append(f"Constraints that the winner must meet: {listed(map(str, constraints))}.")
    header = [
        *("trial", "proposed by", "status", objective, "epoch"),
        *(metric.name for metric in METRICS),
        *DIAGNOSTICS.values(),
        "values",
    ]
    return [
        *(some if len(best) < len(rows) else []),
        "*Top-1* is the share of lines whose own transcription the matcher picks from the batch; "
        "*length* is the share that the line's length alone would pick; *ratio* is the norm of the "
        "contrastive gradient at the restored image over that of the pixel term. All are from the "
        "last epoch.",
        *([" ".join(notes)] if notes else []),
        "",
        table(header, [_trial_row(row, objective) for row in best]),
    ]


def _trial_row(row: Row, objective: str) -> list[str]:
    return [
        row.id,
        row.proposed_by,
        row.status if row.feasible else f"{row.status}, breaks a constraint",
        OBJECTIVES[objective].shown(row.value),
        f"{row.best_epoch or '-'}",
        *(metric.plain(row.metrics.get(metric.key)) for metric in METRICS),
        *(shown(row.last_metrics.get(key), "{:.2f}") for key in DIAGNOSTICS),
        cell(short(row.values)),
    ]
