"""Keys of earlier batches, kept as further negatives; and the slow copy of an encoder that makes them.

Legend: N keys of a batch, Q keys kept, P projected size.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class KeyQueue(nn.Module):
    """The last `size` keys with the identity of each one's text, so that a line's own text is not among its negatives.

    All of it is in buffers and so in every checkpoint. Source: He et al. 2020 (MoCo), section 3.2.
    """

    keys: torch.Tensor  # (size, P)
    labels: torch.Tensor  # (size,)
    pushed: torch.Tensor  # () keys ever pushed

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def held(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys (Q, P) and labels (Q,) that were pushed and not yet pushed out."""
        count = min(int(self.pushed), len(self.labels))
        return self.keys[:count], self.labels[:count]

    @torch.no_grad()
    def push(self, keys_NP: torch.Tensor, labels_N: torch.Tensor) -> None:
        """Takes in the keys of a batch in the place of the oldest; of a batch larger than the queue its last keys."""
        size = len(self.labels)
        keys_NP, labels_N = keys_NP[-size:], labels_N[-size:]
        places = (int(self.pushed) + torch.arange(len(labels_N), device=self.labels.device)) % size
        # anew, not in place: what a loss of this step holds of the old keys must stay as it was
        self.keys, self.labels = self.keys.clone(), self.labels.clone()
        self.keys[places], self.labels[places] = keys_NP, labels_N
        self.pushed = self.pushed + len(labels_N)


def slow_copy(module: nn.Module) -> nn.Module:
    """A copy without gradients, in eval mode, that `follow` brings after the original."""
    return copy.deepcopy(module).requires_grad_(False).eval()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, keep: float, step: int) -> None:
    """Exponential moving average: the slow module keeps a share `keep` of itself, less in the first steps so that it forgets its start.

    The share is min(keep, (1 + step) / (10 + step)), as TensorFlow's moving average has it with a step count.
    """
    share = 1 - min(keep, (1 + step) / (10 + step))
    for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
        old.lerp_(new, share)
    for held, fresh in zip(slow.buffers(), fast.buffers(), strict=True):
        held.copy_(fresh)
