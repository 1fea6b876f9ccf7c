"""Pooling: from a line's frames, or a text's characters, to one vector or one per window.

Legend: B lines of a batch, T frames or characters (padded), I windows, D features.
"""

from __future__ import annotations

import torch
from torch import nn


def window_means(x_BTD: torch.Tensor, lengths_B: torch.Tensor, windows: int) -> torch.Tensor:
    """Means of `windows` equal windows of each line.

    Neighbouring windows share a frame where the number of windows does not divide the length. A
    line with fewer frames than windows repeats its frames; a line of length 0 gives zeros.
    Shapes: (B, T, D), lengths (B,) -> (B, I, D).
    Source: Aberdam et al. 2021 (SeqCLR), section 3.3, window-to-instance mapping.
    """
    window_I = torch.arange(windows, device=x_BTD.device)
    # window i covers frames floor(i * length / windows) to ceil((i + 1) * length / windows) - 1
    first_BI = lengths_B[:, None] * window_I // windows
    last_BI = -(-(lengths_B[:, None] * (window_I + 1)) // windows)
    frame_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    inside_BIT = (frame_T >= first_BI[..., None]) & (frame_T < last_BI[..., None])
    return inside_BIT.to(x_BTD) @ x_BTD / (last_BI - first_BI).clamp(min=1)[..., None]


class WindowPool(nn.Module):
    """`window_means` as a module; one window gives the mean.

    Shapes: (B, T, D), lengths (B,) -> (B, I, D).
    """

    def __init__(self, windows: int = 1):
        super().__init__()
        self.windows = windows

    def forward(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        return window_means(x_BTD, lengths_B, self.windows)


class AttentionPool(nn.Module):
    """Attention pooling with one learned query. The query starts at zero, which gives the mean.

    Shapes: (B, T, D), lengths (B,) -> (B, 1, D).
    """

    def __init__(self, features: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(features))

    def forward(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        inside_BT = torch.arange(x_BTD.shape[1], device=x_BTD.device) < lengths_B[:, None]
        scores_BT = (x_BTD @ self.query) / x_BTD.shape[2] ** 0.5
        weights_BT = scores_BT.masked_fill(~inside_BT, float("-inf")).softmax(dim=1)
        return weights_BT[:, None] @ x_BTD
