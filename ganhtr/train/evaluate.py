"""Measures restored lines: PSNR and SSIM against the clean line, readings of guide and judge against the transcription.

Legend: B batch, N lines, H height, W width.
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
from ganhtr.train.step import restore

EVALUATION_BATCH = 16  # lines; small enough to stay in a CPU's cache
Restorer = Callable[[Batch], torch.Tensor]  # a batch -> images (B, 1, H, W)


@dataclass(frozen=True)
class Evaluation:
    """Per-line values of one split, each line once. Shapes: psnr, ssim, ctc (N,); infeasible (N,) bool."""

    psnr: np.ndarray
    ssim: np.ndarray
    ctc: np.ndarray  # nats a line, by the guide; 0 where infeasible
    infeasible: np.ndarray
    guide: TextErrors
    judge: TextErrors

    def metrics(self) -> dict[str, float]:
        """The split's figures. CER and WER are corpus level; dB, fractions, nats a line (mean over the feasible ones)."""
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
    """Every line of a split, restored and measured once."""
    values: dict[str, list[torch.Tensor]] = {"psnr": [], "ssim": [], "ctc": [], "frames": []}
    read: dict[str, list[str]] = {"guide": [], "judge": []}
    for indices in chunks(len(lines), EVALUATION_BATCH):
        batch = lines.take(indices)
        restored = restorer(batch)
        values["psnr"].append(psnr(restored[:, 0], batch.clean[:, 0], batch.widths))
        values["ssim"].append(ssim(restored[:, 0], batch.clean[:, 0], batch.widths))
        frames = batch.frames(guide.stride)
        logits = guide(restored)[1]
        values["ctc"].append(ctc(logits, frames, batch.targets, batch.target_lengths))
        values["frames"].append(frames)
        read["guide"] += greedy_decode(logits, frames, lines.charset)
        read["judge"] += greedy_decode(
            judge(restored)[1], batch.frames(judge.stride), lines.charset
        )
    arrays = {name: torch.cat(parts).cpu().numpy() for name, parts in values.items()}
    errors = {
        name: text_errors(lines.lines.transcripts, readings) for name, readings in read.items()
    }
    return Evaluation(
        arrays["psnr"],
        arrays["ssim"],
        arrays["ctc"],
        infeasible(lines.targets, arrays["frames"]),
        **errors,
    )


def by_generator(generator: nn.Module) -> Restorer:
    """The restorer that a trained generator is, in eval mode."""
    generator.eval()
    return lambda batch: restore(generator, batch.degraded, batch.inside)


def by_nothing(batch: Batch) -> torch.Tensor:
    """The degraded line as it is."""
    return batch.degraded


def by_the_original(batch: Batch) -> torch.Tensor:
    """The clean line itself: the upper bound of what the recognizers can do."""
    return batch.clean


def by_sauvola(batch: Batch) -> torch.Tensor:
    """Sauvola's adaptive threshold (scikit-image; window about a line's x-height, k = 0.2, R = 0.5), the classical way to clean a page."""
    from skimage.filters import threshold_sauvola

    window = max(3, batch.degraded.shape[2] // 2 | 1)
    images = [
        np.where(image > threshold_sauvola(image, window_size=window, k=0.2, r=0.5), 1.0, 0.0)
        for image in batch.degraded[:, 0].cpu().numpy()
    ]
    black_white = torch.from_numpy(np.stack(images)).float().to(batch.degraded.device)[:, None]
    return torch.where(batch.inside, black_white, 1.0)


REFERENCES: dict[str, Restorer] = {
    "degraded": by_nothing,
    "sauvola": by_sauvola,
    "clean": by_the_original,
}


def reference_metrics(
    lines: LineBatches, guide: LineRecognizer, judge: LineRecognizer
) -> dict[str, dict[str, float]]:
    """The figures of the lines left as they are, of Sauvola's threshold, and of the clean lines, measured as a trial's are."""
    return {
        name: evaluate(restorer, lines, guide, judge).metrics()
        for name, restorer in REFERENCES.items()
    }
