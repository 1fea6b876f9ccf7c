"""Seconds of a training step relative to a plain reference implementation.

`python tests/benchmarks/step.py [preset ...]`

The reference is a straightforward implementation: one generator forward, the recognizer frozen with
requires_grad_(False) and in eval mode, NCHW tensors, the same losses, optimisers, threads and
batch, no compilation. Each change is then added separately. The steps alternate in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch.nn.utils import clip_grad_norm_

from ganhtr.config import build_config
from ganhtr.data.batches import LineBatches
from ganhtr.losses import adversarial, pixel, recognition
from ganhtr.losses.total import weighted_total
from ganhtr.models.recognizer import build_recognizer, freeze
from ganhtr.train.contrast import length_top1, retrieval_top1
from ganhtr.train.rehearsal import LETTERS, random_lines
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step
from ganhtr.train.view import restore


def reference_step(state, guide, batch, gains):
    """The plain step; `gains` names the changes that are switched on."""
    config, train = state.config, state.config.train
    discriminator, optimizers = state.discriminator, state.optimizers
    restored = restore(state.generator, batch.degraded, batch.inside)
    if "texts shared" in gains:
        text = discriminator.encode_text(batch.text, batch.text_lengths)
        real, fake = (
            discriminator.classify(batch.clean, text),
            discriminator.classify(restored.detach(), text),
        )
    else:
        real = discriminator(batch.clean, batch.text, batch.text_lengths)
        fake = discriminator(restored.detach(), batch.text, batch.text_lengths)
    optimizers["discriminator"].zero_grad(set_to_none=True)
    adversarial.discriminator_loss(real, fake).mean().backward()
    clip_grad_norm_(discriminator.trainable(), train.clip_norm)
    optimizers["discriminator"].step()

    if "no gradients of D in G's update" in gains:
        discriminator.requires_grad_(False)
    frames = batch.frames(guide.stride)
    tap = guide.tap(restored)
    logits = guide.read(tap)
    with torch.no_grad():
        clean_tap = batch.clean_tap if "clean features cached" in gains else guide.tap(batch.clean)
    parts = {
        "pixel": pixel.l1(restored[:, 0], batch.clean[:, 0], batch.widths),
        "feature": recognition.feature_distance(tap, clean_tap, frames),
        "ctc": recognition.ctc(logits, frames, batch.targets, batch.target_lengths),
        "adversarial": adversarial.generator_loss(
            discriminator(restored, batch.text, batch.text_lengths)
        ),
    }
    weights = {name: getattr(config.loss, name) for name in parts}
    level, states = (
        state.matcher.levels["proj"],
        state.matcher.text_encoder(batch.text, batch.text_lengths),
    )
    cosines = level.embed_images(tap, frames) @ level.embed_texts(states, batch.text_lengths).t()
    parts["contrastive"] = state.contrastive.loss(
        cosines, batch.same, state.matcher.inverse_temperature, state.matcher.bias
    )
    weights["contrastive"] = config.contrastive.weight
    retrieval_top1(cosines.detach(), batch.same)
    length_top1(batch, 10.0)
    for name in ("generator", "matcher"):
        optimizers[name].zero_grad(set_to_none=True)
    weighted_total(parts, weights).backward()
    for name, module in (("generator", state.generator), ("matcher", state.matcher)):
        clip_grad_norm_(module.parameters(), train.clip_norm)
        optimizers[name].step()
    discriminator.requires_grad_(True)


GAINS = (
    "clean features cached",
    "no gradients of D in G's update",
    "texts shared",
    "fused Adam",
    "batch norm folded in the recognizer",
    "channels last",
)


def plain_adam(state):
    """Replace the fused Adam by PyTorch's default one."""
    for optimizer in state.optimizers.values():
        for group in optimizer.param_groups:
            group["fused"] = False


def variant(config, gains, whole=False):
    """A callable that runs one step with these gains; with `whole` it is `train_step`."""
    data = config.data
    torch.manual_seed(0)
    recognizer = build_recognizer(config.guide, LETTERS.classes, data.height, data.width)
    guide = (
        freeze(recognizer)
        if whole or "batch norm folded in the recognizer" in gains
        else recognizer.eval().requires_grad_(False)
    )
    state = build_state(config, LETTERS, guide.widths, torch.device("cpu"))
    layout = torch.channels_last if whole or "channels last" in gains else torch.contiguous_format
    for module in (guide, state.generator, state.discriminator):
        module.to(memory_format=layout)
    if not whole and "fused Adam" not in gains:
        plain_adam(state)
    lines = LineBatches(random_lines(config, config.train.batch_size), LETTERS, torch.device("cpu"))
    batch = lines.take(range(config.train.batch_size))
    with torch.no_grad():
        batch = replace(batch, clean_tap=guide.tap(batch.clean).clone())
    if whole:
        return lambda: train_step(state, guide, batch, 10.0)
    state.generator.train()
    return lambda: reference_step(state, guide, batch, gains)


def measure(steps, rounds):
    """Seconds of each step, measured in rounds of all steps; two rounds warm up."""
    seconds = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number > 1:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main():
    """Print the reference, each gain separately and cumulated, and `train_step`, per preset."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("presets", nargs="*", default=["tiny", "small"])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--threads", type=int, default=1)
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    for preset in arguments.presets:
        config = build_config(preset)
        steps = {"reference": variant(config, ())}
        steps |= {f"+ {gain}": variant(config, (gain,)) for gain in GAINS}
        steps["all of them"] = variant(config, GAINS)
        steps["the project's step"] = variant(config, GAINS, whole=True)
        seconds = measure(steps, arguments.rounds)
        print(
            f"preset {preset}, batch {config.train.batch_size}, {arguments.threads} thread(s), "
            f"{arguments.rounds} rounds"
        )
        for name, values in seconds.items():
            ratios = [a / b for a, b in zip(seconds["reference"], values, strict=True)]
            low, _, high = (
                statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
            )
            middle = statistics.median(ratios)
            print(
                f"  {name:34s} {statistics.median(values):7.4f} s   {middle:5.2f} x "
                f"(quartiles {low:.2f} to {high:.2f})"
            )


if __name__ == "__main__":
    main()
