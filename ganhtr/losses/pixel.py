"""Pixel loss. Legend: B lines of a batch, H height, W width."""

from __future__ import annotations

import torch


def l1(restored_BHW: torch.Tensor, clean_BHW: torch.Tensor, widths_B: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference over each line's width. Both images must agree to the right of it.

    Shapes: images (B, H, W), widths (B,) in pixels -> (B,).
    """
    return (restored_BHW - clean_BHW).abs().sum(dim=(1, 2)) / (restored_BHW.shape[1] * widths_B)
