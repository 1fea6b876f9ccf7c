"""Triplet loss on cosines. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import own_of


def triplet(
    cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor, margin: float, mining: str
) -> torch.Tensor:
    """By how much (B,) the own text fails to be nearer than one negative by the margin; distance is 1 - cosine. No temperature.

    The negative is the nearest one (`hardest`), or the nearest of those that are farther than the own text but within the margin
    (`semi_hard`); where that is none, as often in small batches, the nearest of all. A line without negatives gives 0.
    Source: Schroff et al. 2015 (FaceNet), equations 1 and 4. Differs: cosines; negatives are the candidates of other transcriptions.
    """
    own_B = cosines_BK[own_of(same_BK)]
    negatives = cosines_BK.masked_fill(same_BK, float("-inf"))
    chosen_B = negatives.amax(dim=1)
    if mining == "semi_hard":
        gap = own_B[:, None] - negatives
        semi_hard_B = negatives.masked_fill((gap <= 0) | (gap >= margin), float("-inf")).amax(dim=1)
        chosen_B = torch.where(semi_hard_B.isinf(), chosen_B, semi_hard_B)
    return torch.where(same_BK.all(dim=1), 0.0, (chosen_B - own_B + margin).clamp(min=0))
