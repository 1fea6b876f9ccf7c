"""Losses that the frozen recognizer gives. Legend: B batch, T frames, D features, K classes, L characters."""

from __future__ import annotations

import torch
import torch.nn.functional as F

BLANK = 0


def frame_mask(frames_B: torch.Tensor, frames: int) -> torch.Tensor:
    """Which of `frames` frames lie inside each line's own width: (B, T) bool."""
    return torch.arange(frames, device=frames_B.device)[None, :] < frames_B[:, None]


def feature_distance(
    restored_BTD: torch.Tensor, clean_BTD: torch.Tensor, frames_B: torch.Tensor
) -> torch.Tensor:
    """Mean squared distance (B,) of recognizer features over each line's own frames."""
    inside = frame_mask(frames_B, restored_BTD.shape[1])
    squares = (restored_BTD - clean_BTD).square().mean(dim=2)
    return (squares * inside).sum(dim=1) / frames_B


def ctc(
    logits_BTK: torch.Tensor, frames_B: torch.Tensor, targets: torch.Tensor, lengths_B: torch.Tensor
) -> torch.Tensor:
    """CTC negative log-likelihood in nats a line (B,), blank 0, over each line's own frames.

    `targets` (sum of lengths,) holds all labels one after another. A line that its frames cannot spell gives 0 and no gradient: the
    caller records the share of such lines. Source: Graves et al. 2006.
    """
    log_probs_TBK = logits_BTK.log_softmax(dim=2).transpose(0, 1)
    return F.ctc_loss(
        log_probs_TBK,
        targets,
        frames_B,
        lengths_B,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
