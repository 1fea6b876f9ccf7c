"""The state of a trial: networks, optimisers and the count of steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

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
from ganhtr.models.running_average import averaged_copy
from ganhtr.models.text_encoder import TextEncoder
from ganhtr.precision import require_fp32
from ganhtr.seeds import torch_stream
from ganhtr.train.contrast import level_shares
from ganhtr.train.schedule import Schedule

ADAM_EPS = 1e-7  # Keras' epsilon
Values = dict[str, Tensor]  # named scalars of a step, which stay on the device


def mean_values(parts: Sequence[Values]) -> Values:
    """Return the mean of every value over the parts of a batch."""
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}


@dataclass
class TrainState:
    """Everything that a training step changes. The recognizers are frozen and not part of it."""

    config: Config
    charset: Charset
    device: torch.device
    generator: UNet
    discriminator: Discriminator
    matcher: Matcher | None  # None in the OFF arm
    contrastive: LineLoss | FrameLoss | None
    optimizers: dict[str, torch.optim.Optimizer]
    schedule: Schedule
    average: UNet | None = None  # moving average of the generator, with train.ema
    step: int = 0

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return self.step // self.config.train.steps_per_epoch

    @property
    def restorer(self) -> nn.Module:
        """The generator that is evaluated and kept: the averaged one, if there is one."""
        return self.generator if self.average is None else self.average

    def modules(self) -> dict[str, nn.Module]:
        """The networks by name."""
        named = {
            "generator": self.generator,
            "average": self.average,
            "discriminator": self.discriminator,
            "matcher": self.matcher,
        }
        return {name: module for name, module in named.items() if module is not None}


def build_level(
    config: Config, name: str, features: int, text_features: int | None, head: HeadConfig
) -> LevelMatcher:
    """Return pooling and heads of one feature level, initialised from random streams of its name.

    `features` is the width of the level, `text_features` that of the text encoder, None without
    one.
    """
    seed, contrastive = config.train.seed, config.contrastive
    with torch_stream(seed, "image head", name):
        image_head = build_head(head, features)
    if text_features is None:
        text_head: nn.Module = nn.Identity()
    elif head.shared:
        text_head = image_head
    else:
        with torch_stream(seed, "text head", name):
            text_head = build_head(head, text_features)
    queue = None
    if contrastive.queue:
        queue = KeyQueue(contrastive.queue, features if head.kind == "none" else head.dim)
    text_pool = WindowPool(contrastive.instances)
    pool = AttentionPool(features) if contrastive.pooling == "attention" else text_pool
    return LevelMatcher(pool, text_pool, image_head, text_head, queue)


def build_matcher(
    config: Config, tokens: int, widths: Mapping[str, int]
) -> tuple[Matcher, LineLoss | FrameLoss]:
    """Return the trained side of the contrastive loss, with new weights, and the loss.

    `widths` are those of the guide's feature levels.
    """
    contrastive, loss = config.contrastive, formulation(config.contrastive)
    text_encoder, text_features = None, None
    if isinstance(loss, LineLoss):
        text_features = widths["proj" if contrastive.anchor == "all" else contrastive.anchor]
        with torch_stream(config.train.seed, "text encoder"):
            text_encoder = TextEncoder(config.text_encoder, tokens, text_features)
    projected = isinstance(loss, LineLoss) or loss.projected
    head = config.head if projected else replace(config.head, kind="none")
    levels = {
        name: build_level(config, name, widths[name], text_features, head)
        for name in level_shares(contrastive)
    }
    if isinstance(loss, FrameLoss):
        return Matcher(levels, None, contrastive.temperature, False), loss
    matcher = Matcher(
        levels,
        text_encoder,
        contrastive.temperature,
        loss.learned_temperature,
        loss.learned_bias,
    )
    return matcher, loss


def build_state(
    config: Config, charset: Charset, widths: Mapping[str, int], device: torch.device
) -> TrainState:
    """Return a trial before its first step. `widths` are those of the guide's feature levels.

    Each component is initialised from its own random stream (seed, name): the OFF arm and every ON
    arm of one seed start with the same generator and the same discriminator.
    Raises: RuntimeError as `require_fp32` does.
    """
    require_fp32()
    data, train = config.data, config.train
    with torch_stream(train.seed, "generator"):
        generator = UNet(config.generator)
    with torch_stream(train.seed, "discriminator"):
        discriminator = Discriminator(config.discriminator, data.height, data.width, charset.tokens)
    generator.to(device, memory_format=torch.channels_last)
    discriminator.to(device, memory_format=torch.channels_last)
    weights, lr = discriminator.trainable(), train.discriminator_lr
    optimizers: dict[str, torch.optim.Optimizer] = {
        "generator": _adam(generator.parameters(), train.generator_lr, train.generator_beta1),
        "discriminator": torch.optim.SGD(weights, lr=lr, momentum=0.9)
        if train.discriminator_optimizer == "sgd"
        else _adam(weights, lr, 0.5),
    }
    matcher = loss = None
    if config.contrastive.formulation != "none":
        matcher, loss = build_matcher(config, charset.tokens, widths)
        matcher.to(device)
        if learned := matcher.learned():  # the ratio loss has nothing to learn
            optimizers["matcher"] = _adam(learned, train.contrastive_lr, 0.9)
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
        averaged_copy(generator) if train.ema else None,
    )


def _adam(parameters: Iterable[nn.Parameter], lr: float, beta1: float) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=lr, betas=(beta1, 0.999), eps=ADAM_EPS, fused=True)
