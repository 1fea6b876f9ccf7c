"""Batch norm that leaves its running statistics alone during a repeated forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def without_statistics(*modules: nn.Module) -> Iterator[None]:
    """Discard updates of the running statistics of these modules' batch norms inside the block.

    The batch norms compute as usual, on copies of their buffers. Setting `track_running_stats` to
    False would not work: a forward pass without buffers saves fewer tensors, and activation
    checkpointing refuses a recomputation that saves other tensors than the first pass.
    """
    norms = {
        norm for module in modules for norm in module.modules() if isinstance(norm, _BatchNorm)
    }
    buffers = [(norm, *entry) for norm in norms for entry in norm.named_buffers(recurse=False)]
    try:
        for norm, name, buffer in buffers:
            setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, name, buffer in buffers:
            setattr(norm, name, buffer)
