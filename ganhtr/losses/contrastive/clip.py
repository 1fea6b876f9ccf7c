"""CLIP's loss: symmetric InfoNCE with a learned scale. Legend: B lines of a batch; rows are images, columns are texts."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import infonce_symmetric


def clip(cosines_BB: torch.Tensor, same_BB: torch.Tensor, inverse_temperature: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE (B,). The scale is learned; the matcher holds it at 100 at most.

    Source: Radford et al. 2021, section 2.5. Differs: lines of equal transcription, as in `infonce`.
    """
    return infonce_symmetric(cosines_BB, same_BB, inverse_temperature)
