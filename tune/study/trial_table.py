"""The rows of a study: one a trial, put together from Optuna's journal and the trials' folders; trials.csv and the best trial."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from ganhtr.atomic import to_json, write_atomically
from tune.space.settings import Constraint, keeps
from tune.study.folder import METRICS, StudyFolder

STATUS = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.COMPLETE: "complete",
}


@dataclass(frozen=True)
class Row:
    """One trial as it stands. `metrics` are those of its best epoch; `value` is its best, higher is better."""

    id: str
    arm: str
    proposed_by: str
    status: (
        str  # running, waiting, complete, stopped (patience), pruned, halted (by a person), failed
    )
    value: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    metrics: dict[str, float]
    last_metrics: dict[str, float]
    values: dict[str, Any]
    error: str | None
    peak_accuracy: float | None  # of the discriminator, mean of real and fake, in its best epoch
    peak_memory_mb: float | None = (
        None  # on the device, in the epoch that took most; None without CUDA
    )
    feasible: bool = True  # whether it keeps the space's constraints; only such a trial can win

    @property
    def finished(self) -> bool:
        """Whether it ran to its end, or to the end of its patience."""
        return self.status in ("complete", "stopped")


def collect(
    folder: StudyFolder,
    trials: Iterable[tuple[str, FrozenTrial]],
    constraints: Sequence[Constraint] = (),
) -> list[Row]:
    """A row for every trial of the journal, OFF first. Constraints are told from the figures as they stand, OFF's mean among them."""
    rows = []
    for _, trial in trials:
        if "proposal" not in trial.user_attrs:
            continue  # asked for an instant before a crash: it has no name yet
        proposal = json.loads(trial.user_attrs["proposal"])
        result = folder.read_json(f"trials/{proposal['id']}/result.json")
        rows.append(
            Row(
                proposal["id"],
                proposal["arm"],
                proposal["proposed_by"],
                trial.user_attrs.get("status", STATUS[trial.state]),
                result.get("best_value"),
                result.get("best_epoch"),
                result.get("epoch", 0),
                result.get("seconds", 0.0),
                result.get("best_metrics", {}),
                result.get("metrics", {}),
                proposal["values"],
                result.get("error"),
                result.get("peak_accuracy"),
                result.get("peak_memory_mb") or None,
            )
        )
    if not constraints:
        return rows
    held = [row.metrics for row in rows if row.arm == "off" and row.finished and row.metrics]
    off = {name: sum(each[name] for each in held) / len(held) for name in held[0]} if held else None
    return [
        row
        if row.arm == "off" or not row.metrics
        else replace(row, feasible=keeps(constraints, row.metrics, off))
        for row in rows
    ]


def best_row(rows: Iterable[Row], arm: str | None = None) -> Row | None:
    """The winner of one arm or of all: the finished trial of the highest value that keeps the constraints."""
    return next(iter(ranked(rows, arm)), None)


def ranked(rows: Iterable[Row], arm: str | None = None) -> list[Row]:
    """The trials that can win, best first; of equal ones the earlier first."""
    held = [
        row
        for row in rows
        if row.finished and row.feasible and row.value is not None and arm in (None, row.arm)
    ]
    return sorted(held, key=lambda row: -(row.value or 0.0))


def write_csv(folder: StudyFolder, rows: list[Row]) -> None:
    """Writes trials.csv."""
    keys = sorted({key for row in rows for key in row.values})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "trial",
            "arm",
            "proposed_by",
            "status",
            "feasible",
            "value",
            "best_epoch",
            "epochs",
            "seconds",
            "peak_memory_mb",
            *METRICS,
            *keys,
            "error",
        ]
    )
    for row in rows:
        memory = None if row.peak_memory_mb is None else f"{row.peak_memory_mb:.1f}"
        feasible = "yes" if row.feasible else "no"
        writer.writerow(
            [
                row.id,
                row.arm,
                row.proposed_by,
                row.status,
                feasible,
                row.value,
                row.best_epoch,
                row.epochs,
                f"{row.seconds:.1f}",
                memory,
                *(row.metrics.get(name) for name in METRICS),
                *(row.values.get(key) for key in keys),
                row.error,
            ]
        )
    write_atomically(folder.path / "trials.csv", buffer.getvalue().encode())


def write_best(folder: StudyFolder, row: Row) -> None:
    """Puts the best trial into best/, with all that is needed to restore lines with it: weights, the guide, configuration and charset.

    A study of an older version kept no recognizers: its best/ has no guide.
    """
    source, target = folder.path / "trials" / row.id, folder.path / "best"
    target.mkdir(exist_ok=True)
    write_atomically(target / "generator.safetensors", (source / "best.safetensors").read_bytes())
    if folder.recognizer("guide").exists():
        write_atomically(target / "guide.safetensors", folder.recognizer("guide").read_bytes())
    held = json.loads((source / "config.json").read_text(encoding="utf-8"))
    charset = folder.read_json("environment.json").get("data", {}).get("charset")
    write_atomically(
        target / "config.json",
        to_json({**held, "charset": charset, "best_epoch": row.best_epoch, "metrics": row.metrics}),
    )
