"""Fresh degradations in each training step, so that a line is seen with different damage."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

import numpy as np

from ganhtr.config_sections import AugmentConfig
from ganhtr.data.pairs import Lines
from ganhtr.seeds import generator

AHEAD = 4  # steps for each process
Step = tuple[int, np.ndarray]  # its number and the indices of its lines
Images = Callable[[Iterable[Step]], Iterator[tuple[np.ndarray, np.ndarray]]]


def degrade_anew(
    clean: np.ndarray,
    widths: np.ndarray,
    degraded: np.ndarray,
    config: AugmentConfig,
    seed: int,
    step: int,
) -> np.ndarray:
    """Return the degraded images for a step: a share `config.fresh` new ones, the others as given.

    Each line has its own random stream (seed, step, position), whose first draw decides whether
    it is degraded again. So a larger share includes the lines of a smaller one, and a resumed run
    makes the same images. A new image is white outside the line's width.

    Shapes: clean, degraded (B, H, W) uint8, widths (B,) -> (B, H, W) uint8; with `fresh` 0 the
        array `degraded` itself, else a new one.
    """
    if not config.fresh:
        return degraded
    # Imported here because it needs Pillow, and training without fresh damage does not.
    from ganhtr.data.degrade import degrade

    images = degraded.copy()
    for position, width in enumerate(widths):
        rng = generator(seed, "augment", step, position)
        if rng.random() < config.fresh:
            line = clean[position, :, :width]
            images[position] = 255
            images[position, :, :width] = degrade(line, rng, config.strength, config.strategy)
    return images


def _end_with_parent() -> None:
    """End this process when its parent ends, also after kill -9."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def degraded_ahead(
    lines: Lines, config: AugmentConfig, seed: int, processes: int
) -> Iterator[Images]:
    """Make degraded images for the next steps in some processes, while this one trains.

    Yields a function from steps to indices and degraded images (B, H, W) uint8 of each step, the
    same for any number of processes. With 0 they are made here, step by step.
    """

    def inputs(step: Step) -> tuple:
        number, indices = step
        arrays = (lines.clean[indices], lines.widths[indices], lines.degraded[indices])
        return *arrays, config, seed, number

    if not processes:
        yield lambda steps: ((step[1], degrade_anew(*inputs(step))) for step in steps)
        return
    # not forked: CUDA and the threads of Ray do not survive it
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent)

    def images(steps: Iterable[Step]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices and images of every step; further steps are already in the pool."""
        waiting: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        for step in steps:
            waiting.append((step[1], pool.submit(degrade_anew, *inputs(step))))
            if len(waiting) > AHEAD * processes:
                indices, made = waiting.popleft()
                yield indices, made.result()
        for indices, made in waiting:
            yield indices, made.result()

    try:
        yield images
    finally:
        pool.shutdown(cancel_futures=True)
