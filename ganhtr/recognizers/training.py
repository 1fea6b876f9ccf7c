"""Trains a line reader with CTC on clean training lines: from nothing, from another reader, or from where it was broken off.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from ganhtr.charset import Charset
from ganhtr.config_sections import ReaderConfig, RecognizerConfig
from ganhtr.data.batches import LineBatches, step_indices
from ganhtr.data.pairs import Pairs
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.text import infeasible
from ganhtr.models.recognizer import CRNN, LineReader, build_reader
from ganhtr.precision import require_fp32
from ganhtr.recognizers.checkpoint import ReaderState
from ganhtr.recognizers.readings import reader_cer
from ganhtr.recognizers.weights import ReaderWeights
from ganhtr.seeds import derive_seed, generator, torch_stream

SHORTCUT = 0.1  # weight of the shortcut head's loss, as Retsinas et al. 2022 have it
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What decides a reader's weights: the lines, its settings, how it is trained, and which reader it starts from."""

    pairs: Pairs
    config: RecognizerConfig
    training: ReaderConfig
    start: ReaderWeights | None = None  # of the same kind

    @property
    def digest(self) -> str:
        """What a reader is known by: the lines it is trained on and every setting of it. A name of weights is none of these."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "weights"}
        key = json.dumps([self.pairs.clean_digest, self.pairs.charset.characters, settings, asdict(self.training)])
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        """All of it in plain values: a checkpoint of others is no checkpoint of this."""
        return {"lines": self.pairs.clean_digest, "characters": self.pairs.charset.characters,
                "start": self.start.digest if self.start else "nothing",
                **{f"{section}.{key}": value for section, held in (("recognizer", self.config), ("reader", self.training))
                   for key, value in asdict(held).items() if key != "weights"}}


def part_of(path: Path) -> Path:
    """Where the checkpoint of a training that ends in `path` lies until then."""
    return path.with_name(f"{path.name}.part")


def train_to_file(path: Path, recipe: Recipe, device: torch.device, say: Say, name: str = "reader", resume: bool = False) -> ReaderWeights:
    """Trains a reader, with a checkpoint beside `path` after each epoch, and saves it there.

    With `resume` it goes on from the checkpoint if there is one, and ends with the weights of an unbroken run (bit by bit on a CPU).
    Raises: CheckpointError when that belongs to another training; ValueError as `train_reader` does.
    """
    part = part_of(path)
    if not resume:
        part.unlink(missing_ok=True)
    weights = train_reader(recipe, device, say, name, part, resume)
    weights.save(path)
    part.unlink(missing_ok=True)
    return weights


def train_reader(recipe: Recipe, device: torch.device, say: Say, name: str = "reader", part: Path | None = None,
                 resume: bool = False) -> ReaderWeights:
    """Trains a reader with CTC on the clean training lines (one-cycle Adam); search-validation lines only measure it.

    With `part` a checkpoint is written there after each epoch; with `resume` it goes on from that.
    Raises: CheckpointError; ValueError when no line can be learned from, or when the loss is not finite any more.
    """
    require_fp32()
    pairs, training, seed = recipe.pairs, recipe.training, recipe.config.seed
    lines, held = (LineBatches(split, pairs.charset, device) for split in (pairs.train, pairs.validation))
    batch_size = min(training.batch_size, len(lines))
    steps = max(1, len(lines) // batch_size)
    state = begin(recipe, steps, device)
    mute = infeasible(lines.targets, -(-pairs.train.widths // state.reader.stride))
    if mute.all():
        raise ValueError(f"{name}: transcriptions must fit the frames of their lines ({state.reader.stride} pixels each), got none that "
                         "does. Raise data.height and data.width, or take a crnn, whose frames are shorter")
    if mute.any():
        say(f"{name}: {mute.sum()} of {len(lines)} training lines teach nothing: their transcriptions are longer than their frames allow")
    if part is not None and resume and part.exists():
        state.restore(part, recipe.settings(), device)
        say(f"{name}: goes on after epoch {state.epoch} of {training.epochs}")
    elif recipe.start is not None:
        say(f"{name}: starts from the shipped one ({warm_start(state.reader, recipe.start, pairs.charset)})")
    while state.epoch < training.epochs:
        state.reader.train()
        losses = [train_step(state, lines, batch_size, step, seed) for step in range(state.epoch * steps, (state.epoch + 1) * steps)]
        loss = torch.stack(losses).mean().item()
        if not math.isfinite(loss):
            raise ValueError(f"{name}: the CTC loss must stay finite, got {loss} in epoch {state.epoch + 1}. Lower reader.lr")
        state.epoch, state.cer = state.epoch + 1, reader_cer(state.reader, held)
        if part is not None:
            state.save(part, recipe.settings())
        say(f"{name}: epoch {state.epoch}/{training.epochs}, CTC {loss:.1f} nats, CER {state.cer:.1%} on clean search-validation lines")
    arrays = {key: tensor.detach().cpu().contiguous().numpy() for key, tensor in state.reader.state_dict().items()}
    height, width = pairs.train.clean.shape[1:]
    return ReaderWeights(recipe.config, pairs.charset.characters, height, width, state.cer, recipe.digest, arrays)


def begin(recipe: Recipe, steps: int, device: torch.device) -> ReaderState:
    """A training before its first step, with fresh weights; `steps` are those of an epoch."""
    height, width = recipe.pairs.train.clean.shape[1:]
    with torch_stream(recipe.config.seed, "reader"):
        reader = build_reader(recipe.config, recipe.pairs.charset.classes, height, width)
    reader.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(reader.parameters(), lr=recipe.training.lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.training.lr, total_steps=recipe.training.epochs * steps)
    return ReaderState(reader, optimizer, schedule)


def train_step(state: ReaderState, lines: LineBatches, batch_size: int, step: int, seed: int) -> torch.Tensor:
    """One update; returns its loss, nats a line. Lines, variation and dropout follow from (seed, step) alone."""
    reader = state.reader
    batch = lines.take(step_indices(len(lines), batch_size, step, seed))
    torch.manual_seed(derive_seed(seed, "reader dropout", step))
    state.settle_norms(step)
    frames = batch.frames(reader.stride)
    tap = reader.tap(vary(batch.clean, generator(seed, "reader variation", step)))
    loss = ctc(reader.read(tap), frames, batch.targets, batch.target_lengths).mean()
    if isinstance(reader, CRNN):
        loss = loss + SHORTCUT * ctc(reader.read_shortcut(tap), frames, batch.targets, batch.target_lengths).mean()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_grad_norm_(reader.parameters(), 5.0)
    state.optimizer.step()
    state.schedule.step()
    return loss.detach()


def vary(clean_B1HW: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The lines with their ink a little lighter or darker and shifted up or down by a sixteenth: a reader should not mind."""
    height = clean_B1HW.shape[2]
    shift = int(rng.integers(-(height // 16), height // 16 + 1))
    ink = torch.as_tensor(rng.uniform(0.75, 1.1, size=(len(clean_B1HW), 1, 1, 1)), dtype=torch.float32, device=clean_B1HW.device)
    return 1 - ((1 - clean_B1HW.roll(shift, dims=2)) * ink).clamp(max=1)


def warm_start(reader: LineReader, start: ReaderWeights, charset: Charset) -> str:
    """Copies every array of `start` that fits by name and shape, class rows by character. Returns in words what was taken.

    This initialises a reader that is about to be trained; a trained reader is only ever loaded strictly (`ReaderWeights.build`).
    """
    own, taken = reader.state_dict(), 0
    places = {c: i for i, c in enumerate(start.charset, start=1)}
    rows = [(0, 0)] + [(i, places[c]) for i, c in enumerate(charset.characters, start=1) if c in places]
    for name, array in start.arrays.items():
        if name not in own:
            continue
        source = torch.from_numpy(array.copy()).to(own[name].device)
        if name.split(".")[0] in ("classify", "shortcut") and own[name].shape[1:] == source.shape[1:]:
            to, take = map(list, zip(*rows, strict=True))
            own[name][to] = source[take]
            taken += 1
        elif own[name].shape == source.shape:
            own[name] = source
            taken += 1
    reader.load_state_dict(own, strict=True)
    return f"{taken} of {len(own)} arrays, {len(rows) - 1} of {len(charset)} characters"
