"""The moving parts of a trial: networks, optimisers and the count of steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ganhtr.charset import Charset
from ganhtr.config import Config
from ganhtr.losses.contrastive import Formulation, formulation
from ganhtr.models.discriminator import Discriminator
from ganhtr.models.generator import UNet
from ganhtr.models.heads import build_head
from ganhtr.models.matcher import Matcher
from ganhtr.models.text_encoder import TextEncoder
from ganhtr.precision import require_fp32
from ganhtr.seeds import torch_stream

ADAM_EPS = 1e-7  # Keras' epsilon


@dataclass
class TrainState:
    """Everything that a step changes. The readers are frozen and live beside it."""

    config: Config
    charset: Charset
    device: torch.device
    generator: UNet
    discriminator: Discriminator
    matcher: Matcher | None  # None in the OFF arm
    contrastive: Formulation | None
    optimizers: dict[str, torch.optim.Optimizer]
    step: int = 0

    @property
    def epoch(self) -> int:
        """Whole epochs behind us."""
        return self.step // self.config.train.steps_per_epoch

    def modules(self) -> dict[str, nn.Module]:
        """The trained networks by name."""
        named = {"generator": self.generator, "discriminator": self.discriminator}
        return named if self.matcher is None else {**named, "matcher": self.matcher}


def build_matcher(config: Config, tokens: int, features: int) -> tuple[Matcher, Formulation]:
    """The contrastive side with fresh weights, each component from its own stream of random numbers."""
    seed, knobs = config.train.seed, config.contrastive
    loss = formulation(knobs.formulation, knobs.symmetric, knobs.learned_temperature)
    with torch_stream(seed, "text encoder"):
        text_encoder = TextEncoder(config.text_encoder, tokens, features)
    with torch_stream(seed, "image head"):
        image_head = build_head(config.head, features)
    with torch_stream(seed, "text head"):
        text_head = build_head(config.head, features)
    return Matcher(text_encoder, image_head, text_head, knobs.temperature, loss.learned_temperature), loss


def build_state(config: Config, charset: Charset, features: int, device: torch.device) -> TrainState:
    """A trial before its first step. `features` is the width of the guide's tap.

    Each component is initialised from its own stream (seed, name): the OFF arm and every ON arm of one seed start with the same
    generator and the same discriminator.
    """
    require_fp32()
    train = config.train
    with torch_stream(train.seed, "generator"):
        generator = UNet(config.generator)
    with torch_stream(train.seed, "discriminator"):
        discriminator = Discriminator(config.discriminator, config.data.height, config.data.width, charset.tokens)
    generator.to(device, memory_format=torch.channels_last)
    discriminator.to(device, memory_format=torch.channels_last)
    optimizers: dict[str, torch.optim.Optimizer] = {
        "generator": torch.optim.Adam(generator.parameters(), lr=train.generator_lr, betas=(train.generator_beta1, 0.999),
                                      eps=ADAM_EPS, fused=True)}
    if train.discriminator_optimizer == "sgd":
        optimizers["discriminator"] = torch.optim.SGD(discriminator.trainable(), lr=train.discriminator_lr, momentum=0.9)
    else:
        optimizers["discriminator"] = torch.optim.Adam(discriminator.trainable(), lr=train.discriminator_lr,
                                                       betas=(0.5, 0.999), eps=ADAM_EPS, fused=True)
    matcher = loss = None
    if config.contrastive.formulation != "none":
        matcher, loss = build_matcher(config, charset.tokens, features)
        matcher.to(device)
        learned = [p for p in matcher.parameters() if p.requires_grad]
        optimizers["matcher"] = torch.optim.Adam(learned, lr=train.contrastive_lr, eps=ADAM_EPS, fused=True)
    return TrainState(config, charset, device, generator, discriminator, matcher, loss, optimizers)
