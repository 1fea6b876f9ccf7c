"""Batches of lines as tensors: which lines a step sees, and their images, texts and lengths.

Legend: B batch, H height, W width, L characters (padded), T frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ganhtr.charset import Charset
from ganhtr.data.pairs import Lines
from ganhtr.seeds import generator


@dataclass(frozen=True)
class Batch:
    """Some lines on a device. Images are float32 in [0, 1]; text holds every character, targets only those a recognizer knows."""

    degraded: torch.Tensor  # (B, 1, H, W)
    clean: torch.Tensor  # (B, 1, H, W)
    inside: torch.Tensor  # (B, 1, 1, W) bool: inside the line's own width
    widths: torch.Tensor  # (B,)
    text: torch.Tensor  # (B, L)
    text_lengths: torch.Tensor  # (B,)
    targets: torch.Tensor  # (sum of target lengths,)
    target_lengths: torch.Tensor  # (B,)
    text_ids: torch.Tensor  # (B,): equal for equal transcriptions
    clean_tap: (
        torch.Tensor | None
    )  # (B, T, D): the guide's features of the clean lines, where they were computed before

    def __len__(self) -> int:
        return len(self.widths)

    @property
    def same(self) -> torch.Tensor:
        """Which lines have equal transcriptions: (B, B) bool."""
        return self.text_ids[:, None] == self.text_ids[None, :]

    def parts(self, count: int) -> list[Batch]:
        """The batch in `count` parts of equal size, in order; itself when that is one."""
        if count == 1:
            return [self]
        size = len(self) // count
        ends = [0, *self.target_lengths.cumsum(0).tolist()]

        def part(first: int) -> Batch:
            own = slice(first, first + size)
            held = {
                name: value[own]
                for name, value in vars(self).items()
                if value is not None and name != "targets"
            }
            return Batch(
                **{"clean_tap": None, **held},
                targets=self.targets[ends[first] : ends[first + size]],
            )

        return [part(first) for first in range(0, len(self), size)]

    def frames(self, stride: int) -> torch.Tensor:
        """Frames (B,) of a recognizer with `stride` pixels a frame that lie inside each line's own width."""
        return (self.widths + stride - 1) // stride


def pad(rows: list[np.ndarray]) -> np.ndarray:
    """Index rows as one (B, L) int64 array, padded with 0 behind each length; L is at least 1."""
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows))), dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded


class LineBatches:
    """Serves the lines of one split by index. Reads the arrays where they lie; only a batch is copied."""

    def __init__(
        self, lines: Lines, charset: Charset, device: torch.device, taps: np.ndarray | None = None
    ):
        self.lines, self.charset, self.device, self.taps = lines, charset, device, taps
        self.texts = [charset.encode(text) for text in lines.transcripts]
        self.targets = [charset.target(text) for text in lines.transcripts]
        numbers = {text: i for i, text in enumerate(dict.fromkeys(lines.transcripts))}
        self.text_ids = np.array([numbers[text] for text in lines.transcripts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, indices: np.ndarray, degraded: np.ndarray | None = None) -> Batch:
        """The batch of these lines, in this order; with other degraded twins (B, H, W) uint8 where they are given."""

        def image(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)[:, None].float().div_(255)

        def number(values: np.ndarray | list[int]) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.int64), device=self.device)

        texts, targets = [self.texts[i] for i in indices], [self.targets[i] for i in indices]
        widths = number(self.lines.widths[indices])
        columns = torch.arange(self.lines.clean.shape[2], device=self.device)
        return Batch(
            degraded=image(self.lines.degraded[indices] if degraded is None else degraded),
            clean=image(self.lines.clean[indices]),
            inside=(columns < widths[:, None])[:, None, None, :],
            widths=widths,
            text=number(pad(texts)),
            text_lengths=number([len(text) for text in texts]),
            targets=number(np.concatenate(targets)),
            target_lengths=number([len(target) for target in targets]),
            text_ids=number(self.text_ids[indices]),
            clean_tap=None
            if self.taps is None
            else torch.from_numpy(self.taps[indices]).to(self.device),
        )


def step_indices(count: int, batch_size: int, step: int, seed: int) -> np.ndarray:
    """The lines of update number `step` (from 0): a window on an endless row of permutations of all lines.

    It depends on (seed, step) alone, so that a resumed run goes on with the same lines. Raises: ValueError when a batch does not fit.
    """
    if batch_size > count:
        raise ValueError(
            f"train.batch_size must be at most the number of training lines ({count}), got {batch_size}"
        )
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    shuffled = {
        k: generator(seed, "data order", int(k)).permutation(count)
        for k in np.unique(positions // count)
    }
    return np.array([shuffled[p // count][p % count] for p in positions])


def chunks(count: int, size: int) -> Iterator[np.ndarray]:
    """Indices of 0..count-1 in order, `size` at a time, the last chunk with what is left."""
    for first in range(0, count, size):
        yield np.arange(first, min(first + size, count))
