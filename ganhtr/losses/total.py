"""The generator's total loss: the weighted sum of its terms. Legend: B lines of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def weighted_total(terms: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """Sum over the terms of weight times batch mean.

    Shapes: each term (B,) -> (). A term of weight 0 stays out of the graph; it may still be
    recorded.
    """
    means = [weights[name] * term_B.mean() for name, term_B in terms.items() if weights[name]]
    return torch.stack(means).sum()
