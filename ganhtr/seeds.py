"""Random numbers by name: each component of a run draws from its own stream, so that adding one leaves the others as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for (seed, names); different names give unrelated streams."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy's generator for (seed, names)."""
    return np.random.default_rng(derive_seed(seed, *names))


@contextmanager
def torch_stream(seed: int, *names: str | int) -> Iterator[None]:
    """Inside, PyTorch's global generators draw from the stream (seed, names); afterwards they are as before."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, *names))
        yield
