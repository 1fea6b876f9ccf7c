"""The folder of a trial: configuration, metrics, per-line values, checkpoint, weights, samples."""

from __future__ import annotations

import io
import json
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganhtr.atomic import to_json, write_atomically, write_png
from ganhtr.train.finite import NORMS
from tune.metric import ORIGINAL_METRICS
from tune.study.sample_name import sample_name
from tune.study.trial_status import TrialStatus

if TYPE_CHECKING:
    from ganhtr.config import Config
    from ganhtr.train.evaluate import Evaluation
    from ganhtr.train.fit import EpochReport

METRICS_FILE = "metrics/training_metrics_fp32.json"


class TrialFolder:
    """The files of a trial, each written atomically."""

    def __init__(self, path: Path):
        self.path = path
        self.last = path / "last.pt"
        self.best = path / "best.safetensors"

    def create(self, config: dict[str, Any]) -> None:
        """Make the folder and write the trial's configuration."""
        for part in ("metrics", "lines", "samples"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "config.json", to_json(config))

    def metrics(self) -> dict[str, Any] | None:
        """Read the metrics written so far; None if there are none."""
        path = self.path / METRICS_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def forget_after(self, epoch: int) -> None:
        """Drop the epochs after `epoch`, which were written without a checkpoint."""
        metrics = self.metrics()
        if metrics and len(metrics["epochs"]) > epoch:
            metrics["epochs"] = metrics["epochs"][:epoch]
            write_atomically(self.path / METRICS_FILE, to_json(metrics))

    def write_epoch(
        self, report: EpochReport, config: Config, best_epoch: int, waited: int, status: TrialStatus
    ) -> None:
        """Add an epoch to the metrics file, in the layout of the original, and its line values.

        best_epoch, waited: the kept epoch so far, and the epochs since it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        metrics = self.metrics() or {
            "start_time": now,
            "hyperparameters": config.flat(),
            "epochs": [],
        }
        earlier = metrics["epochs"][: report.epoch - 1]
        epochs = [*earlier, epoch_entry(report, config, best_epoch, waited)]
        metrics |= {
            "epochs": epochs,
            "end_time": None if status == TrialStatus.RUNNING else now,
            "best_val_psnr": max(entry["validation"]["psnr"] for entry in epochs),
            "best_epoch": best_epoch,
            "total_epochs_completed": report.epoch,
            "early_stopped": status == TrialStatus.STOPPED,
            "final_patience_counter": waited,
        }
        write_atomically(self.path / METRICS_FILE, to_json(metrics))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **line_arrays(report.evaluation))
        write_atomically(self.lines_of(report.epoch), buffer.getvalue())

    def lines_of(self, epoch: int) -> Path:
        """The file of an epoch's per-line values."""
        return self.path / "lines" / f"epoch_{epoch:04d}.npz"

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result: status, best value and epoch, metrics of best and last epoch."""
        write_atomically(self.path / "result.json", to_json(result))

    def result(self) -> dict[str, Any]:
        """Read the latest result; empty before the end of the first epoch."""
        path = self.path / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @property
    def status(self) -> TrialStatus:
        """The status in the latest result; RUNNING before the end of the first epoch."""
        return TrialStatus(self.result().get("status", TrialStatus.RUNNING))

    def end(self, status: TrialStatus, error: str | None = None) -> None:
        """Record the end of a trial that was stopped from outside."""
        self.path.mkdir(parents=True, exist_ok=True)
        reason = {"error": error} if error else {}
        self.write_result({**self.result(), "status": status, **reason})

    def write_samples(self, epoch: int | None, images: np.ndarray, widths: np.ndarray) -> None:
        """Write restored lines and their comparisons as PNG. epoch: None for the kept epoch.

        Shapes: images (n, 3, H, W) uint8: degraded, restored, clean; widths (N,).
        """
        for sample, (rows, width) in enumerate(zip(images, widths, strict=False)):
            degraded, restored, clean = rows[:, :, :width]
            gap = np.full((len(restored), 8), 128, dtype=np.uint8)
            beside = np.concatenate([degraded, gap, restored, gap, clean], axis=1)
            for comparison, image in ((False, restored), (True, beside)):
                name = sample_name(sample, epoch, comparison)
                write_png(self.path / "samples" / name, np.ascontiguousarray(image))

    def write_failure(self, error: BaseException) -> None:
        """Write the traceback of the error that ended the trial."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        write_atomically(self.path / "traceback.txt", text.encode())


def line_arrays(evaluation: Evaluation) -> dict[str, Any]:
    """Return the per-line arrays of an evaluation by name, such as `guide_char_edits`."""
    arrays = {name: getattr(evaluation, name) for name in ("psnr", "ssim", "ctc", "infeasible")}
    for role in ("guide", "judge"):
        errors = vars(getattr(evaluation, role))
        arrays |= {f"{role}_{name}": values for name, values in errors.items()}
    return arrays


def epoch_entry(
    report: EpochReport, config: Config, best_epoch: int, waited: int
) -> dict[str, Any]:
    """An epoch in the layout of the original's file; `diagnostics` holds what is new here."""
    metrics = report.metrics()
    losses = {name: values for name, values in report.steps.items() if f"train_{name}" in metrics}
    norms = report.steps["generator_norm"]
    original = [metric.key for metric in ORIGINAL_METRICS]
    return {
        "epoch": report.epoch,
        "phase": "train",
        "current_ctc_weight": config.loss.ctc,
        "losses": losses,
        "training_losses": {
            **{name: report.mean(name) for name in losses},
            "gradient_norm": {
                "generator_mean": report.mean("generator_norm"),
                "generator_max": max(norms),
                "discriminator_mean": report.mean("discriminator_norm"),
            },
        },
        "validation": {name: metrics[name] for name in original},
        "diagnostics": {
            **{name: value for name, value in metrics.items() if name not in original},
            "steps": {name: report.steps[name] for name in NORMS if name in report.steps},
        },
        "best_model_saved": best_epoch == report.epoch,
        "patience_counter": waited,
        "epoch_time_seconds": report.seconds,
    }
