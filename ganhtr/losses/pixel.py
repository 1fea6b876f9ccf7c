"""Pixel loss. Legend: B batch, H height, W width."""

from __future__ import annotations

import torch


def l1(restored_BHW: torch.Tensor, clean_BHW: torch.Tensor, widths_B: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference (B,) over each line's own width. Both images must agree outside it."""
    return (restored_BHW - clean_BHW).abs().sum(dim=(1, 2)) / (restored_BHW.shape[1] * widths_B)
