"""CLIP's loss: symmetric InfoNCE with a learned, bounded scale. Legend: B lines of a batch."""

from __future__ import annotations

from typing import Any

import torch

from ganhtr.losses.contrastive.infonce import infonce_symmetric

LARGEST_SCALE = 100.0


class _Bounded(torch.autograd.Function):
    """A clamp from above that a value past the bound can leave again: only the gradient that would push it further is dropped.

    A plain clamp has no gradient there, so a learned scale that once passed the bound would stay for ever.
    """

    @staticmethod
    def forward(ctx: Any, scale: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(scale)
        return scale.clamp(max=LARGEST_SCALE)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (scale,) = ctx.saved_tensors
        return torch.where(scale > LARGEST_SCALE, gradient.clamp(min=0), gradient)


def clip(cosines_BB: torch.Tensor, same_BB: torch.Tensor, inverse_temperature: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE (B,) whose scale never passes 100.

    Source: Radford et al. 2021, section 2.5. Differs: lines of equal transcription, as in `infonce`.
    """
    return infonce_symmetric(cosines_BB, same_BB, _Bounded.apply(inverse_temperature))
