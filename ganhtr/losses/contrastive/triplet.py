"""Triplet loss on cosines. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import own_text_mask


def triplet(
    cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor, margin: float, mining: str
) -> torch.Tensor:
    """Hinge loss: the line's text must be nearer than one negative by the margin. No temperature.

    The distance is 1 - cosine. The negative is the nearest one (`hardest`), or the nearest of those
    that are farther than the line's text but within the margin (`semi_hard`). Small batches often
    have no such negative; then the nearest of all is taken. A line without negatives gives 0.
    Shapes: cosines (B, K), same transcription (B, K) bool, scale (unused) -> (B,).
    Source: Schroff et al. 2015 (FaceNet), equations 1 and 4. Differs: cosines; negatives are the
    candidates of other transcriptions.
    """
    own_B = cosines_BK[own_text_mask(same_BK)]
    negatives_BK = cosines_BK.masked_fill(same_BK, float("-inf"))
    chosen_B = negatives_BK.amax(dim=1)
    if mining == "semi_hard":
        gap_BK = own_B[:, None] - negatives_BK
        outside_BK = (gap_BK <= 0) | (gap_BK >= margin)
        semi_hard_B = negatives_BK.masked_fill(outside_BK, float("-inf")).amax(dim=1)
        chosen_B = torch.where(semi_hard_B.isinf(), chosen_B, semi_hard_B)
    return torch.where(same_BK.all(dim=1), 0.0, (chosen_B - own_B + margin).clamp(min=0))
