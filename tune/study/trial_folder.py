"""The folder of a trial: configuration, metrics, per-line values, checkpoint, weights, samples."""

from __future__ import annotations

import io
import json
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ganhtr.atomic import to_json, write_atomically
from ganhtr.train.fit import NORMS
from tune.study.trial_status import TrialStatus

if TYPE_CHECKING:
    from ganhtr.config import Config
    from ganhtr.train.fit import EpochReport

METRICS = "metrics/training_metrics_fp32.json"
VALIDATION = ("psnr", "ssim", "cer", "wer")  # the metrics that the original file has


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
        path = self.path / METRICS
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def forget_after(self, epoch: int) -> None:
        """Drop the epochs after `epoch`, which were written without a checkpoint."""
        metrics = self.metrics()
        if metrics and len(metrics["epochs"]) > epoch:
            metrics["epochs"] = metrics["epochs"][:epoch]
            write_atomically(self.path / METRICS, to_json(metrics))

    def write_epoch(
        self, report: EpochReport, config: Config, best_epoch: int, waited: int, status: TrialStatus
    ) -> None:
        """Add an epoch to the metrics file, in the original experiment's layout, and its line values.

        best_epoch, waited: the best epoch so far, and the epochs since it.
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
        write_atomically(self.path / METRICS, to_json(metrics))
        self._write_lines(report)

    def _write_lines(self, report: EpochReport) -> None:
        measured = report.evaluation
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            psnr=measured.psnr,
            ssim=measured.ssim,
            ctc=measured.ctc,
            infeasible=measured.infeasible,
            **{
                f"{role}_{name}": values
                for role in ("guide", "judge")
                for name, values in vars(getattr(measured, role)).items()
            },
        )
        write_atomically(self.path / "lines" / f"epoch_{report.epoch:04d}.npz", buffer.getvalue())

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result: status, best value and epoch, metrics of the best and the last epoch."""
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

    def write_samples(self, name: str, images: np.ndarray, widths: np.ndarray) -> None:
        """Write restored lines, and degraded | restored | clean comparisons, as PNG.

        Shapes: images (n, 3, H, W) uint8; widths (N,).
        """
        for i, (rows, width) in enumerate(zip(images, widths, strict=False)):
            own = rows[:, :, :width]
            gap = np.full((own.shape[1], 8), 128, dtype=np.uint8)
            comparison = np.concatenate([own[0], gap, own[1], gap, own[2]], axis=1)
            stem = f"{name}_sample_{i}.png"
            for file, image in ((stem, own[1]), (f"comparison_{stem}", comparison)):
                buffer = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
                write_atomically(self.path / "samples" / file, buffer.getvalue())

    def write_failure(self, error: BaseException) -> None:
        """Write the traceback of the error that ended the trial."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        write_atomically(self.path / "traceback.txt", text.encode())


def epoch_entry(
    report: EpochReport, config: Config, best_epoch: int, waited: int
) -> dict[str, Any]:
    """An epoch in the layout of the original's metrics file; `diagnostics` holds what is new here."""
    metrics = report.metrics()
    losses = {name: values for name, values in report.steps.items() if f"train_{name}" in metrics}
    norms = report.steps["generator_norm"]
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
        "validation": {name: metrics[name] for name in VALIDATION},
        "diagnostics": {
            **{name: value for name, value in metrics.items() if name not in VALIDATION},
            "steps": {name: report.steps[name] for name in NORMS if name in report.steps},
        },
        "best_model_saved": best_epoch == report.epoch,
        "patience_counter": waited,
        "epoch_time_seconds": report.seconds,
    }
