"""SigLIP's loss: a binary decision for every pair. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganhtr.losses.contrastive.infonce import own_text_mask


def siglip(
    cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Sum over the candidates of the logistic loss of deciding whether each is the line's text.

    Shapes: cosines (B, K), same transcription (B, K) bool, scale () and bias () -> (B,).
    Source: Zhai et al. 2023, "Sigmoid loss for language image pre-training". Differs: other
    candidates of the same transcription are left out; the caller's bias starts at -ln(K - 1), the
    log odds of a random pair among K candidates, instead of at -10, which suits huge batches.
    """
    own_BK = own_text_mask(same_BK)
    logits_BK = cosines_BK * scale + bias
    losses_BK = F.softplus(torch.where(own_BK, -logits_BK, logits_BK))
    return losses_BK.masked_fill(same_BK & ~own_BK, 0.0).sum(dim=1)
