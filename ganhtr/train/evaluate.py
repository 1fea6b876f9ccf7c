"""Evaluation of restored lines.

PSNR and SSIM compare them with the clean lines; CER and WER compare what guide and judge read with
the transcriptions.

Legend: B lines of a batch, N lines of a split, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ganhtr.data.batches import Batch, LineBatches, chunks
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.image import psnr, ssim
from ganhtr.metrics.text import TextErrors, greedy_decode, infeasible, text_errors
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.view import restore

EVALUATION_BATCH = 16  # lines; small enough for a CPU's cache
Restorer = Callable[[Batch], torch.Tensor]  # batch -> images (B, 1, H, W)


@dataclass(frozen=True)
class Evaluation:
    """Metrics of every line of a split. Shapes: psnr, ssim, ctc (N,); infeasible (N,) bool."""

    psnr: np.ndarray  # dB
    ssim: np.ndarray
    ctc: np.ndarray  # the guide's loss in nats per line; 0 where infeasible
    infeasible: np.ndarray  # whether the transcription needs more frames than the line has
    guide: TextErrors
    judge: TextErrors

    def metrics(self) -> dict[str, float]:
        """Metrics of the whole split.

        Units: PSNR in dB; CER, WER and `infeasible` as fractions (CER and WER of all lines
        together); CTC in nats per feasible line.
        """
        return {
            "psnr": float(self.psnr.mean()),
            "ssim": float(self.ssim.mean()),
            "cer": self.guide.cer,
            "wer": self.guide.wer,
            "judge_cer": self.judge.cer,
            "judge_wer": self.judge.wer,
            "ctc": float(self.ctc.sum() / max(1, (~self.infeasible).sum())),
            "infeasible": float(self.infeasible.mean()),
        }


@torch.no_grad()
def evaluate(
    restorer: Restorer, lines: LineBatches, guide: LineRecognizer, judge: LineRecognizer
) -> Evaluation:
    """Restore and measure every line of a split."""
    values: dict[str, list[torch.Tensor]] = {"psnr": [], "ssim": [], "ctc": [], "frames": []}
    readings: dict[str, list[str]] = {"guide": [], "judge": []}
    for indices in chunks(len(lines), EVALUATION_BATCH):
        batch = lines.take(indices)
        restored = restorer(batch)
        values["psnr"].append(psnr(restored[:, 0], batch.clean[:, 0], batch.widths))
        values["ssim"].append(ssim(restored[:, 0], batch.clean[:, 0], batch.widths))
        frames = batch.frames(guide.stride)
        logits = guide(restored)[1]
        values["ctc"].append(ctc(logits, frames, batch.targets, batch.target_lengths))
        values["frames"].append(frames)
        readings["guide"] += greedy_decode(logits, frames, lines.charset)
        judge_frames = batch.frames(judge.stride)
        readings["judge"] += greedy_decode(judge(restored)[1], judge_frames, lines.charset)
    arrays = {name: torch.cat(parts).cpu().numpy() for name, parts in values.items()}
    errors = {name: text_errors(lines.lines.transcripts, texts) for name, texts in readings.items()}
    return Evaluation(
        arrays["psnr"],
        arrays["ssim"],
        arrays["ctc"],
        infeasible(lines.targets, arrays["frames"]),
        **errors,
    )


def by_generator(generator: nn.Module) -> Restorer:
    """Return the restorer that applies a generator, which is set to eval mode."""
    generator.eval()
    return lambda batch: restore(generator, batch.degraded, batch.inside)


def by_sauvola(batch: Batch) -> torch.Tensor:
    """Binarise the degraded lines with Sauvola's adaptive threshold, the classical baseline.

    Uses scikit-image with a window of half the line height, k = 0.2, R = 0.5.
    Source: Sauvola and Pietikäinen 2000.
    """
    from skimage.filters import threshold_sauvola

    window = max(3, batch.degraded.shape[2] // 2 | 1)
    images = [
        np.where(image > threshold_sauvola(image, window_size=window, k=0.2, r=0.5), 1.0, 0.0)
        for image in batch.degraded[:, 0].cpu().numpy()
    ]
    black_white = torch.from_numpy(np.stack(images)).float().to(batch.degraded.device)[:, None]
    return torch.where(batch.inside, black_white, 1.0)


REFERENCES: dict[str, Restorer] = {
    "degraded": lambda batch: batch.degraded,
    "sauvola": by_sauvola,
    "clean": lambda batch: batch.clean,  # the best that the recognizers can achieve
}


def reference_metrics(
    lines: LineBatches, guide: LineRecognizer, judge: LineRecognizer
) -> dict[str, dict[str, float]]:
    """Return the metrics of the degraded lines, of Sauvola's threshold and of the clean lines."""
    return {
        name: evaluate(restorer, lines, guide, judge).metrics()
        for name, restorer in REFERENCES.items()
    }
