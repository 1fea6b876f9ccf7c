"""The queue of keys from earlier batches, and the momentum copy of the encoder that makes them.

Legend: N keys of a batch, Q keys in the queue, P projected size.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class KeyQueue(nn.Module):
    """The last `size` keys, each with the label of its text, so that equal texts are not negatives.

    Its whole state is in buffers and therefore in every checkpoint.
    Source: He et al. 2020 (MoCo), section 3.2. Differs: every key has a label.
    """

    keys: torch.Tensor  # (size, P)
    labels: torch.Tensor  # (size,)
    pushed: torch.Tensor  # () number of keys ever pushed

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def contents(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys (Q, P) and labels (Q,); Q grows to `size`."""
        count = min(int(self.pushed), len(self.labels))
        return self.keys[:count], self.labels[:count]

    @torch.no_grad()
    def push(self, keys_NP: torch.Tensor, labels_N: torch.Tensor) -> None:
        """Replace the oldest keys by those of a batch, or its last ones if it exceeds the queue.

        Shapes: (N, P), (N,).
        """
        size = len(self.labels)
        keys_NP, labels_N = keys_NP[-size:], labels_N[-size:]
        places = (int(self.pushed) + torch.arange(len(labels_N), device=self.labels.device)) % size
        # new tensors, because the graph of this step's loss may still hold views of the old ones
        self.keys, self.labels = self.keys.clone(), self.labels.clone()
        self.keys[places], self.labels[places] = keys_NP, labels_N
        self.pushed = self.pushed + len(labels_N)


def momentum_copy(module: nn.Module) -> nn.Module:
    """Copy a module, without gradients and in eval mode, for `momentum_update`."""
    return copy.deepcopy(module).requires_grad_(False).eval()


@torch.no_grad()
def momentum_update(average: nn.Module, source: nn.Module, momentum: float, step: int) -> None:
    """Update `average`, the exponential moving average of the weights of `source`; copy buffers.

    The momentum is min(momentum, (1 + step) / (10 + step)), so that the average soon forgets the
    initial weights. Source: He et al. 2020 (MoCo), equation 2. Differs: the smaller momentum in the
    first steps, which is that of TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    share = 1 - min(momentum, (1 + step) / (10 + step))
    for old, new in zip(average.parameters(), source.parameters(), strict=True):
        old.lerp_(new, share)
    for old_buffer, new_buffer in zip(average.buffers(), source.buffers(), strict=True):
        old_buffer.copy_(new_buffer)
