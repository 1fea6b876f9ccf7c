"""Pooling: from a line's frames, or a text's characters, to one vector or to one for each window.

Legend: B batch, T frames or characters (padded), I instances a line, D features.
"""

from __future__ import annotations

import torch
from torch import nn


def window_means(x_BTD: torch.Tensor, lengths_B: torch.Tensor, windows: int) -> torch.Tensor:
    """Means (B, I, D) of `windows` equal stretches of each line's own length; neighbours share a frame where it does not divide.

    A line shorter than that repeats its frames; one of length 0 gives zeros. One window is the plain mean.
    Source: Aberdam et al. 2021 (SeqCLR), section 3.3, window-to-instance mapping.
    """
    place_I = torch.arange(windows, device=x_BTD.device)
    first_BI = lengths_B[:, None] * place_I // windows
    last_BI = -(-(lengths_B[:, None] * (place_I + 1)) // windows)
    t = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    inside_BIT = (t >= first_BI[..., None]) & (t < last_BI[..., None])
    return inside_BIT.to(x_BTD) @ x_BTD / (last_BI - first_BI).clamp(min=1)[..., None]


class WindowPool(nn.Module):
    """`window_means` as a module. Shapes: (B, T, D), (B,) -> (B, windows, D)."""

    def __init__(self, windows: int = 1):
        super().__init__()
        self.windows = windows

    def forward(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        return window_means(x_BTD, lengths_B, self.windows)


class AttentionPool(nn.Module):
    """A mean whose weights are a softmax over a learned query's products with the frames; it starts as the plain mean.

    Shapes: (B, T, D), (B,) -> (B, 1, D).
    """

    def __init__(self, features: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(features))

    def forward(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(x_BTD.shape[1], device=x_BTD.device) < lengths_B[:, None]
        scores = (x_BTD @ self.query) / x_BTD.shape[2] ** 0.5
        weights_BT = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        return weights_BT[:, None] @ x_BTD
