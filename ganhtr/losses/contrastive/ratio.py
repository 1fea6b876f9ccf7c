"""Contrastive regularisation. Legend: B lines of a batch, T frames, P features."""

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
    """Distance to the clean line over distance to the degraded one (B,), in features of the frozen recognizer.

    No temperature, and no line looks at another. Mean absolute differences over each line's own frames.
    Source: Wu et al. 2021 (AECR-Net), contrastive regularization, for one feature level; the caller weighs the levels. Differs: the
    recognizer's features in the place of VGG's.
    """
    assert degraded_BTP is not None
    inside = frame_mask(frames_B, restored_BTP.shape[1])

    def distance(other_BTP: torch.Tensor) -> torch.Tensor:
        return ((restored_BTP - other_BTP).abs().mean(dim=2) * inside).sum(dim=1) / frames_B

    return distance(clean_BTP) / (distance(degraded_BTP) + EPS)
