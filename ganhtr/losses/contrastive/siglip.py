"""SigLIP's loss: a yes or no for every pair. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganhtr.losses.contrastive.infonce import own_of


def siglip(
    cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Sum (B,) over the candidates of the logistic loss of telling whether each is the line's own text; scale and bias are learned.

    Source: Zhai et al. 2023, "Sigmoid loss for language image pre-training". Differs: lines of equal transcription are left out; the
    matcher starts the bias at -ln(K - 1), the log odds of a random pair among K candidates, instead of at -10, which suits huge batches.
    """
    own = own_of(same_BK)
    logits = cosines_BK * scale + bias
    losses = F.softplus(torch.where(own, -logits, logits))
    return losses.masked_fill(same_BK & ~own, 0.0).sum(dim=1)
