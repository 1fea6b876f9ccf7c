"""The table of a study: a row for each trial, from Optuna's journal and the trials' folders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial

from ganhtr.atomic import to_json, write_atomically
from tune.arm import OFF
from tune.metric import METRICS
from tune.space.constraint import Constraint, keeps, mean_metrics
from tune.study.folder import StudyFolder
from tune.study.trial_status import FINISHED, TrialStatus

COLUMNS = (*(metric.key for metric in METRICS), "ctc", "infeasible")


@dataclass(frozen=True)
class Row:
    """A trial with its latest result.

    value: its best, higher is better. metrics: those of its kept epoch.
    peak_accuracy: of the discriminator, the largest of its epochs, mean of real and fake lines.
    peak_memory_mb: on the device, in the epoch that took most; None without CUDA.
    feasible: whether the trial keeps the space's constraints. Only such a trial can win.
    """

    id: str
    arm: str
    proposed_by: str
    status: TrialStatus
    value: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    metrics: dict[str, float]
    last_metrics: dict[str, float]
    values: dict[str, Any]
    error: str | None
    peak_accuracy: float | None
    peak_memory_mb: float | None = None
    feasible: bool = True

    @property
    def finished(self) -> bool:
        """Whether the trial ran to its end or until its patience was exhausted."""
        return self.status in FINISHED


def collect(
    folder: StudyFolder,
    trials: Iterable[tuple[str, FrozenTrial]],
    constraints: Sequence[Constraint] = (),
) -> list[Row]:
    """Make a row for every trial of the journal, OFF first.

    Constraints are evaluated on the present figures, with the present mean of OFF.
    """
    # A crash can leave a trial without a proposal: it has no name yet.
    named = [trial for _, trial in trials if "proposal" in trial.user_attrs]
    rows = [_row(folder, trial) for trial in named]
    if not constraints:
        return rows
    off = mean_metrics(
        [row.metrics for row in rows if row.arm == OFF and row.finished and row.metrics]
    )
    return [
        row
        if row.arm == OFF or not row.metrics
        else replace(row, feasible=keeps(constraints, row.metrics, off))
        for row in rows
    ]


def _row(folder: StudyFolder, trial: FrozenTrial) -> Row:
    proposal = json.loads(trial.user_attrs["proposal"])
    result = folder.read_json(f"trials/{proposal['id']}/result.json")
    status = trial.user_attrs.get("status")
    return Row(
        id=proposal["id"],
        arm=proposal["arm"],
        proposed_by=proposal["proposed_by"],
        status=TrialStatus(status) if status else TrialStatus.of(trial.state),
        value=result.get("best_value"),
        best_epoch=result.get("best_epoch"),
        epochs=result.get("epoch", 0),
        seconds=result.get("seconds", 0.0),
        metrics=result.get("best_metrics", {}),
        last_metrics=result.get("metrics", {}),
        values=proposal["values"],
        error=result.get("error"),
        peak_accuracy=result.get("peak_accuracy"),
        peak_memory_mb=result.get("peak_memory_mb") or None,
    )


def best_row(rows: Iterable[Row], arm: str | None = None) -> Row | None:
    """The winner of one arm or of all; None if no trial can win."""
    return next(iter(ranked(rows, arm)), None)


def ranked(rows: Iterable[Row], arm: str | None = None) -> list[Row]:
    """The trials that can win, best first; of equal ones the earlier first.

    A trial can win if it finished, has a value and keeps the constraints.
    """
    eligible = [
        row
        for row in rows
        if row.finished and row.feasible and row.value is not None and arm in (None, row.arm)
    ]
    return sorted(eligible, key=lambda row: -(row.value or 0.0))


def write_csv(folder: StudyFolder, rows: list[Row]) -> None:
    """Write trials.csv."""
    keys = sorted({key for row in rows for key in row.values})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    header = "trial arm proposed_by status feasible value best_epoch epochs seconds peak_memory_mb"
    writer.writerow([*header.split(), *COLUMNS, *keys, "error"])
    for row in rows:
        writer.writerow(
            [
                row.id,
                row.arm,
                row.proposed_by,
                row.status,
                "yes" if row.feasible else "no",
                row.value,
                row.best_epoch,
                row.epochs,
                f"{row.seconds:.1f}",
                None if row.peak_memory_mb is None else f"{row.peak_memory_mb:.1f}",
                *(row.metrics.get(name) for name in COLUMNS),
                *(row.values.get(key) for key in keys),
                row.error,
            ]
        )
    write_atomically(folder.path / "trials.csv", buffer.getvalue().encode())


def write_best(folder: StudyFolder, row: Row) -> None:
    """Write best/: the trial's generator, the guide, the configuration and the charset."""
    source, target = folder.path / "trials" / row.id, folder.path / "best"
    target.mkdir(exist_ok=True)
    write_atomically(target / "generator.safetensors", (source / "best.safetensors").read_bytes())
    if folder.recognizer("guide").exists():
        write_atomically(target / "guide.safetensors", folder.recognizer("guide").read_bytes())
    trial = json.loads((source / "config.json").read_text(encoding="utf-8"))
    charset = folder.read_json("environment.json").get("data", {}).get("charset")
    best = {"charset": charset, "best_epoch": row.best_epoch, "metrics": row.metrics}
    write_atomically(target / "config.json", to_json({**trial, **best}))
