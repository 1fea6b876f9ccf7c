"""The training loop: a Python generator that yields one report per epoch.

The caller (Ray Tune, single-trial mode, a test, a notebook) reports, stops and saves checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from ganhtr.data.augment import degraded_ahead
from ganhtr.data.batches import Batch, LineBatches, step_indices
from ganhtr.metrics.text import infeasible
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.evaluate import Evaluation, by_generator, evaluate
from ganhtr.train.finite import Diverged, StepValues
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.pretraining import pretrain_matcher
from ganhtr.train.state import TrainState
from ganhtr.train.step import train_step
from ganhtr.train.view import restore

LOSSES = ("total", "pixel", "feature", "ctc", "adversarial", "contrastive", "discriminator")


@dataclass(frozen=True)
class EpochReport:
    """Report of an epoch. `steps` maps every loss, norm and accuracy to one value per step."""

    epoch: int  # from 1
    steps: dict[str, list[float]]
    infeasible: float  # share of the training lines whose transcription needs too many frames
    evaluation: Evaluation
    seconds: float
    validation_seconds: float
    peak_memory_mb: float  # on the device; 0 without CUDA
    pretraining_seconds: float = 0.0  # before this epoch

    def mean(self, name: str) -> float:
        """Mean over the steps of the epoch; NaN if the value was not computed."""
        return float(np.mean(self.steps[name])) if name in self.steps else float("nan")

    def metrics(self) -> dict[str, float]:
        """All metrics of the epoch by name: evaluation, mean losses, norms and accuracies."""
        means = {
            f"train_{name}" if name in LOSSES else name: self.mean(name) for name in self.steps
        }
        return {
            **self.evaluation.metrics(),
            **means,
            "train_infeasible": self.infeasible,
            "seconds": self.seconds,
            "validation_seconds": self.validation_seconds,
            "pretraining_seconds": self.pretraining_seconds,
            "peak_memory_mb": self.peak_memory_mb,
        }


@dataclass(frozen=True)
class Bench:
    """The inputs of a trial on its device: lines and frozen recognizers. Trials can share them.

    `epoch_lines` are the search-validation lines that each epoch is measured on.
    """

    train: LineBatches
    validation: LineBatches
    epoch_lines: LineBatches
    guide: LineRecognizer
    judge: LineRecognizer
    infeasible: np.ndarray  # (N,) bool, of the training lines
    pixels_per_character: float

    @classmethod
    def of(cls, inputs: TrialInputs, device: torch.device, epoch_lines: int = 0) -> Bench:
        """Build the recognizers and move the lines to the device.

        epoch_lines: number of search-validation lines that each epoch is measured on; 0 for all.
        """
        train, validation = inputs.batches(device)
        spaced = validation.lines.spaced(epoch_lines)
        characters = sum(map(len, inputs.pairs.train.transcripts))
        guide = inputs.guide.build(device)
        frames = -(-inputs.pairs.train.widths // guide.stride)
        return cls(
            train,
            validation,
            LineBatches(spaced, inputs.pairs.charset, device),
            guide,
            inputs.judge.build(device),
            infeasible(train.targets, frames),
            float(inputs.pairs.train.widths.sum()) / max(1, characters),
        )


def fit(state: TrainState, bench: Bench) -> Iterator[EpochReport]:
    """Train from the epoch of `state` to the last one and yield a report after each epoch.

    Raises: Diverged with epoch, step and part; ValueError if a batch is larger than the split.
    """
    contrastive = state.config.contrastive
    pretrains = contrastive.pretrain and contrastive.weight
    started = time.perf_counter()
    if pretrains and state.step == 0 and state.matcher is not None:
        pretrain_matcher(state, state.matcher, bench.guide, bench.train)
    pretraining = time.perf_counter() - started
    with closing(training_batches(state, bench.train)) as batches:
        for epoch in range(state.epoch + 1, state.config.train.epochs + 1):
            report = _train_epoch(state, bench, epoch, batches)
            yield report if epoch > 1 else replace(report, pretraining_seconds=pretraining)


def _train_epoch(
    state: TrainState, bench: Bench, epoch: int, batches: Iterator[tuple[np.ndarray, Batch]]
) -> EpochReport:
    train = state.config.train
    started = time.perf_counter()
    if state.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(state.device)
    steps = StepValues(epoch, train.steps_per_epoch)
    lines_seen = []
    for number in range(train.steps_per_epoch):
        indices, batch = next(batches)
        lines_seen.append(indices)
        measure = train.measure == "step" or (train.measure == "epoch" and number == 0)
        steps.add(train_step(state, bench.guide, batch, bench.pixels_per_character, measure))
    trained = time.perf_counter()
    evaluation = evaluate(by_generator(state.restorer), bench.epoch_lines, bench.guide, bench.judge)
    for name, figure in evaluation.metrics().items():
        if not np.isfinite(figure):
            raise Diverged(epoch, train.steps_per_epoch, f"validation {name}")
    state.schedule.observe(evaluation.metrics()["psnr"])
    ended = time.perf_counter()
    peak = 0.0
    if state.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(state.device) / 2**20
    return EpochReport(
        epoch,
        steps.checked,
        float(bench.infeasible[np.concatenate(lines_seen)].mean()),
        evaluation,
        ended - started,
        ended - trained,
        peak,
    )


def training_batches(
    state: TrainState, lines: LineBatches, processes: int | None = None
) -> Generator[tuple[np.ndarray, Batch]]:
    """Yield indices and lines of every step from that of `state` on.

    A share `augment.fresh` of the lines gets new degraded images, made ahead by some processes: two
    by default with CUDA, else none, as the processors are busy with the training itself.
    """
    train, augment = state.config.train, state.config.augment
    steps = range(state.step, train.epochs * train.steps_per_epoch)
    order = (step_indices(len(lines), train.batch_size, step, train.seed) for step in steps)
    if not augment.fresh:
        for indices in order:
            yield indices, lines.take(indices)
        return
    if processes is None:
        processes = 2 if state.device.type == "cuda" else 0
    with degraded_ahead(lines.lines, augment, train.seed, processes) as images:
        for indices, degraded in images(zip(steps, order, strict=True)):
            yield indices, lines.take(indices, degraded)


@torch.no_grad()
def samples(state: TrainState, bench: Bench, count: int) -> np.ndarray:
    """The first search-validation lines as (count, 3, H, W) uint8: degraded, restored, clean."""
    state.restorer.eval()
    batch = bench.validation.take(np.arange(min(count, len(bench.validation))))
    restored = restore(state.restorer, batch.degraded, batch.inside)
    images = torch.cat([batch.degraded, restored, batch.clean], dim=1)
    return (images * 255).round().byte().cpu().numpy()
