"""Losses from the frozen guide recognizer.

Legend: B lines of a batch, T frames, D features, K classes, S summed length of all transcriptions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganhtr.charset import BLANK


def frame_mask(frames_B: torch.Tensor, frames: int) -> torch.Tensor:
    """Mask (B, T) of the frames inside each line's width; `frames` is T."""
    return torch.arange(frames, device=frames_B.device)[None, :] < frames_B[:, None]


def feature_distance(
    restored_BTD: torch.Tensor, clean_BTD: torch.Tensor, frames_B: torch.Tensor
) -> torch.Tensor:
    """Mean squared distance of recognizer features over each line's frames.

    Shapes: features (B, T, D), frame counts (B,) -> (B,).
    Source: Johnson et al. 2016, feature reconstruction loss. Differs: features of the guide
    recognizer instead of VGG's.
    """
    mask_BT = frame_mask(frames_B, restored_BTD.shape[1])
    squares_BT = (restored_BTD - clean_BTD).square().mean(dim=2)
    return (squares_BT * mask_BT).sum(dim=1) / frames_B


def ctc(
    logits_BTK: torch.Tensor,
    frames_B: torch.Tensor,
    targets_S: torch.Tensor,
    lengths_B: torch.Tensor,
) -> torch.Tensor:
    """CTC negative log-likelihood of the transcription over each line's frames.

    Shapes: logits (B, T, K), frame counts (B,), concatenated labels (S,), their lengths (B,) ->
    (B,).
    Unit: nats per line. A line whose transcription needs more frames than it has gives 0 and no
    gradient; the caller records the share of such lines. Source: Graves et al. 2006.
    """
    log_probs_TBK = logits_BTK.log_softmax(dim=2).transpose(0, 1)
    return F.ctc_loss(
        log_probs_TBK,
        targets_S,
        frames_B,
        lengths_B,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
