"""How near a restored line is to the clean one: PSNR and SSIM, each over the line's own width.

Legend of shapes: B lines, H height, W width, h and w the places where a whole window fits. Images are floats in
[0, 1]. What lies right of a line's own width never counts, whatever it holds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BEST_PSNR = 100.0  # dB; identical images would be infinite and spoil every mean

_RADIUS, _SIGMA = 5, 1.5  # 5 = scikit-image's truncation at 3.5 sigma, rounded
_WEIGHTS = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
_WEIGHTS /= _WEIGHTS.sum()
_C1, _C2 = 0.01**2, 0.03**2
_TOGETHER = 8  # lines; their float64 maps fit a processor's cache, which is twice as fast as 64 lines at once


@torch.no_grad()
def psnr(restored_BHW: Tensor, clean_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each line for a data range of 1, at most BEST_PSNR.

    Shapes: returns (B,) float32. Unit: dB.
    """
    error_BHW = (restored_BHW.double() - clean_BHW.double()).square()
    return (-10 * _own_mean(error_BHW, widths_B).log10()).clamp(max=BEST_PSNR).float()


@torch.no_grad()
def ssim(restored_BHW: Tensor, clean_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Structural similarity of each line: the mean over the windows that lie wholly inside the line.

    Shapes: returns (B,) float32. Height and widths must be at least 11, the side of a window.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", eq. 13.
    Differs: not at all from scikit-image's structural_similarity(data_range=1, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False) on the line cut to its width and taken in float64.
    """
    chunks = zip(
        restored_BHW.split(_TOGETHER),
        clean_BHW.split(_TOGETHER),
        widths_B.split(_TOGETHER),
        strict=True,
    )
    return torch.cat(
        [
            _own_mean(_ssim_map(restored, clean), widths - 2 * _RADIUS)
            for restored, clean, widths in chunks
        ]
    ).float()


def _ssim_map(restored_BHW: Tensor, clean_BHW: Tensor) -> Tensor:
    """Similarity (B, h, w) at every place; in float64, for in float32 E[x^2] - E[x]^2 cancels on flat paper."""
    x, y = restored_BHW.double(), clean_BHW.double()
    mean_x, mean_y = _smooth(x), _smooth(y)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = _smooth(x * y) - product
    variances = _smooth(x.square() + y.square()) - squares
    return (2 * product + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))


def _smooth(x_BHW: Tensor) -> Tensor:
    """Gaussian mean (B, h, w) of each window; a sum of shifted images is faster here than a float64 convolution."""
    for dim in (1, 2):
        places = x_BHW.shape[dim] - 2 * _RADIUS
        smooth = torch.zeros_like(x_BHW.narrow(dim, 0, places))
        for shift, weight in enumerate(_WEIGHTS.tolist()):
            smooth.add_(x_BHW.narrow(dim, shift, places), alpha=weight)
        x_BHW = smooth
    return x_BHW


def _own_mean(x_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Mean (B,) of each line over its first columns; `where`, not a product, so that NaN in the padding stays out."""
    widths_B = widths_B.to(x_BHW.device)
    inside_BW = torch.arange(x_BHW.shape[2], device=x_BHW.device) < widths_B[:, None]
    return torch.where(inside_BW[:, None], x_BHW, 0.0).sum((1, 2)) / (x_BHW.shape[1] * widths_B)
