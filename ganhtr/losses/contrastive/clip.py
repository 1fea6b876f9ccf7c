"""CLIP's loss: symmetric InfoNCE with a learned scale. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import infonce
from ganhtr.losses.contrastive.symmetry import symmetric


def clip(cosines_BK: torch.Tensor, same_BK: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE. The scale is learned; the matcher limits it to 100.

    Shapes: cosines (B, K), same transcription (B, K) bool, scale () -> (B,).
    Source: Radford et al. 2021, section 2.5. Differs: equal transcriptions as in `infonce`.
    """
    return symmetric(infonce)(cosines_BK, same_BK, scale)
