"""Projection heads: from features to the vectors that a contrastive loss compares.

Legend: B batch, D features, P projected size.
"""

from __future__ import annotations

from torch import nn

from ganhtr.config import HeadConfig

NORMS = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def build_head(config: HeadConfig, features: int) -> nn.Module:
    """The head that `config.kind` names.

    Shapes: (B, D) -> (B, P), P = config.dim; kind `none` hands the features on (P = D). `layers` counts the hidden layers of the
    perceptron (SimCLR's head has one). Source: Chen et al. 2020 (SimCLR), section 4.2.
    """
    if config.kind == "none":
        return nn.Identity()
    layers: list[nn.Module] = []
    inputs = features
    for _ in range(config.layers if config.kind == "mlp" else 0):
        layers += [nn.Linear(inputs, config.width), NORMS[config.norm](config.width), nn.ReLU(inplace=True)]
        inputs = config.width
    return nn.Sequential(*layers, nn.Linear(inputs, config.dim))
