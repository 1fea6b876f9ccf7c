"""Adversarial losses. Legend: B batch; a logit above 0 means real."""

from __future__ import annotations

import torch
import torch.nn.functional as F

REAL, FAKE = 0.9, 0.0  # one-sided label smoothing (Salimans et al. 2016), the experiment's targets


def discriminator_loss(real_B: torch.Tensor, fake_B: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (B,) of the discriminator: the mean of its real and its fake half. At chance: 0.69 (its best constant 0.688)."""
    real = F.binary_cross_entropy_with_logits(
        real_B, torch.full_like(real_B, REAL), reduction="none"
    )
    fake = F.binary_cross_entropy_with_logits(
        fake_B, torch.full_like(fake_B, FAKE), reduction="none"
    )
    return (real + fake) / 2


def generator_loss(fake_B: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (B,) of the generator: restored lines should pass for real."""
    return F.binary_cross_entropy_with_logits(
        fake_B, torch.full_like(fake_B, REAL), reduction="none"
    )
