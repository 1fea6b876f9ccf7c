"""InfoNCE. Legend: B lines of a batch; rows are images, columns are texts."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def without_duplicates(logits_BB: torch.Tensor, same_BB: torch.Tensor) -> torch.Tensor:
    """The logits with other lines of equal transcription taken out of the denominator: they are not negatives."""
    own = torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
    return logits_BB.masked_fill(same_BB & ~own, float("-inf"))


def infonce(cosines_BB: torch.Tensor, same_BB: torch.Tensor, inverse_temperature: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (B,) of finding each image's own text among the texts of the batch.

    Source: van den Oord et al. 2018, equation 4. Differs: lines of equal transcription are no negatives of each other.
    """
    logits = without_duplicates(cosines_BB * inverse_temperature, same_BB)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device), reduction="none")


def infonce_symmetric(cosines_BB: torch.Tensor, same_BB: torch.Tensor, inverse_temperature: torch.Tensor) -> torch.Tensor:
    """The mean (B,) of image-to-text and text-to-image InfoNCE."""
    forth = infonce(cosines_BB, same_BB, inverse_temperature)
    back = infonce(cosines_BB.t(), same_BB, inverse_temperature)
    return (forth + back) / 2
