"""Gradient clipping and adversarial losses that were measured and not taken.

`python tests/benchmarks/variants.py FOLDER [--seeds 3] [--part 0 --parts 2]` trains OFF for 400
steps with each clip norm and each variant of the adversarial loss, and prints PSNR and the judge's
CER on the test lines (moving average 0.99) and the discriminator's accuracies over the last third
of the steps: the tables of ganhtr/losses/README.md. Each run writes a JSON file to FOLDER; runs
that are there are not repeated. A variant that the project does not have replaces functions of it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from noise import ARMS, Runs, common_options, make_missing
from torch import nn
from torch.nn.utils import clip_grad_norm_, parametrizations

from ganhtr.losses import adversarial
from ganhtr.models.discriminator import Discriminator
from ganhtr.train import state as state_module
from ganhtr.train import step as step_module
from ganhtr.train.fit import training_batches
from ganhtr.train.step import train_step

DECAY = 0.99
Loss = Callable[..., torch.Tensor]


@contextmanager
def losses(of_discriminator: Loss, of_generator: Loss) -> Iterator[None]:
    """Other adversarial losses, of logits (B,): of clean and restored lines, of restored lines."""
    with (
        patch.object(adversarial, "discriminator_loss", of_discriminator),
        patch.object(adversarial, "generator_loss", of_generator),
    ):
        yield


def hard_labels():
    """Cross-entropy with labels 1 and 0 (Goodfellow et al. 2014)."""
    return losses(
        lambda real_B, fake_B: (F.softplus(-real_B) + F.softplus(fake_B)) / 2,
        lambda fake_B: F.softplus(-fake_B),
    )


def hinge():
    """Hinge loss (Lim and Ye 2017)."""
    return losses(
        lambda real_B, fake_B: (F.relu(1 - real_B) + F.relu(1 + fake_B)) / 2,
        lambda fake_B: -fake_B,
    )


def least_squares():
    """Least squares (Mao et al. 2017) with targets 1 and -1."""
    return losses(
        lambda real_B, fake_B: ((real_B - 1) ** 2 + (fake_B + 1) ** 2) / 2,
        lambda fake_B: (fake_B - 1) ** 2,
    )


@contextmanager
def r1(weight: float) -> Iterator[None]:
    """Penalty on the squared gradient at clean lines (Mescheder et al. 2018)."""

    def update(state, parts, images, texts, measure):
        network, optimizer = state.discriminator, state.optimizers["discriminator"]
        optimizer.zero_grad(set_to_none=True)
        (batch,), (restored,), (part_texts,) = parts, images, texts
        text = network.encode_text(*part_texts.real)
        clean = batch.clean.detach().clone().requires_grad_()
        real_B, fake_B = network.classify(clean, text), network.classify(restored, text)
        loss = adversarial.discriminator_loss(real_B, fake_B).mean()
        (slope,) = torch.autograd.grad(real_B.sum(), clean, create_graph=True)
        (loss + weight / 2 * slope.pow(2).sum((1, 2, 3)).mean()).backward()
        norm = clip_grad_norm_(network.trainable(), state.config.train.clip_norm)
        optimizer.step()
        return {
            "discriminator": loss.detach(),
            "accuracy_real": (real_B > 0).float().mean(),
            "accuracy_fake": (fake_B < 0).float().mean(),
            "discriminator_norm": norm,
        }

    with patch.object(step_module, "update_discriminator", update):
        yield


class SpectralDiscriminator(Discriminator):
    """The discriminator with spectral norm (Miyato et al. 2018) of its weights."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                parametrizations.spectral_norm(module)


@contextmanager
def spectral_norm() -> Iterator[None]:
    with patch.object(state_module, "Discriminator", SpectralDiscriminator):
        yield


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


VARIANTS = {
    "as it is": (as_it_is, {}),
    "clip norm 100": (as_it_is, {"train.clip_norm": 100.0}),
    "clip norm 1000": (as_it_is, {"train.clip_norm": 1000.0}),
    "no clipping": (as_it_is, {"train.clip_norm": 1e6}),
    "labels 1 and 0": (hard_labels, {}),
    "hinge": (hinge, {}),
    "least squares": (least_squares, {}),
    "R1, weight 1": (lambda: r1(1.0), {}),
    "R1, weight 10": (lambda: r1(10.0), {}),
    "spectral norm": (spectral_norm, {}),
    "rate 0.0001": (as_it_is, {"train.discriminator_lr": 1e-4}),
    "rate 0.002": (as_it_is, {"train.discriminator_lr": 2e-3}),
    "weight 0": (as_it_is, {"loss.adversarial": 0.0}),
    "weight 0.3": (as_it_is, {"loss.adversarial": 0.3}),
    "weight 1": (as_it_is, {"loss.adversarial": 1.0}),
    "weight 10": (as_it_is, {"loss.adversarial": 10.0}),
    "no clipping, generator rate 0.002": (
        as_it_is,
        {"train.clip_norm": 1e6, "train.generator_lr": 0.002},
    ),
}


def run(runs: Runs, name: str, seed: int) -> dict:
    """Metrics of the averaged weights after the last step, and the discriminator's accuracies."""
    variant, overrides = VARIANTS[name]
    with variant():
        return _train(runs, {**overrides, "train.seed": seed})


def _train(runs: Runs, overrides: dict) -> dict:
    settings = {"train.generator_lr": 0.005, "train.schedule": "constant", "train.ema": DECAY}
    state = runs.state({**ARMS["off"], **settings, "train.measure": "never", **overrides})
    accuracies: dict[str, list[float]] = {"accuracy_real": [], "accuracy_fake": []}
    for _, batch in training_batches(state, runs.bench.train):
        values = train_step(state, runs.bench.guide, batch, runs.bench.pixels_per_character)
        for name, history in accuracies.items():
            history.append(float(values[name]))
    last_third = {
        name: statistics.mean(history[len(history) * 2 // 3 :])
        for name, history in accuracies.items()
    }
    return {**runs.measure(state.restorer), **last_third}


def table(folder: Path) -> Iterator[str]:
    """Lines of text: mean and standard deviation over the seeds of each variant."""
    for name in VARIANTS:
        paths = folder.glob(f"{name}_*.json")
        made = [json.loads(path.read_text()) for path in paths]
        if made:
            figures = []
            for metric in ("psnr", "judge_cer"):
                values = [each["test"][metric] for each in made]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                figures.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
            accuracy = ", ".join(
                f"{statistics.mean(each[key] for each in made):.2f}"
                for key in ("accuracy_real", "accuracy_fake")
            )
            yield f"{name:<36}{len(made):>3} seeds  {'  '.join(figures)}  accuracy {accuracy}"


def main() -> None:
    """Runs what is missing, and prints the table."""
    arguments = common_options(str(__doc__), seeds=3).parse_args()
    jobs = [(f"{name}_{seed}", name, seed) for seed in range(arguments.seeds) for name in VARIANTS]
    make_missing(jobs, run, arguments)
    print("\n".join(table(arguments.folder)))


if __name__ == "__main__":
    main()
