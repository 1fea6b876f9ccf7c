"""Compares every image of a batch with every text: text encoder, projection heads and temperature in one place.

Legend: B batch, T frames, D features, L characters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

LARGEST_SCALE = 100.0  # of the cosines


class Matcher(nn.Module):
    """Cosine similarity of projected image features and projected text features.

    Shapes: tap (B, T, D) averaged over each line's own frames, text (B, L), lengths (B,) -> cosines (B, B), rows images.
    `inverse_temperature` is 1/temperature, learned as its logarithm when asked for.
    """

    def __init__(self, text_encoder: nn.Module, image_head: nn.Module, text_head: nn.Module, temperature: float, learned: bool):
        super().__init__()
        self.text_encoder, self.image_head, self.text_head = text_encoder, image_head, text_head
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learned)

    @torch.no_grad()
    def bound_scale(self) -> None:
        """Brings a learned scale that an update took past LARGEST_SCALE back to it, as CLIP does (Radford et al. 2021, section 2.5)."""
        self.log_scale.clamp_(max=math.log(LARGEST_SCALE))

    @property
    def inverse_temperature(self) -> torch.Tensor:
        return self.log_scale.exp()

    def forward(self, tap_BTD: torch.Tensor, frames_B: torch.Tensor, text_BL: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(tap_BTD.shape[1], device=tap_BTD.device)[None, :] < frames_B[:, None]
        pooled_BD = (tap_BTD * inside[..., None]).sum(dim=1) / frames_B[:, None]
        image = F.normalize(self.image_head(pooled_BD), dim=1)
        text = F.normalize(self.text_head(self.text_encoder(text_BL, lengths_B)), dim=1)
        return image @ text.t()
