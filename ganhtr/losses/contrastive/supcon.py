"""Supervised contrastive loss: every candidate of equal transcription is a positive. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch


def supcon(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Mean (B,) over a line's positives of the cross-entropy of finding each among all candidates.

    Source: Khosla et al. 2020, equation 2 (L_out). Differs: anchors are images and candidates texts, so that none is its own candidate.
    """
    log_shares = (cosines_BK * scale).log_softmax(dim=1)
    return -(log_shares * same_BK).sum(dim=1) / same_BK.sum(dim=1)
