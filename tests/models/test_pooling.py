"""Pooling: means of windows and learned attention over each line's own frames."""

import math

import pytest
import torch

from ganhtr.models.pooling import AttentionPool, WindowPool, window_means

FRAMES = torch.tensor([7, 3, 1, 0])


@pytest.fixture
def x():
    return torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("windows", [1, 2, 3, 5, 9])
def test_windows_are_those_of_a_naive_loop(x, windows):
    means = window_means(x, FRAMES, windows)
    assert means.shape == (4, windows, 3)
    for i, frames in enumerate(FRAMES.tolist()):
        for k in range(windows):
            window = x[i, math.floor(k * frames / windows) : math.ceil((k + 1) * frames / windows)]
            assert torch.allclose(
                means[i, k], window.mean(dim=0) if frames else torch.zeros(3), atol=1e-6
            )


def test_windows_together_see_every_frame_and_none_beyond(x):
    x.requires_grad_()
    WindowPool(3)(x, FRAMES).sum().backward()
    assert (x.grad.abs().sum(dim=2) > 0).tolist() == [
        [t < frames for t in range(7)] for frames in FRAMES
    ]


def test_attention_starts_as_the_mean_and_then_weighs(x):
    pool, frames = AttentionPool(3), FRAMES.clamp(min=1)
    assert torch.allclose(pool(x, frames), window_means(x, frames, 1), atol=1e-6)
    with torch.no_grad():
        pool.query.copy_(torch.tensor([2.0, -1.0, 0.5]))
    pooled = pool(x, frames)
    for i, count in enumerate(frames.tolist()):
        weights = [
            math.exp(float(x[i, t] @ pool.query.detach()) / math.sqrt(3)) for t in range(count)
        ]
        expected = sum(w * x[i, t] for t, w in enumerate(weights)) / sum(weights)
        assert torch.allclose(pooled[i, 0], expected, atol=1e-5)
    pooled.square().sum().backward()
    assert pool.query.grad.any() and pooled.shape == (4, 1, 3)
