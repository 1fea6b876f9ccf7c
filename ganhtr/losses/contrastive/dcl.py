"""Decoupled contrastive loss. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import own_of


def dcl(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """InfoNCE (B,) whose denominator holds the negatives alone, so that an easy positive does not weaken their gradient.

    It has no lower bound at 0. A line without any negative gives 0.
    Source: Yeh et al. 2022, "Decoupled contrastive learning". Differs: lines of equal transcription are no negatives, as in `infonce`.
    """
    own = own_of(same_BK)
    alone_B1 = same_BK.all(dim=1, keepdim=True)
    logits = cosines_BK * scale
    negatives = logits.masked_fill(same_BK & ~alone_B1, float("-inf")).logsumexp(dim=1)
    return torch.where(alone_B1[:, 0], 0.0, negatives - logits[own])
