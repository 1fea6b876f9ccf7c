"""InfoNCE. Legend: B lines of a batch, K candidates: the texts of the batch, then further ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def own_of(same_BK: torch.Tensor) -> torch.Tensor:
    """Which candidate is the line's own text: (B, K) bool, the diagonal."""
    return torch.eye(*same_BK.shape, dtype=torch.bool, device=same_BK.device)


def infonce(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (B,) of finding each image's own text among the candidates.

    Source: van den Oord et al. 2018, equation 4. Differs: other candidates of equal transcription are taken out of the denominator, since
    they are no negatives.
    """
    logits = (cosines_BK * scale).masked_fill(same_BK & ~own_of(same_BK), float("-inf"))
    return F.cross_entropy(
        logits, torch.arange(len(logits), device=logits.device), reduction="none"
    )
