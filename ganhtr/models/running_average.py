"""Exponential moving averages of weights and of batch norms' statistics.

They soon forget their initial value: see `newest_share`.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Network = TypeVar("Network", bound=nn.Module)


def newest_share(share: float, step: int) -> float:
    """Return the weight of the newest value in a moving average, at update `step` (from 0).

    It is `share`, but larger in the first updates: 9 / (10 + step), which averages over about the
    last ninth of the updates. A small constant share would keep the initial value for hundreds of
    updates. Source: TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return max(share, 9 / (10 + step))


def debiased_share(decay: float, step: int) -> float:
    """Return the weight of the newest value in a moving average of this decay that starts with it.

    It is 1 at update 0 and falls to 1 - decay; the values are weighted as by the decay alone.
    Source: Kingma and Ba 2015 (Adam), section 3, the correction of the initial bias.
    """
    return (1 - decay) / (1 - decay ** (step + 1))


def averaged_copy(network: Network) -> Network:
    """Copy a network, without gradients and in eval mode, for `update_average`."""
    return copy.deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, source: nn.Module, share: float) -> None:
    """Move the average of a network's weights and buffers by `share` to it; counts are copied."""
    averages = [*average.parameters(), *average.buffers()]
    newest = [*source.parameters(), *source.buffers()]
    real = [tensor.is_floating_point() for tensor in newest]
    torch._foreach_lerp_(
        [tensor for tensor, is_real in zip(averages, real, strict=True) if is_real],
        [tensor for tensor, is_real in zip(newest, real, strict=True) if is_real],
        share,
    )
    for old, new, is_real in zip(averages, newest, real, strict=True):
        if not is_real:
            old.copy_(new)


def warm_up_norms(network: nn.Module, momentum: float, step: int) -> None:
    """Set the momentum of a network's batch norms for update `step`.

    Otherwise a network with a small momentum is evaluated with statistics that still have traces of
    their initial values. What training mode computes does not depend on them.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = newest_share(momentum, step)
