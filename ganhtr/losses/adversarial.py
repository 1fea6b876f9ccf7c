"""Adversarial losses. Legend: B lines of a batch; a logit above 0 means real."""

from __future__ import annotations

import torch
import torch.nn.functional as F

REAL, FAKE = 0.9, 0.0  # one-sided label smoothing (Salimans et al. 2016), the experiment's targets


def discriminator_loss(real_B: torch.Tensor, fake_B: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the discriminator, the mean of its real and its fake half.

    Shapes: logits (B,) of clean and of restored lines -> (B,). Unit: nats. A discriminator at
    chance has 0.69; the best constant logit has 0.688, because of the label smoothing.
    Source: Goodfellow et al. 2014. Differs: one-sided label smoothing (Salimans et al. 2016).
    """
    return (_cross_entropy(real_B, REAL) + _cross_entropy(fake_B, FAKE)) / 2


def generator_loss(fake_B: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the generator: restored lines should be classified as real.

    Shapes: logits (B,) of restored lines -> (B,). Unit: nats.
    Source: Goodfellow et al. 2014, the non-saturating form. Differs: target 0.9.
    """
    return _cross_entropy(fake_B, REAL)


def _cross_entropy(logits_B: torch.Tensor, target: float) -> torch.Tensor:
    targets_B = torch.full_like(logits_B, target)
    return F.binary_cross_entropy_with_logits(logits_B, targets_B, reduction="none")
