"""The generator's total: named parts, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def weighted_total(parts: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """The sum over the parts of weight times batch mean.

    Shapes: each part (B,) unreduced -> (). A part of weight 0 stays out of the graph; it may be measured all the same.
    """
    return torch.stack(
        [weights[name] * part.mean() for name, part in parts.items() if weights[name]]
    ).sum()
