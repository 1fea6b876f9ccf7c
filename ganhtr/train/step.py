"""One update of the discriminator and one of the generator, in FP32.

Legend: B batch, H height, W width, T frames, D features, L characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch, pad
from ganhtr.losses import adversarial, pixel, recognition
from ganhtr.losses.total import weighted_total
from ganhtr.metrics.text import greedy_decode
from ganhtr.models.matcher import Matcher
from ganhtr.models.recognizer import LineReader
from ganhtr.seeds import derive_seed
from ganhtr.train.state import TrainState

Values = dict[str, torch.Tensor]  # named scalars, left on the device


@dataclass(frozen=True)
class GivenTexts:
    """The text given to the discriminator with the clean and with the restored image: indices and lengths."""

    real: tuple[torch.Tensor, torch.Tensor]
    fake: tuple[torch.Tensor, torch.Tensor]


def restore(generator: nn.Module, degraded_B1HW: torch.Tensor, inside_B11W: torch.Tensor) -> torch.Tensor:
    """The restored lines: the generator's output inside each line's own width, white paper outside it."""
    return torch.where(inside_B11W, generator(degraded_B1HW), 1.0)


def discriminator_texts(state: TrainState, batch: Batch, frames: torch.Tensor, clean_logits: torch.Tensor | None,
                        restored_logits: torch.Tensor) -> GivenTexts:
    """The transcription with both images, or, where the clean lines' logits are given, what the reader reads in each."""
    if clean_logits is None:
        truth = (batch.text, batch.text_lengths)
        return GivenTexts(truth, truth)

    def read(logits_BTK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [state.charset.encode(text) for text in greedy_decode(logits_BTK, frames, state.charset)]
        lengths = torch.tensor([len(row) for row in rows], device=state.device)
        return torch.from_numpy(pad(rows)).to(state.device), lengths

    return GivenTexts(read(clean_logits), read(restored_logits))


def update_discriminator(state: TrainState, batch: Batch, restored: torch.Tensor, texts: GivenTexts, measure: bool) -> Values:
    """One discriminator update; its loss, gradient norm and accuracies."""
    discriminator = state.discriminator
    optimizer = state.optimizers["discriminator"]
    real_text = discriminator.encode_text(*texts.real)
    fake_text = real_text if texts.fake is texts.real else discriminator.encode_text(*texts.fake)
    real, fake = discriminator.judge(batch.clean, real_text), discriminator.judge(restored, fake_text)
    loss = adversarial.discriminator_loss(real, fake).mean()
    values = {"discriminator": loss.detach(), "accuracy_real": (real > 0).float().mean(), "accuracy_fake": (fake < 0).float().mean()}
    if measure:  # the images change places, the texts stay: one that looks at the text alone now errs as often as it was right
        swapped = real, fake
        if texts.fake is not texts.real:
            with torch.no_grad():
                swapped = discriminator.judge(batch.clean, fake_text), discriminator.judge(restored, real_text)
        values["accuracy_swapped"] = torch.cat([swapped[0] > 0, swapped[1] < 0]).float().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    values["discriminator_norm"] = clip_grad_norm_(discriminator.trainable(), state.config.train.clip_norm)
    optimizer.step()
    return values


def retrieval(cosines_BB: torch.Tensor, batch: Batch, pixels_per_character: float) -> Values:
    """How often an image finds its own text: by the matcher, and by nothing but the line's length."""
    rows = torch.arange(len(batch), device=cosines_BB.device)
    found = batch.same[rows, cosines_BB.argmax(dim=1)].float().mean()
    gap = (batch.widths[:, None] - pixels_per_character * batch.text_lengths[None, :]).abs()
    nearest = gap == gap.min(dim=1, keepdim=True).values
    by_length = ((nearest & batch.same).sum(dim=1) / nearest.sum(dim=1)).mean()
    return {"retrieval_top1": found, "length_top1": by_length}


def train_step(state: TrainState, guide: LineReader, batch: Batch, pixels_per_character: float, measure: bool = False) -> Values:
    """Both updates on one batch.

    The generator runs once; its output serves the discriminator's update and, as a leaf, the generator's losses, whose gradient at
    the image is then carried back through the generator. `measure` adds what costs a second backward pass or a second judgement.
    Returns named scalars: every unweighted loss, `total`, gradient norms, accuracies, retrieval.
    """
    config, train = state.config, state.config.train
    torch.manual_seed(derive_seed(train.seed, "dropout", state.step))  # dropout in the text encoder: the same after a resume
    state.generator.train()
    restored = restore(state.generator, batch.degraded, batch.inside)
    image = restored.detach().requires_grad_()
    frames = batch.frames(guide.stride)
    tap = guide.tap(image)
    logits = guide.read(tap)
    with torch.no_grad():
        clean_tap = guide.tap(batch.clean) if batch.clean_tap is None else batch.clean_tap
        clean_logits = guide.read(clean_tap) if train.discriminator_text == "predicted" else None
    texts = discriminator_texts(state, batch, frames, clean_logits, logits.detach())
    values = update_discriminator(state, batch, image.detach(), texts, measure)

    with torch.no_grad():
        fake_text = state.discriminator.encode_text(*texts.fake)
    weights = {name: getattr(config.loss, name) for name in ("pixel", "feature", "ctc", "adversarial")}
    parts = {"pixel": pixel.l1(image[:, 0], batch.clean[:, 0], batch.widths),
             "feature": recognition.feature_distance(tap, clean_tap, frames),
             "ctc": recognition.ctc(logits, frames, batch.targets, batch.target_lengths),
             "adversarial": adversarial.generator_loss(state.discriminator.judge(image, fake_text))}
    learned: list[nn.Parameter] = []
    at_matcher: tuple[torch.Tensor, ...] = ()
    if state.matcher is not None and state.contrastive is not None and config.contrastive.weight:
        state.matcher.train()
        cosines = state.matcher(tap, frames, batch.text, batch.text_lengths)
        parts["contrastive"] = state.contrastive.loss(cosines, batch.same, state.matcher.inverse_temperature)
        weights["contrastive"] = config.contrastive.weight
        learned = [p for p in state.matcher.parameters() if p.requires_grad]
        values |= retrieval(cosines.detach(), batch, pixels_per_character)
        if measure:
            values["contrastive_ratio"] = gradient_ratio(parts, weights, image)
        at_matcher = torch.autograd.grad(parts["contrastive"].mean(), learned, retain_graph=True)
    total = weighted_total(parts, weights)
    # asking for this gradient alone leaves out those of the discriminator's weights
    values |= update_generator(state, restored, torch.autograd.grad(total, image)[0])
    if learned and state.matcher is not None:
        values["matcher_norm"] = update_matcher(state, state.matcher, learned, at_matcher)
    state.step += 1
    return {**{name: part.detach().mean() for name, part in parts.items()}, "total": total.detach(), **values}


def gradient_ratio(parts: Values, weights: dict[str, float], image: torch.Tensor) -> torch.Tensor:
    """Norm of the weighted contrastive gradient at the restored image over that of the weighted pixel term; NaN without such a term."""
    norms = [(weights[name] * torch.autograd.grad(parts[name].mean(), image, retain_graph=True)[0]).norm()
             for name in ("contrastive", "pixel")]
    return torch.where(norms[1] > 0, norms[0] / norms[1], float("nan"))


def update_generator(state: TrainState, restored: torch.Tensor, at_image: torch.Tensor) -> Values:
    """Carries the gradient at the restored image back through the generator and steps."""
    optimizer = state.optimizers["generator"]
    optimizer.zero_grad(set_to_none=True)
    restored.backward(at_image)
    norm = clip_grad_norm_(state.generator.parameters(), state.config.train.clip_norm)
    optimizer.step()
    return {"generator_norm": norm}


def update_matcher(state: TrainState, matcher: Matcher, learned: list[nn.Parameter], gradients: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Steps text encoder, heads and temperature on the unweighted contrastive loss: the weight is the generator's affair.

    The weight says how much the generator listens, not how fast the text encoder learns.
    """
    optimizer = state.optimizers["matcher"]
    for parameter, gradient in zip(learned, gradients, strict=True):
        parameter.grad = gradient
    norm = clip_grad_norm_(learned, state.config.train.contrastive_clip_norm)
    optimizer.step()
    matcher.bound_scale()
    return norm
