"""PSNR and SSIM of restored lines, each over the width of the line.

Images are floats in [0, 1]. Pixels to the right of a line's width are ignored.

Legend: B lines, H height, W width, h and w positions where a whole window fits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BEST_PSNR = 100.0  # dB; identical images would have infinity, and every mean with them

_RADIUS, _SIGMA = 5, 1.5  # 5 = scikit-image's truncation at 3.5 sigma, rounded
_WEIGHTS = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
_WEIGHTS /= _WEIGHTS.sum()
_C1, _C2 = 0.01**2, 0.03**2
_TOGETHER = 8  # lines; their float64 maps fit a CPU's cache, twice as fast as 64 lines


@torch.no_grad()
def psnr(restored_BHW: Tensor, clean_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Peak signal-to-noise ratio for a data range of 1, at most BEST_PSNR.

    Shapes: images (B, H, W), widths (B,) -> (B,) float32. Unit: dB.
    """
    error_BHW = (restored_BHW.double() - clean_BHW.double()).square()
    return (-10 * _line_mean(error_BHW, widths_B).log10()).clamp(max=BEST_PSNR).float()


@torch.no_grad()
def ssim(restored_BHW: Tensor, clean_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Structural similarity, the mean over the windows that lie inside the line.

    Equals scikit-image's `structural_similarity(data_range=1, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)` on the line cropped to its width, in float64.
    Shapes: images (B, H, W), widths (B,) -> (B,) float32. H and widths are at least 11, the window
    size.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity", eq. 13. Differs: windows that cross the border of the line are left out.
    """
    chunks = zip(
        restored_BHW.split(_TOGETHER),
        clean_BHW.split(_TOGETHER),
        widths_B.split(_TOGETHER),
        strict=True,
    )
    means = [
        _line_mean(_ssim_map(restored, clean), widths - 2 * _RADIUS)
        for restored, clean, widths in chunks
    ]
    return torch.cat(means).float()


def _ssim_map(restored_BHW: Tensor, clean_BHW: Tensor) -> Tensor:
    """Similarity (B, h, w) at every position.

    In float64, because in float32 the digits of E[x^2] - E[x]^2 cancel on blank paper.
    """
    x, y = restored_BHW.double(), clean_BHW.double()
    mean_x, mean_y = _smooth(x), _smooth(y)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = _smooth(x * y) - product
    variances = _smooth(x.square() + y.square()) - squares
    return (2 * product + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))


def _smooth(x_BHW: Tensor) -> Tensor:
    """Gaussian mean (B, h, w) of each window; faster than a float64 convolution on a CPU."""
    for dim in (1, 2):
        places = x_BHW.shape[dim] - 2 * _RADIUS
        smooth = torch.zeros_like(x_BHW.narrow(dim, 0, places))
        for shift, weight in enumerate(_WEIGHTS.tolist()):
            smooth.add_(x_BHW.narrow(dim, shift, places), alpha=weight)
        x_BHW = smooth
    return x_BHW


def _line_mean(x_BHW: Tensor, widths_B: Tensor) -> Tensor:
    """Mean (B,) over the width of each line. `where`, not a product, so that NaN is ignored."""
    widths_B = widths_B.to(x_BHW.device)
    inside_BW = torch.arange(x_BHW.shape[2], device=x_BHW.device) < widths_B[:, None]
    return torch.where(inside_BW[:, None], x_BHW, 0.0).sum((1, 2)) / (x_BHW.shape[1] * widths_B)
