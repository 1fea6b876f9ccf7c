"""InfoNCE. Legend: B lines of a batch, K candidates: the texts of the batch, then further ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def own_text_mask(same_BK: torch.Tensor) -> torch.Tensor:
    """Mask (B, K) of the diagonal: candidate b is the text of line b."""
    return torch.eye(*same_BK.shape, dtype=torch.bool, device=same_BK.device)


def infonce(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of finding the text of each image among the candidates.

    Shapes: cosines (B, K), same transcription (B, K) bool, scale (1/temperature) () -> (B,).
    Source: van den Oord et al. 2018, equation 4. Differs: other candidates of the same
    transcription are not negatives and are left out of the denominator.
    """
    duplicates_BK = same_BK & ~own_text_mask(same_BK)
    logits_BK = (cosines_BK * scale).masked_fill(duplicates_BK, float("-inf"))
    own_text_B = torch.arange(len(logits_BK), device=logits_BK.device)
    return F.cross_entropy(logits_BK, own_text_B, reduction="none")
