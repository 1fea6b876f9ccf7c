"""A few training steps on random lines: how long a step takes here and how large a trial is, before any data is read."""

from __future__ import annotations

import time

import numpy as np
import torch

from ganhtr.charset import Charset
from ganhtr.config import Config
from ganhtr.data.batches import LineBatches
from ganhtr.data.pairs import Lines
from ganhtr.models.recognizer import build_recognizer, freeze
from ganhtr.train.state import TrainState, build_state
from ganhtr.train.step import train_step

LETTERS = Charset("abcdefghijklmnopqrstuvwxyz ")


def random_lines(config: Config, count: int) -> Lines:
    """Noise in the shape of `count` lines, with random texts."""
    rng = np.random.default_rng(0)
    shape = (count, config.data.height, config.data.width)
    texts = tuple(
        "".join(rng.choice(list(LETTERS.characters), size=config.data.width // 12))
        for _ in range(count)
    )
    names = tuple(map(str, range(count)))
    return Lines(
        rng.integers(0, 256, shape, dtype=np.uint8),
        rng.integers(0, 256, shape, dtype=np.uint8),
        np.full(count, config.data.width, dtype=np.int32),
        texts,
        names,
        names,
    )


def rehearse(config: Config, device: torch.device, steps: int = 2) -> tuple[float, TrainState]:
    """Seconds a training step takes (the fastest of `steps`, after one to warm up), and the state that took them."""
    data = config.data
    guide = freeze(build_recognizer(config.guide, LETTERS.classes, data.height, data.width)).to(
        device, memory_format=torch.channels_last
    )
    state = build_state(config, LETTERS, guide.widths, device)
    batch = LineBatches(random_lines(config, config.train.batch_size), LETTERS, device).take(
        np.arange(config.train.batch_size)
    )
    best = float("inf")
    for number in range(steps + 1):
        started = time.perf_counter()
        train_step(state, guide, batch, 10.0)["total"].item()
        best = min(best, time.perf_counter() - started) if number else best
    return best, state


def checkpoint_bytes(state: TrainState) -> tuple[int, int]:
    """Bytes of a finished trial's files (last and best weights), and of a running one's (with the optimisers)."""
    sizes = {
        name: sum(t.numel() * t.element_size() for t in module.state_dict().values())
        for name, module in state.modules().items()
    }
    held = sum(
        t.numel() * t.element_size()
        for o in state.optimizers.values()
        for s in o.state.values()
        for t in s.values()
        if isinstance(t, torch.Tensor)
    )
    finished = sum(sizes.values()) + sizes["generator"]
    return finished, finished + held
