"""The folder of one trial: configuration, metrics, per-line values, checkpoint, best weights, samples, and why it failed."""

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

if TYPE_CHECKING:
    from ganhtr.config import Config
    from ganhtr.train.fit import EpochReport

METRICS = "metrics/training_metrics_fp32.json"


class TrialFolder:
    """Writes and rewrites the files of a trial, each in one move."""

    def __init__(self, path: Path):
        self.path = path
        self.last = path / "last.pt"
        self.best = path / "best.safetensors"

    def create(self, config: dict[str, Any]) -> None:
        """Makes the folder and writes the trial's configuration."""
        for part in ("metrics", "lines", "samples"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "config.json", to_json(config))

    def metrics(self) -> dict[str, Any] | None:
        """The metrics written so far, or None."""
        path = self.path / METRICS
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def forget_after(self, epoch: int) -> None:
        """Drops the epochs beyond `epoch`: those that were written, but whose checkpoint was not."""
        held = self.metrics()
        if held and len(held["epochs"]) > epoch:
            held["epochs"] = held["epochs"][:epoch]
            write_atomically(self.path / METRICS, to_json(held))

    def write_epoch(
        self, report: EpochReport, config: Config, best_epoch: int, waited: int, status: str
    ) -> None:
        """Adds an epoch to the metrics, in the layout of the original experiment's file, and keeps its per-line values.

        best_epoch, waited: the best epoch so far, and the epochs since it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        held = self.metrics() or {"start_time": now, "hyperparameters": config.flat(), "epochs": []}
        held["epochs"] = [
            *held["epochs"][: report.epoch - 1],
            epoch_entry(report, config, best_epoch, waited),
        ]
        held["end_time"] = None if status == "running" else now
        held["best_val_psnr"] = max(entry["validation"]["psnr"] for entry in held["epochs"])
        held["best_epoch"] = best_epoch
        held["total_epochs_completed"] = report.epoch
        held["early_stopped"] = status == "stopped"
        held["final_patience_counter"] = waited
        write_atomically(self.path / METRICS, to_json(held))
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
        """Keeps how the trial stands: status, best value and epoch, metrics of the best and of the last epoch."""
        write_atomically(self.path / "result.json", to_json(result))

    def result(self) -> dict[str, Any]:
        """How the trial stands, as it was written last; empty where it has not ended its first epoch."""
        path = self.path / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def end(self, status: str, error: str | None = None) -> None:
        """Notes how a trial ended that was stopped from outside."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_result(
            {**self.result(), "status": status, **({"error": error} if error else {})}
        )

    def write_samples(self, name: str, images: np.ndarray, widths: np.ndarray) -> None:
        """Writes restored lines and degraded | restored | clean comparisons as PNG. Shapes: images (n, 3, H, W) uint8, widths (N,)."""
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
        """Keeps the traceback of what ended the trial."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(
            self.path / "traceback.txt", "".join(traceback.format_exception(error)).encode()
        )


def epoch_entry(
    report: EpochReport, config: Config, best_epoch: int, waited: int
) -> dict[str, Any]:
    """One epoch in the layout of the original's metrics file; what that file did not have stands under `diagnostics`."""
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
        "validation": {name: metrics[name] for name in ("psnr", "ssim", "cer", "wer")},
        "diagnostics": {
            **{
                name: value
                for name, value in metrics.items()
                if name not in ("psnr", "ssim", "cer", "wer")
            },
            "steps": {name: report.steps[name] for name in NORMS if name in report.steps},
        },
        "best_model_saved": best_epoch == report.epoch,
        "patience_counter": waited,
        "epoch_time_seconds": report.seconds,
    }
