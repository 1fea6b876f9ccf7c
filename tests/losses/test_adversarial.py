"""Adversarial losses against the cross-entropy written out in float64."""

import numpy as np
import pytest
import torch

from ganhtr.losses.adversarial import discriminator_loss, generator_loss

REAL = torch.tensor([-60.0, -2.5, 0.0, 0.7, 60.0], dtype=torch.float64)
FAKE = torch.tensor([0.3, 60.0, 0.0, -60.0, -1.5], dtype=torch.float64)


def cross_entropy(logits, target):
    """-target log p - (1 - target) log(1 - p), p the logistic function of the logit."""
    logits = logits.numpy()
    return target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)


def test_the_discriminator_is_told_real_from_fake():
    expected = (cross_entropy(REAL, 0.9) + cross_entropy(FAKE, 0.0)) / 2
    assert np.allclose(discriminator_loss(REAL, FAKE).numpy(), expected, rtol=1e-12)
    assert discriminator_loss(REAL, FAKE).shape == (5,)


def test_the_generator_wants_to_pass_for_real():
    assert np.allclose(generator_loss(FAKE).numpy(), cross_entropy(FAKE, 0.9), rtol=1e-12)
    assert generator_loss(torch.tensor([-1.0])) > generator_loss(torch.tensor([1.0]))


def test_chance_is_as_documented():
    assert discriminator_loss(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(
        np.log(2), abs=1e-6
    )
    constant = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    assert discriminator_loss(constant, constant).min().item() == pytest.approx(0.688, abs=5e-4)


def test_smoothing_is_one_sided():
    """An overconfident real logit costs, an overconfident fake one does not."""
    sure = torch.tensor([3.0, 30.0], dtype=torch.float64)
    real = discriminator_loss(sure, torch.full_like(sure, -40))
    fake = discriminator_loss(torch.full_like(sure, 2), -sure)
    assert real[1] > real[0] and fake[1] < fake[0]


@pytest.mark.parametrize("magnitude", [0.0, 100.0, -100.0])
def test_gradients_are_finite_and_point_the_right_way(magnitude):
    logits = torch.full((3,), magnitude, requires_grad=True)
    other = torch.zeros(3)
    losses = (
        generator_loss(logits),
        discriminator_loss(logits, other),
        discriminator_loss(other, logits),
    )
    towards_real, for_real, for_fake = (
        torch.autograd.grad(loss.sum(), logits)[0] for loss in losses
    )
    chance = 1 / (1 + np.exp(-magnitude))
    assert towards_real.tolist() == pytest.approx([chance - 0.9] * 3, abs=1e-6)
    assert for_real.tolist() == pytest.approx([(chance - 0.9) / 2] * 3, abs=1e-6)
    assert for_fake.tolist() == pytest.approx([chance / 2] * 3, abs=1e-6)
