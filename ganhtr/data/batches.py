"""Batches of lines as tensors: which lines a step uses, their images, texts and lengths.

Legend: B batch, H height, W width, L characters (padded), T frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganhtr.charset import Charset
from ganhtr.data.pairs import Lines
from ganhtr.seeds import generator


@dataclass(frozen=True)
class Batch:
    """Some lines on a device. Images are float32 in [0, 1].

    `text` has every character, `targets` only the characters in the charset of the recognizer.
    """

    degraded: torch.Tensor  # (B, 1, H, W)
    clean: torch.Tensor  # (B, 1, H, W)
    inside: torch.Tensor  # (B, 1, 1, W) bool: inside the line's own width
    widths: torch.Tensor  # (B,)
    text: torch.Tensor  # (B, L)
    text_lengths: torch.Tensor  # (B,)
    targets: torch.Tensor  # (sum of target lengths,)
    target_lengths: torch.Tensor  # (B,)
    text_ids: torch.Tensor  # (B,): equal for equal transcriptions
    clean_tap: torch.Tensor | None  # (B, T, D): the guide's cached features of the clean lines

    def __len__(self) -> int:
        return len(self.widths)

    @property
    def same(self) -> torch.Tensor:
        """Which lines have equal transcriptions: (B, B) bool."""
        return self.text_ids[:, None] == self.text_ids[None, :]

    def parts(self, count: int) -> list[Batch]:
        """Return the batch in `count` parts of equal size, in order; itself if `count` is 1."""
        if count == 1:
            return [self]
        size = len(self) // count
        ends = [0, *self.target_lengths.cumsum(0).tolist()]

        def part(first: int) -> Batch:
            fields: dict[str, Any] = {
                name: None if value is None else value[first : first + size]
                for name, value in vars(self).items()
            }
            # The targets of all lines follow one another, so they are cut by their lengths.
            fields["targets"] = self.targets[ends[first] : ends[first + size]]
            return Batch(**fields)

        return [part(first) for first in range(0, len(self), size)]

    def frames(self, stride: int) -> torch.Tensor:
        """Frames (B,) inside each line's own width, with `stride` pixels per frame."""
        return (self.widths + stride - 1) // stride


def pad(rows: list[np.ndarray]) -> np.ndarray:
    """Return index rows as one (B, L) int64 array, padded with 0. L is at least 1."""
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows))), dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded


class LineBatches:
    """The lines of one split, accessed by index. Arrays are not copied, except for each batch."""

    def __init__(
        self,
        lines: Lines,
        charset: Charset,
        device: torch.device,
        taps: np.ndarray | None = None,
    ):
        self.lines, self.charset, self.device, self.taps = lines, charset, device, taps
        self.texts = [charset.encode(text) for text in lines.transcripts]
        self.targets = [charset.target(text) for text in lines.transcripts]
        numbers = {text: i for i, text in enumerate(dict.fromkeys(lines.transcripts))}
        self.text_ids = np.array([numbers[text] for text in lines.transcripts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, indices: np.ndarray, degraded: np.ndarray | None = None) -> Batch:
        """Return the batch of these lines, in this order.

        `degraded` (B, H, W) uint8 replaces the degraded images of the split.
        """

        def image(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)[:, None].float().div_(255)

        def number(values: np.ndarray | list[int]) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.int64), device=self.device)

        if degraded is None:
            degraded = self.lines.degraded[indices]
        texts = [self.texts[i] for i in indices]
        targets = [self.targets[i] for i in indices]
        widths = number(self.lines.widths[indices])
        columns = torch.arange(self.lines.clean.shape[2], device=self.device)
        tap = None if self.taps is None else torch.from_numpy(self.taps[indices]).to(self.device)
        return Batch(
            degraded=image(degraded),
            clean=image(self.lines.clean[indices]),
            inside=(columns < widths[:, None])[:, None, None, :],
            widths=widths,
            text=number(pad(texts)),
            text_lengths=number([len(text) for text in texts]),
            targets=number(np.concatenate(targets)),
            target_lengths=number([len(target) for target in targets]),
            text_ids=number(self.text_ids[indices]),
            clean_tap=tap,
        )


def step_indices(count: int, batch_size: int, step: int, seed: int) -> np.ndarray:
    """Return the lines of update number `step` (from 0).

    The permutations of all lines are joined into one endless sequence, from which each step takes
    the next `batch_size` lines. The result depends on (seed, step) alone, so a resumed run
    continues with the same lines. Raises: ValueError when there are fewer lines than a batch needs.
    """
    if batch_size > count:
        raise ValueError(
            f"train.batch_size must be at most the number of training lines ({count}), "
            f"got {batch_size}"
        )
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    passes = np.unique(positions // count)
    shuffled = {k: generator(seed, "data order", int(k)).permutation(count) for k in passes}
    return np.array([shuffled[p // count][p % count] for p in positions])


def chunks(count: int, size: int) -> Iterator[np.ndarray]:
    """Yield the indices 0..count-1 in order, `size` at a time; the last chunk may be shorter."""
    for first in range(0, count, size):
        yield np.arange(first, min(first + size, count))
