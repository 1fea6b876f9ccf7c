"""CLIP's loss: symmetric InfoNCE with a learned, bounded scale. Legend: B lines of a batch."""

from __future__ import annotations

import torch

from ganhtr.losses.contrastive.infonce import infonce_symmetric

LARGEST_SCALE = 100.0


def clip(cosines_BB: torch.Tensor, same_BB: torch.Tensor, inverse_temperature: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE (B,) whose scale never passes 100.

    Source: Radford et al. 2021, section 2.5. Differs: lines of equal transcription, as in `infonce`.
    """
    return infonce_symmetric(cosines_BB, same_BB, inverse_temperature.clamp(max=LARGEST_SCALE))
