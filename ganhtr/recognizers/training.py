"""Training of a line recognizer with CTC on clean lines.

Legend: B lines of a batch, H height, W width, T frames, D features.
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
from ganhtr.models.running_average import warm_up_norms
from ganhtr.precision import require_fp32
from ganhtr.recognizers.checkpoint import RecognizerTraining
from ganhtr.recognizers.readings import recognizer_cer
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.seeds import derive_seed, generator, torch_stream

STREAM = "reader"  # names the random streams; another name would train other weights
SHORTCUT = 0.1  # weight of the shortcut head's loss (Retsinas et al. 2022)
CLIP_NORM = 5.0  # largest gradient norm
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a recognizer's weights: lines, settings and initial weights.

    The identity of `start` is part of that of the recognizer, so one that was trained from other
    weights is not taken from the cache.
    """

    pairs: Pairs
    config: RecognizerConfig
    training: RecognizerTrainingConfig
    start: RecognizerWeights | None = None  # a recognizer of the same kind

    @property
    def digest(self) -> str:
        """The identity of a recognizer in the cache: a hash of lines, settings and `start`."""
        settings = asdict(self.config)
        del settings["weights"]  # the path of a file, not a setting of the training
        content = [
            self.pairs.clean_digest,
            self.pairs.charset.characters,
            settings,
            asdict(self.training),
            *([self.start.digest] if self.start else []),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        """Return the recipe as plain values, to compare it with that of a checkpoint."""
        guide = {f"guide.{key}": value for key, value in asdict(self.config).items()}
        del guide["guide.weights"]
        training = asdict(self.training)
        return {
            "lines": self.pairs.clean_digest,
            "characters": self.pairs.charset.characters,
            "start": self.start.digest if self.start else "nothing",
            **guide,
            **{f"recognizer_training.{key}": value for key, value in training.items()},
        }


def part_of(path: Path) -> Path:
    """Return the path of the checkpoint of the training that writes `path`."""
    return path.with_name(f"{path.name}.part")


def train_to_file(
    path: Path,
    recipe: Recipe,
    device: torch.device,
    say: Say,
    name: str = "recognizer",
    resume: bool = False,
) -> RecognizerWeights:
    """Train a recognizer and save it, with a checkpoint beside `path` after each epoch.

    `resume` continues from the checkpoint, if there is one, and gives the weights of an
    uninterrupted run (bit by bit on a CPU).
    Raises: CheckpointError if the checkpoint belongs to another training; ValueError as
    `train_recognizer` does.
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
    """Train a recognizer with CTC and one-cycle Adam on clean lines.

    They are the lines set aside for recognizers, else the training lines. The search-validation
    lines only measure it. With `part`, a checkpoint is written there after each epoch; `resume`
    continues from it.
    Raises: CheckpointError as `RecognizerTraining.restore` does; ValueError if no transcription
    fits the frames of its line, or if the loss is not finite.
    """
    require_fp32()
    pairs, training, seed = recipe.pairs, recipe.training, recipe.config.seed
    train = pairs.recognizer_lines() if pairs.recognizer_lines else pairs.train
    lines = LineBatches(train, pairs.charset, device)
    validation = LineBatches(pairs.validation, pairs.charset, device)
    batch_size = min(training.batch_size, len(lines))
    steps = max(1, len(lines) // batch_size)
    state = begin(recipe, steps, device)
    _require_feasible(lines, state.recognizer.stride, name, say)
    if part is not None and resume and part.exists():
        state.restore(part, recipe.settings(), device)
        say(f"{name}: resumed after epoch {state.epoch} of {training.epochs}")
    elif recipe.start is not None:
        copied = warm_start(state.recognizer, recipe.start, pairs.charset)
        say(f"{name}: starts from the shipped weights ({copied})")
    while state.epoch < training.epochs:
        state.recognizer.train()
        losses = [
            train_step(state, lines, batch_size, step, seed)
            for step in range(state.epoch * steps, (state.epoch + 1) * steps)
        ]
        loss = torch.stack(losses).mean().item()
        if not math.isfinite(loss):
            raise ValueError(
                f"{name}: the CTC loss is {loss} in epoch {state.epoch + 1}. "
                "Lower recognizer_training.lr"
            )
        state.epoch, state.cer = state.epoch + 1, recognizer_cer(state.recognizer, validation)
        if part is not None:
            state.save(part, recipe.settings())
        say(
            f"{name}: epoch {state.epoch}/{training.epochs}, CTC {loss:.1f} nats, "
            f"CER {state.cer:.1%} on clean search-validation lines"
        )
    arrays = {
        key: tensor.detach().cpu().contiguous().numpy()
        for key, tensor in state.recognizer.state_dict().items()
    }
    height, width = pairs.train.clean.shape[1:]
    return RecognizerWeights(
        recipe.config, pairs.charset.characters, height, width, state.cer, recipe.digest, arrays
    )


def _require_feasible(lines: LineBatches, stride: int, name: str, say: Say) -> None:
    """Report the lines whose transcription needs too many frames. Raises: ValueError if all do."""
    excluded = infeasible(lines.targets, -(-lines.lines.widths // stride))
    if excluded.all():
        raise ValueError(
            f"{name}: every transcription needs more frames than its line has ({stride} pixels per "
            "frame). Raise data.height and data.width, or use a crnn, whose frames are shorter"
        )
    if excluded.any():
        say(
            f"{name}: {excluded.sum()} of {len(lines)} training lines are not used: their "
            "transcriptions need more frames than the lines have"
        )


def begin(recipe: Recipe, steps: int, device: torch.device) -> RecognizerTraining:
    """Return a training before its first step, with new weights; `steps` are those of an epoch."""
    height, width = recipe.pairs.train.clean.shape[1:]
    with torch_stream(recipe.config.seed, STREAM):
        recognizer = build_recognizer(recipe.config, recipe.pairs.charset.classes, height, width)
    recognizer.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(recognizer.parameters(), lr=recipe.training.lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.training.lr, total_steps=recipe.training.epochs * steps
    )
    return RecognizerTraining(recognizer, optimizer, schedule)


def train_step(
    state: RecognizerTraining, lines: LineBatches, batch_size: int, step: int, seed: int
) -> torch.Tensor:
    """Update the weights once and return the loss () in nats per line.

    Lines, augmentation and dropout follow from (seed, step) alone, so that a resumed training
    repeats them.
    """
    recognizer = state.recognizer
    batch = lines.take(step_indices(len(lines), batch_size, step, seed))
    torch.manual_seed(derive_seed(seed, f"{STREAM} dropout", step))
    warm_up_norms(recognizer, recognizer.bn_momentum, step)
    frames_B = batch.frames(recognizer.stride)
    images_B1HW = augment(batch.clean, generator(seed, f"{STREAM} variation", step))
    tap_BTD = recognizer.tap(images_B1HW)
    targets = (frames_B, batch.targets, batch.target_lengths)
    loss = ctc(recognizer.read(tap_BTD), *targets).mean()
    if isinstance(recognizer, CRNN):
        loss = loss + SHORTCUT * ctc(recognizer.read_shortcut(tap_BTD), *targets).mean()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_grad_norm_(recognizer.parameters(), CLIP_NORM)
    state.optimizer.step()
    state.schedule.step()
    return loss.detach()


def augment(clean_B1HW: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Shift a batch vertically by at most 1/16 of its height and vary the ink of each line.

    What is shifted beyond an edge is cut off; white paper follows on the other side.
    Shapes: (B, 1, H, W) -> (B, 1, H, W).
    """
    height = clean_B1HW.shape[2]
    shift = int(rng.integers(-(height // 16), height // 16 + 1))
    ink_B111 = torch.as_tensor(
        rng.uniform(0.75, 1.1, size=(len(clean_B1HW), 1, 1, 1)),
        dtype=torch.float32,
        device=clean_B1HW.device,
    )
    shifted_B1HW = torch.ones_like(clean_B1HW)
    rows = slice(max(0, shift), height + min(0, shift))
    source_rows = slice(max(0, -shift), height + min(0, -shift))
    shifted_B1HW[:, :, rows] = clean_B1HW[:, :, source_rows]
    return 1 - ((1 - shifted_B1HW) * ink_B111).clamp(max=1)


def warm_start(recognizer: LineRecognizer, start: RecognizerWeights, charset: Charset) -> str:
    """Copy every array of `start` that fits by name and shape, and class rows by their character.

    Returns a phrase that says how much was copied. This only initialises a recognizer that is about
    to be trained; a trained recognizer is always loaded strictly (`RecognizerWeights.build`).
    """
    state, copied = recognizer.state_dict(), 0
    index = {character: i for i, character in enumerate(start.charset, start=1)}
    # class rows of the new and of the old recognizer for the same character; 0 is the blank
    rows = [(0, 0)] + [
        (i, index[character])
        for i, character in enumerate(charset.characters, start=1)
        if character in index
    ]
    new_rows, old_rows = map(list, zip(*rows, strict=True))
    for name, array in start.arrays.items():
        if name not in state:
            continue
        source = torch.from_numpy(array.copy()).to(state[name].device)
        per_class = name.split(".")[0] in ("classify", "shortcut")
        if per_class and state[name].shape[1:] == source.shape[1:]:
            state[name][new_rows] = source[old_rows]
        elif state[name].shape == source.shape:
            state[name] = source
        else:
            continue
        copied += 1
    recognizer.load_state_dict(state, strict=True)
    return f"{copied} of {len(state)} arrays, {len(rows) - 1} of {len(charset)} characters"
