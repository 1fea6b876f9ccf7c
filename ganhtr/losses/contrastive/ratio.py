"""Contrastive regularization. Legend: B lines of a batch, T frames, P features."""

from __future__ import annotations

import torch

from ganhtr.losses.recognition import frame_mask

EPS = 1e-7


def ratio(
    restored_BTP: torch.Tensor,
    clean_BTP: torch.Tensor,
    degraded_BTP: torch.Tensor | None,
    frames_B: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Distance to the clean line over distance to the degraded line, in recognizer features.

    Distances are mean absolute differences over the frames of a line. There is no temperature, and
    lines are not compared with each other.
    Shapes: features (B, T, P), frame counts (B,), scale (unused) -> (B,).
    Source: Wu et al. 2021 (AECR-Net), contrastive regularization, for one feature level; the caller
    weights the levels. Differs: features of the guide recognizer instead of VGG's.
    """
    assert degraded_BTP is not None
    mask_BT = frame_mask(frames_B, restored_BTP.shape[1])

    def distance(other_BTP: torch.Tensor) -> torch.Tensor:
        return ((restored_BTP - other_BTP).abs().mean(dim=2) * mask_BT).sum(dim=1) / frames_B

    return distance(clean_BTP) / (distance(degraded_BTP) + EPS)
