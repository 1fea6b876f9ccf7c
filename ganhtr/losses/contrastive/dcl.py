"""Decoupled contrastive loss. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import own_text_mask


def dcl(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """InfoNCE without the positive in the denominator, so an easy one does not weaken gradients.

    The loss has no lower bound at 0. A line without negatives gives 0.
    Shapes: cosines (B, K), same transcription (B, K) bool, scale () -> (B,).
    Source: Yeh et al. 2022, "Decoupled contrastive learning". Differs: candidates of the same
    transcription are not negatives, as in `infonce`.
    """
    no_negatives_B1 = same_BK.all(dim=1, keepdim=True)
    logits_BK = cosines_BK * scale
    # a row without negatives keeps its logits, or its log-sum-exp would be -inf with NaN gradients
    excluded_BK = same_BK & ~no_negatives_B1
    negatives_B = logits_BK.masked_fill(excluded_BK, float("-inf")).logsumexp(dim=1)
    losses_B = negatives_B - logits_BK[own_text_mask(same_BK)]
    return torch.where(no_negatives_B1[:, 0], 0.0, losses_B)
