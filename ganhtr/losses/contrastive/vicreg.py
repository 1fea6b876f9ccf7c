"""VICReg between restored and clean frames.

Legend: B lines of a batch, T frames, P features, N frames of all lines without padding.
"""

from __future__ import annotations

import torch

from ganhtr.losses.recognition import frame_mask

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # the paper's weights
EPS = 1e-4


def vicreg(
    restored_BTP: torch.Tensor,
    clean_BTP: torch.Tensor,
    degraded_BTP: torch.Tensor | None,
    frames_B: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Invariance of each line's frames, plus variance and covariance of all frames of the batch.

    Every line gets the same variance and covariance terms. The samples are frames, because the
    covariance of the few line vectors of a batch would have almost no rank. No temperature.
    Shapes: projected frames (B, T, P), frame counts (B,), scale (unused) -> (B,).
    Source: Bardes et al. 2022, equations 1 to 6. Differs: the invariance is a mean over the
    features too, as in the authors' code.
    """
    mask_BT = frame_mask(frames_B, restored_BTP.shape[1])
    squares_BT = (restored_BTP - clean_BTP).square().mean(dim=2)
    invariance_B = torch.where(mask_BT, squares_BT, 0.0).sum(dim=1) / frames_B
    spread = _spread(restored_BTP[mask_BT]) + _spread(clean_BTP[mask_BT])
    return INVARIANCE * invariance_B + spread


def _spread(frames_NP: torch.Tensor) -> torch.Tensor:
    """Weighted variance and covariance terms () of one branch; 0 for fewer than two frames."""
    count, features = frames_NP.shape
    if count < 2:
        return frames_NP.new_zeros(())
    variance = (1 - (frames_NP.var(dim=0) + EPS).sqrt()).clamp(min=0).mean() / 2
    centred_NP = frames_NP - frames_NP.mean(dim=0)
    covariance_PP = centred_NP.t() @ centred_NP / (count - 1)
    off_diagonal = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
    return VARIANCE * variance + COVARIANCE * off_diagonal / features
