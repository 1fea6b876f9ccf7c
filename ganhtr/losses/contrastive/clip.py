"""CLIP's loss: symmetric InfoNCE with a learned scale. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import infonce
from ganhtr.losses.contrastive.symmetry import both_ways


def clip(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE (B,). The scale is learned; the matcher holds it at 100 at most.

    Source: Radford et al. 2021, section 2.5. Differs: lines of equal transcription, as in `infonce`.
    """
    return both_ways(infonce)(cosines_BK, same_BK, scale)
