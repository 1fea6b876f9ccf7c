"""PSNR and SSIM against scikit-image on each line cut to its own width."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ganhtr.metrics.image import BEST_PSNR, psnr, ssim

WIDEST = 256


def oracle_ssim(restored, clean):
    return structural_similarity(
        clean.astype(np.float64),
        restored.astype(np.float64),
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def batch(kind, lines=8, height=32, seed=0):
    """Restored and clean lines with widths from 16 to 256, as float32 arrays."""
    rng = np.random.default_rng(seed)
    widths = np.concatenate([[16, WIDEST], rng.integers(16, WIDEST + 1, lines - 2)])
    clean = rng.random((lines, height, WIDEST), dtype=np.float32)
    noise = rng.standard_normal(clean.shape).astype(np.float32)
    if kind == "unlike":
        restored = rng.random(clean.shape, dtype=np.float32)
    elif kind == "noisy":
        restored = clean + 0.1 * noise
    elif kind == "near":
        restored = clean + 1e-4 * noise
    elif (
        kind == "flat"
    ):  # paper with hardly any grain: in float32 the variances would be rounding alone
        levels = np.linspace(0.05, 1, lines, dtype=np.float32)[:, None, None]
        clean, restored = levels + 1e-5 * noise, levels + 3e-5 * noise[::-1]
    else:  # a flat line against another flat one
        clean, restored = np.full_like(clean, 0.7), np.full_like(clean, 0.9)
    return (
        np.clip(restored, 0, 1).astype(np.float32),
        np.clip(clean, 0, 1).astype(np.float32),
        widths,
    )


def measured(metric, restored, clean, widths):
    return metric(
        torch.from_numpy(restored), torch.from_numpy(clean), torch.from_numpy(widths)
    ).numpy()


@pytest.mark.parametrize("height", [16, 33])
@pytest.mark.parametrize("kind", ["unlike", "noisy", "near", "flat", "level"])
def test_metrics_equal_scikit_image_on_the_cut_line(kind, height):
    restored, clean, widths = batch(kind, height=height)
    pairs = [(r[:, :w], c[:, :w]) for r, c, w in zip(restored, clean, widths, strict=True)]
    np.testing.assert_allclose(
        measured(ssim, restored, clean, widths), [oracle_ssim(*p) for p in pairs], atol=1e-6
    )
    expected = [
        peak_signal_noise_ratio(c.astype(np.float64), r.astype(np.float64), data_range=1)
        for r, c in pairs
    ]
    np.testing.assert_allclose(
        measured(psnr, restored, clean, widths), np.minimum(expected, BEST_PSNR), rtol=1e-6
    )


def test_ssim_tells_a_column_at_the_own_width_from_one_beyond():
    restored, clean, widths = batch("noisy", lines=2)
    widths[:] = 100
    before = measured(ssim, restored, clean, widths)
    restored[0, :, 99], restored[1, :, 100] = 0, 0
    after = measured(ssim, restored, clean, widths)
    assert after[0] < before[0] - 1e-5  # the outermost weight of a window is 0.001
    assert after[1] == before[1]


def test_identical_lines_count_100_db_and_nothing_exceeds_it():
    _, clean, widths = batch("noisy")
    assert (measured(psnr, clean, clean, widths) == 100).all()
    assert np.allclose(measured(ssim, clean, clean, widths), 1, atol=1e-7)
    assert (measured(psnr, np.nextafter(clean, np.float32(0)), clean, widths) == 100).all()


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("padding", [0.0, 1.0, np.nan])
def test_padding_is_irrelevant(metric, padding):
    restored, clean, widths = batch("noisy")
    before = measured(metric, restored, clean, widths)
    for image, width in zip(restored, widths, strict=True):
        image[:, width:] = padding
    assert (measured(metric, restored, clean, widths) == before).all()


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_a_broken_pixel_inside_the_line_is_not_hidden(metric):
    restored, clean, widths = batch("noisy")
    restored[3, 20, 5] = np.nan
    result = measured(metric, restored, clean, widths)
    assert np.flatnonzero(np.isnan(result)).tolist() == [3]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_a_line_is_measured_alike_alone_and_in_any_batch(metric):
    restored, clean, widths = batch("noisy", lines=19)
    together = measured(metric, restored, clean, widths)
    assert together.shape == (19,) and together.dtype == np.float32
    alone = [
        measured(metric, restored[i : i + 1], clean[i : i + 1], widths[i : i + 1])[0]
        for i in range(19)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
