"""The queue of keys from earlier batches.

Legend: N keys of a batch, Q keys in the queue, P projected size.
"""

from __future__ import annotations

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
