"""VICReg between restored and clean frames. Legend: B lines of a batch, T frames, P features, N own frames of all lines."""

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
    """Invariance (B,) of each line's frames, plus variance and covariance of all frames of the batch, which every line shares.

    In a batch of few lines the covariance of line vectors would have almost no rank, so the samples are frames. No temperature.
    Source: Bardes et al. 2022, equations 1 to 6. Differs: the invariance is a mean over the features too, as in the authors' code.
    """
    inside = frame_mask(frames_B, restored_BTP.shape[1])
    squares = (restored_BTP - clean_BTP).square().mean(dim=2)
    invariance = torch.where(inside, squares, 0.0).sum(dim=1) / frames_B
    spread = sum(
        (_spread(side_BTP[inside]) for side_BTP in (restored_BTP, clean_BTP)),
        restored_BTP.new_zeros(()),
    )
    return INVARIANCE * invariance + spread


def _spread(frames_NP: torch.Tensor) -> torch.Tensor:
    """Weighted variance and covariance terms () of one branch; 0 for fewer than two frames, which have neither."""
    count, features = frames_NP.shape
    if count < 2:
        return frames_NP.new_zeros(())
    variance = (1 - (frames_NP.var(dim=0) + EPS).sqrt()).clamp(min=0).mean() / 2
    centred = frames_NP - frames_NP.mean(dim=0)
    covariance_PP = centred.t() @ centred / (count - 1)
    off_diagonal = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
    return VARIANCE * variance + COVARIANCE * off_diagonal / features
