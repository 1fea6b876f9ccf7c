"""Batch norm whose statistics stay as they are while a network runs a second time over lines that it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def without_statistics(*modules: nn.Module) -> Iterator[None]:
    """Inside, the batch norms of these modules compute as ever, and what that does to their running statistics and counts is dropped.

    They work on copies of these buffers. Switching `track_running_stats` off would not do: without buffers a forward pass saves fewer
    tensors, and activation checkpointing refuses a recomputation that saves others than the first pass did.
    """
    norms = {
        norm for module in modules for norm in module.modules() if isinstance(norm, _BatchNorm)
    }
    held = [
        (norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers(recurse=False)
    ]
    try:
        for norm, name, buffer in held:
            setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, name, buffer in held:
            setattr(norm, name, buffer)
