"""Trains a line recognizer with CTC on clean training lines: from nothing, from another recognizer, or from where it was broken off.

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
from ganhtr.config_sections import RecognizerConfig, RecognizerTrainingConfig
from ganhtr.data.batches import LineBatches, step_indices
from ganhtr.data.pairs import Pairs
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.text import infeasible
from ganhtr.models.recognizer import CRNN, LineRecognizer, build_recognizer
from ganhtr.precision import require_fp32
from ganhtr.recognizers.checkpoint import RecognizerState
from ganhtr.recognizers.readings import recognizer_cer
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.seeds import derive_seed, generator, torch_stream

STREAM = "reader"  # names the streams of random numbers: another name would train other weights
SHORTCUT = 0.1  # weight of the shortcut head's loss, as Retsinas et al. 2022 have it
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What decides a recognizer's weights: the lines, its settings, how it is trained, and which recognizer it starts from."""

    pairs: Pairs
    config: RecognizerConfig
    training: RecognizerTrainingConfig
    start: RecognizerWeights | None = None  # of the same kind

    @property
    def digest(self) -> str:
        """What a recognizer is known by: the lines it is trained on and every setting of it. A name of weights is none of these."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "weights"}
        key = json.dumps(
            [
                self.pairs.clean_digest,
                self.pairs.charset.characters,
                settings,
                asdict(self.training),
            ]
        )
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        """All of it in plain values: a checkpoint of others is no checkpoint of this."""
        return {
            "lines": self.pairs.clean_digest,
            "characters": self.pairs.charset.characters,
            "start": self.start.digest if self.start else "nothing",
            **{
                f"{section}.{key}": value
                for section, held in (
                    ("guide", self.config),
                    ("recognizer_training", self.training),
                )
                for key, value in asdict(held).items()
                if key != "weights"
            },
        }


def part_of(path: Path) -> Path:
    """Where the checkpoint of a training that ends in `path` lies until then."""
    return path.with_name(f"{path.name}.part")


def train_to_file(
    path: Path,
    recipe: Recipe,
    device: torch.device,
    say: Say,
    name: str = "recognizer",
    resume: bool = False,
) -> RecognizerWeights:
    """Trains a recognizer, with a checkpoint beside `path` after each epoch, and saves it there.

    With `resume` it goes on from the checkpoint if there is one, and ends with the weights of an unbroken run (bit by bit on a CPU).
    Raises: CheckpointError when that belongs to another training; ValueError as `train_recognizer` does.
    """
    part = part_of(path)
    if not resume:
        part.unlink(missing_ok=True)
    weights = train_recognizer(recipe, device, say, name, part, resume)
    weights.save(path)
    part.unlink(missing_ok=True)
    return weights


def train_recognizer(
    recipe: Recipe,
    device: torch.device,
    say: Say,
    name: str = "recognizer",
    part: Path | None = None,
    resume: bool = False,
) -> RecognizerWeights:
    """Trains a recognizer with CTC on the clean training lines (one-cycle Adam); search-validation lines only measure it.

    With `part` a checkpoint is written there after each epoch; with `resume` it goes on from that.
    Raises: CheckpointError; ValueError when no line can be learned from, or when the loss is not finite any more.
    """
    require_fp32()
    pairs, training, seed = recipe.pairs, recipe.training, recipe.config.seed
    lines, held = (
        LineBatches(split, pairs.charset, device) for split in (pairs.train, pairs.validation)
    )
    batch_size = min(training.batch_size, len(lines))
    steps = max(1, len(lines) // batch_size)
    state = begin(recipe, steps, device)
    mute = infeasible(lines.targets, -(-pairs.train.widths // state.recognizer.stride))
    if mute.all():
        raise ValueError(
            f"{name}: transcriptions must fit the frames of their lines ({state.recognizer.stride} pixels each), got none that "
            "does. Raise data.height and data.width, or take a crnn, whose frames are shorter"
        )
    if mute.any():
        say(
            f"{name}: {mute.sum()} of {len(lines)} training lines teach nothing: their transcriptions are longer than their frames allow"
        )
    if part is not None and resume and part.exists():
        state.restore(part, recipe.settings(), device)
        say(f"{name}: goes on after epoch {state.epoch} of {training.epochs}")
    elif recipe.start is not None:
        say(
            f"{name}: starts from the shipped one ({warm_start(state.recognizer, recipe.start, pairs.charset)})"
        )
    while state.epoch < training.epochs:
        state.recognizer.train()
        losses = [
            train_step(state, lines, batch_size, step, seed)
            for step in range(state.epoch * steps, (state.epoch + 1) * steps)
        ]
        loss = torch.stack(losses).mean().item()
        if not math.isfinite(loss):
            raise ValueError(
                f"{name}: the CTC loss must stay finite, got {loss} in epoch {state.epoch + 1}. Lower recognizer_training.lr"
            )
        state.epoch, state.cer = state.epoch + 1, recognizer_cer(state.recognizer, held)
        if part is not None:
            state.save(part, recipe.settings())
        say(
            f"{name}: epoch {state.epoch}/{training.epochs}, CTC {loss:.1f} nats, CER {state.cer:.1%} on clean search-validation lines"
        )
    arrays = {
        key: tensor.detach().cpu().contiguous().numpy()
        for key, tensor in state.recognizer.state_dict().items()
    }
    height, width = pairs.train.clean.shape[1:]
    return RecognizerWeights(
        recipe.config, pairs.charset.characters, height, width, state.cer, recipe.digest, arrays
    )


def begin(recipe: Recipe, steps: int, device: torch.device) -> RecognizerState:
    """A training before its first step, with fresh weights; `steps` are those of an epoch."""
    height, width = recipe.pairs.train.clean.shape[1:]
    with torch_stream(recipe.config.seed, STREAM):
        recognizer = build_recognizer(recipe.config, recipe.pairs.charset.classes, height, width)
    recognizer.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(recognizer.parameters(), lr=recipe.training.lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.training.lr, total_steps=recipe.training.epochs * steps
    )
    return RecognizerState(recognizer, optimizer, schedule)


def train_step(
    state: RecognizerState, lines: LineBatches, batch_size: int, step: int, seed: int
) -> torch.Tensor:
    """One update; returns its loss, nats a line. Lines, variation and dropout follow from (seed, step) alone."""
    recognizer = state.recognizer
    batch = lines.take(step_indices(len(lines), batch_size, step, seed))
    torch.manual_seed(derive_seed(seed, f"{STREAM} dropout", step))
    state.settle_norms(step)
    frames = batch.frames(recognizer.stride)
    tap = recognizer.tap(vary(batch.clean, generator(seed, f"{STREAM} variation", step)))
    loss = ctc(recognizer.read(tap), frames, batch.targets, batch.target_lengths).mean()
    if isinstance(recognizer, CRNN):
        loss = (
            loss
            + SHORTCUT
            * ctc(recognizer.read_shortcut(tap), frames, batch.targets, batch.target_lengths).mean()
        )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_grad_norm_(recognizer.parameters(), 5.0)
    state.optimizer.step()
    state.schedule.step()
    return loss.detach()


def vary(clean_B1HW: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The lines with their ink a little lighter or darker and shifted up or down by a sixteenth: a recognizer should not mind."""
    height = clean_B1HW.shape[2]
    shift = int(rng.integers(-(height // 16), height // 16 + 1))
    ink = torch.as_tensor(
        rng.uniform(0.75, 1.1, size=(len(clean_B1HW), 1, 1, 1)),
        dtype=torch.float32,
        device=clean_B1HW.device,
    )
    return 1 - ((1 - clean_B1HW.roll(shift, dims=2)) * ink).clamp(max=1)


def warm_start(recognizer: LineRecognizer, start: RecognizerWeights, charset: Charset) -> str:
    """Copies every array of `start` that fits by name and shape, class rows by character. Returns in words what was taken.

    This initialises a recognizer that is about to be trained; a trained recognizer is only ever loaded strictly (`RecognizerWeights.build`).
    """
    own, taken = recognizer.state_dict(), 0
    places = {c: i for i, c in enumerate(start.charset, start=1)}
    rows = [(0, 0)] + [
        (i, places[c]) for i, c in enumerate(charset.characters, start=1) if c in places
    ]
    for name, array in start.arrays.items():
        if name not in own:
            continue
        source = torch.from_numpy(array.copy()).to(own[name].device)
        if (
            name.split(".")[0] in ("classify", "shortcut")
            and own[name].shape[1:] == source.shape[1:]
        ):
            to, take = map(list, zip(*rows, strict=True))
            own[name][to] = source[take]
            taken += 1
        elif own[name].shape == source.shape:
            own[name] = source
            taken += 1
    recognizer.load_state_dict(own, strict=True)
    return f"{taken} of {len(own)} arrays, {len(rows) - 1} of {len(charset)} characters"
