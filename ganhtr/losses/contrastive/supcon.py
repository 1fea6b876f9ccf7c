"""Supervised contrastive loss. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch


def supcon(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Mean over the positives of the cross-entropy of finding each among all candidates.

    Every candidate of the same transcription is a positive.
    Shapes: cosines (B, K), same transcription (B, K) bool, scale () -> (B,).
    Source: Khosla et al. 2020, equation 2 (L_out). Differs: anchors are images and candidates are
    texts, so no anchor is its own candidate.
    """
    log_probs_BK = (cosines_BK * scale).log_softmax(dim=1)
    return -(log_probs_BK * same_BK).sum(dim=1) / same_BK.sum(dim=1)
