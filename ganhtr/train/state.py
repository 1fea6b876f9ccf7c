"""The moving parts of a trial: networks, optimisers and the count of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from ganhtr.charset import Charset
from ganhtr.config import Config
from ganhtr.config_sections import HeadConfig
from ganhtr.losses.contrastive import FrameLoss, LineLoss, formulation
from ganhtr.models.discriminator import Discriminator
from ganhtr.models.generator import UNet
from ganhtr.models.heads import build_head
from ganhtr.models.key_queue import KeyQueue
from ganhtr.models.matcher import LevelMatcher, Matcher
from ganhtr.models.pooling import AttentionPool, WindowPool
from ganhtr.models.text_encoder import TextEncoder
from ganhtr.precision import require_fp32
from ganhtr.seeds import torch_stream
from ganhtr.train.contrast import shares, starting_bias
from ganhtr.train.schedule import Schedule

ADAM_EPS = 1e-7  # Keras' epsilon


@dataclass
class TrainState:
    """Everything that a step changes. The recognizers are frozen and live beside it."""

    config: Config
    charset: Charset
    device: torch.device
    generator: UNet
    discriminator: Discriminator
    matcher: Matcher | None  # None in the OFF arm
    contrastive: LineLoss | FrameLoss | None
    optimizers: dict[str, torch.optim.Optimizer]
    schedule: Schedule
    step: int = 0

    @property
    def epoch(self) -> int:
        """Whole epochs behind us."""
        return self.step // self.config.train.steps_per_epoch

    def modules(self) -> dict[str, nn.Module]:
        """The trained networks by name."""
        named = {"generator": self.generator, "discriminator": self.discriminator}
        return named if self.matcher is None else {**named, "matcher": self.matcher}


def build_level(
    config: Config, name: str, features: int, texts: int | None, head: HeadConfig
) -> LevelMatcher:
    """One level's pooling and heads, each from its own stream of random numbers; `texts` is the text encoder's width, if there is one."""
    seed, knobs = config.train.seed, config.contrastive
    windows = knobs.windows if knobs.pooling == "window" else 1
    with torch_stream(seed, "image head", name):
        image_head = build_head(head, features)
    if texts is None:
        text_head: nn.Module = nn.Identity()
    elif head.shared:
        text_head = image_head
    else:
        with torch_stream(seed, "text head", name):
            text_head = build_head(head, texts)
    queue = (
        KeyQueue(knobs.queue, features if head.kind == "none" else head.dim)
        if knobs.queue
        else None
    )
    pool = AttentionPool(features) if knobs.pooling == "attention" else WindowPool(windows)
    return LevelMatcher(pool, WindowPool(windows), image_head, text_head, queue)


def build_matcher(
    config: Config, tokens: int, widths: Mapping[str, int]
) -> tuple[Matcher, LineLoss | FrameLoss]:
    """The contrastive side with fresh weights. `widths` are those of the guide's feature levels."""
    knobs, loss = config.contrastive, formulation(config.contrastive)
    text_encoder, texts = None, None
    if isinstance(loss, LineLoss):
        texts = widths["proj" if knobs.anchor == "all" else knobs.anchor]
        with torch_stream(config.train.seed, "text encoder"):
            text_encoder = TextEncoder(config.text_encoder, tokens, texts)
    projected = isinstance(loss, LineLoss) or loss.projected
    head = config.head if projected else replace(config.head, kind="none")
    levels = {name: build_level(config, name, widths[name], texts, head) for name in shares(knobs)}
    if not isinstance(loss, LineLoss):
        return Matcher(levels, None, knobs.temperature, False), loss
    return Matcher(
        levels,
        text_encoder,
        knobs.temperature,
        loss.learned_temperature,
        starting_bias(config) if loss.learned_bias else 0.0,
        loss.learned_bias,
    ), loss


def build_state(
    config: Config, charset: Charset, widths: Mapping[str, int], device: torch.device
) -> TrainState:
    """A trial before its first step. `widths` are those of the guide's feature levels.

    Each component is initialised from its own stream (seed, name): the OFF arm and every ON arm of one seed start with the same
    generator and the same discriminator.
    """
    require_fp32()
    train = config.train
    with torch_stream(train.seed, "generator"):
        generator = UNet(config.generator)
    with torch_stream(train.seed, "discriminator"):
        discriminator = Discriminator(
            config.discriminator, config.data.height, config.data.width, charset.tokens
        )
    generator.to(device, memory_format=torch.channels_last)
    discriminator.to(device, memory_format=torch.channels_last)
    optimizers: dict[str, torch.optim.Optimizer] = {
        "generator": torch.optim.Adam(
            generator.parameters(),
            lr=train.generator_lr,
            betas=(train.generator_beta1, 0.999),
            eps=ADAM_EPS,
            fused=True,
        )
    }
    if train.discriminator_optimizer == "sgd":
        optimizers["discriminator"] = torch.optim.SGD(
            discriminator.trainable(), lr=train.discriminator_lr, momentum=0.9
        )
    else:
        optimizers["discriminator"] = torch.optim.Adam(
            discriminator.trainable(),
            lr=train.discriminator_lr,
            betas=(0.5, 0.999),
            eps=ADAM_EPS,
            fused=True,
        )
    matcher = loss = None
    if config.contrastive.formulation != "none":
        matcher, loss = build_matcher(config, charset.tokens, widths)
        matcher.to(device)
        if learned := matcher.learned():  # the ratio loss has nothing to learn
            optimizers["matcher"] = torch.optim.Adam(
                learned, lr=train.contrastive_lr, eps=ADAM_EPS, fused=True
            )
    return TrainState(
        config,
        charset,
        device,
        generator,
        discriminator,
        matcher,
        loss,
        optimizers,
        Schedule(train),
    )
