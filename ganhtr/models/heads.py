"""Projection heads: from features to the vectors that a contrastive loss compares.

Legend: N samples (lines, windows or frames), D features, W hidden width, P projected size.
"""

from __future__ import annotations

import torch
from torch import nn

from ganhtr.config_sections import HeadConfig


class ResidualBlock(nn.Module):
    """Layer norm and a perceptron with one hidden layer, plus the input. Shapes: (N, W) -> (N, W).

    Source: He et al. 2016, "Identity mappings in deep residual networks". Differs: layer norm and
    linear layers instead of batch norm and convolutions.
    """

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
        )

    def forward(self, x_NW: torch.Tensor) -> torch.Tensor:
        return x_NW + self.inner(x_NW)


def build_head(config: HeadConfig, features: int) -> nn.Module:
    """Return the head that `config.kind` names.

    `layers` counts the hidden layers of the perceptron (SimCLR's head has one), or the residual
    blocks.
    Shapes: (N, D) -> (N, P), P = config.dim; kind `none` returns the features (P = D).
    Source: Chen et al. 2020 (SimCLR), section 4.2.
    """
    if config.kind == "none":
        return nn.Identity()
    layers: list[nn.Module] = []
    inputs = features
    if config.kind == "residual":
        layers = [
            nn.Linear(features, config.width),
            *(ResidualBlock(config.width) for _ in range(config.layers)),
        ]
        inputs = config.width
    elif config.kind in ("mlp", "mlp_bn"):
        for _ in range(config.layers):
            layers += [
                nn.Linear(inputs, config.width),
                *([nn.BatchNorm1d(config.width)] if config.kind == "mlp_bn" else []),
                nn.ReLU(inplace=True),
            ]
            inputs = config.width
    return nn.Sequential(*layers, nn.Linear(inputs, config.dim))
