"""The pixel loss against a loop over every pixel of a line's own width."""

import pytest
import torch

from ganhtr.losses.pixel import l1

WIDTHS = torch.tensor([6, 1, 4])


@pytest.fixture
def images():
    """Restored and clean lines (3, 4, 6) that agree beyond each line's width, as paper does."""
    torch.manual_seed(0)
    restored, clean = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    beyond = torch.arange(6)[None, None] >= WIDTHS[:, None, None]
    return restored.masked_fill(beyond, 1.0), clean.masked_fill(beyond, 1.0)


def test_it_is_the_mean_over_each_lines_own_pixels(images):
    restored, clean = images
    losses = l1(restored, clean, WIDTHS)
    assert losses.shape == (3,)
    for i, width in enumerate(WIDTHS):
        differences = [
            abs(restored[i, y, x] - clean[i, y, x]).item() for y in range(4) for x in range(width)
        ]
        assert losses[i].item() == pytest.approx(sum(differences) / len(differences), rel=1e-12)


def test_it_is_zero_for_a_perfect_line_and_one_for_the_inverse(images):
    _, clean = images
    assert l1(clean, clean, WIDTHS).tolist() == [0, 0, 0]
    black = torch.zeros(1, 4, 6)
    assert l1(black, black + 1, torch.tensor([6])).tolist() == [1]


def test_it_is_symmetric_and_a_lines_width_weighs_its_gradient(images):
    restored, clean = images
    assert torch.equal(l1(restored, clean, WIDTHS), l1(clean, restored, WIDTHS))
    restored.requires_grad_()
    l1(restored, clean, WIDTHS).sum().backward()
    for gradient, width in zip(restored.grad, WIDTHS, strict=True):
        assert torch.allclose(
            gradient[:, :width].abs(), torch.full((4, int(width)), 1 / (4 * width.item())).double()
        )
