"""A few training steps on random lines, to estimate time and disk space before data is read."""

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
    """Return `count` lines of noise with random texts."""
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
    """Run training steps on random lines and return the seconds per step, and the state.

    The time is that of the fastest of `steps`, after one to warm up.
    """
    data = config.data
    recognizer = build_recognizer(config.guide, LETTERS.classes, data.height, data.width)
    guide = freeze(recognizer).to(device, memory_format=torch.channels_last)
    state = build_state(config, LETTERS, guide.widths, device)
    count = config.train.batch_size
    batch = LineBatches(random_lines(config, count), LETTERS, device).take(np.arange(count))
    best = float("inf")
    for number in range(steps + 1):
        started = time.perf_counter()
        train_step(state, guide, batch, 10.0)["total"].item()
        best = min(best, time.perf_counter() - started) if number else best
    return best, state


def checkpoint_bytes(state: TrainState) -> tuple[int, int]:
    """Return the bytes of a finished trial's files (last and best weights) and of a running one's.

    The files of a running trial contain the optimisers too.
    """
    sizes = {
        name: sum(t.numel() * t.element_size() for t in module.state_dict().values())
        for name, module in state.modules().items()
    }
    moments = sum(
        value.numel() * value.element_size()
        for optimizer in state.optimizers.values()
        for parameter_state in optimizer.state.values()
        for value in parameter_state.values()
        if isinstance(value, torch.Tensor)
    )
    finished = sum(sizes.values()) + sizes["generator"]
    return finished, finished + moments
