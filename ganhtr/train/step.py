"""One update of the discriminator and one of the generator, in FP32.

The generator's gradient is taken at the restored image, which is a leaf, and then carried back through the generator; the contrastive
term's is taken at the guide's features in the same way. So a step can run its lines in parts (`train.micro_batch`) while the contrastive
loss still compares all of them.

Legend: B batch, H height, W width, T frames, D features, L characters.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch, pad
from ganhtr.losses import adversarial, pixel, recognition
from ganhtr.losses.contrastive import FrameLoss
from ganhtr.losses.total import weighted_total
from ganhtr.metrics.text import greedy_decode
from ganhtr.models.batch_norm import without_statistics
from ganhtr.models.matcher import Matcher
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.seeds import derive_seed
from ganhtr.train.contrast import (
    Levels,
    compare_frames,
    compare_lines,
    given_texts,
    instance_labels,
    length_top1,
    shares,
)
from ganhtr.train.state import TrainState

Values = dict[str, torch.Tensor]  # named scalars, left on the device
TERMS = ("pixel", "feature", "ctc", "adversarial")


@dataclass(frozen=True)
class GivenTexts:
    """The text given to the discriminator with the clean and with the restored image: indices and lengths."""

    real: tuple[torch.Tensor, torch.Tensor]
    fake: tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Seen:
    """What a part of a batch became: the restored image with its graph (none in a first pass), a leaf of it, the guide's view."""

    restored: torch.Tensor
    image: torch.Tensor
    levels: Levels
    logits: torch.Tensor


def restore(
    generator: nn.Module, degraded_B1HW: torch.Tensor, inside_B11W: torch.Tensor
) -> torch.Tensor:
    """The restored lines: the generator's output inside each line's own width, white paper outside it."""
    return torch.where(inside_B11W, generator(degraded_B1HW), 1.0)


def look(
    guide: LineRecognizer, image: torch.Tensor
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The guide's feature levels and its logits of an image."""
    cnn, proj = guide.trunk(image)
    encoder = guide.encode(proj)
    return {"cnn": cnn, "proj": proj, "encoder": encoder}, guide.spell(encoder)


def view(state: TrainState, guide: LineRecognizer, batch: Batch) -> Seen:
    """Restores a batch and looks at it."""
    restored = restore(state.generator, batch.degraded, batch.inside)
    image = restored.detach().requires_grad_()
    return Seen(restored, image, *look(guide, image))


@torch.no_grad()
def with_clean_taps(guide: LineRecognizer, parts: list[Batch]) -> list[Batch]:
    """The parts with the guide's features of their clean lines, which several losses look at, computed now where they were not before."""
    return [
        part if part.clean_tap is not None else replace(part, clean_tap=guide.tap(part.clean))
        for part in parts
    ]


@torch.no_grad()
def twin_levels(
    guide: LineRecognizer, parts: list[Batch], twin: str, names: Collection[str]
) -> Levels:
    """The guide's features of the lines' twins, `clean` or `degraded`, on the levels named: of all parts together, without gradient."""
    each = []
    for part in parts:
        known = part.clean_tap if twin == "clean" and "cnn" not in names else None
        cnn, proj = guide.trunk(getattr(part, twin)) if known is None else (known, known)
        each.append(
            {
                "cnn": cnn,
                "proj": proj,
                "encoder": guide.encode(proj) if "encoder" in names else proj,
            }
        )
    return {name: torch.cat([levels[name] for levels in each]) for name in names}


def clean_logits(state: TrainState, guide: LineRecognizer, batch: Batch) -> torch.Tensor | None:
    """The guide's logits of the clean lines where the discriminator is given readings, else None."""
    if state.config.train.discriminator_text == "ground_truth":
        return None
    assert batch.clean_tap is not None
    with torch.no_grad():
        return guide.read(batch.clean_tap)


def discriminator_texts(
    state: TrainState,
    batch: Batch,
    frames: torch.Tensor,
    clean_logits: torch.Tensor | None,
    restored_logits: torch.Tensor,
) -> GivenTexts:
    """The transcription with both images, or, where the clean lines' logits are given, what the recognizer reads in each."""
    if clean_logits is None:
        truth = (batch.text, batch.text_lengths)
        return GivenTexts(truth, truth)

    def read(logits_BTK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [
            state.charset.encode(text) for text in greedy_decode(logits_BTK, frames, state.charset)
        ]
        lengths = torch.tensor([len(row) for row in rows], device=state.device)
        return torch.from_numpy(pad(rows)).to(state.device), lengths

    return GivenTexts(read(clean_logits), read(restored_logits))


def update_discriminator(
    state: TrainState,
    parts: list[Batch],
    images: list[torch.Tensor],
    texts: list[GivenTexts],
    measure: bool,
) -> Values:
    """One discriminator update over the parts of a batch; its loss, gradient norm and accuracies."""
    discriminator, optimizer = state.discriminator, state.optimizers["discriminator"]
    optimizer.zero_grad(set_to_none=True)
    values: dict[str, list[torch.Tensor]] = {}
    for batch, restored, given in zip(parts, images, texts, strict=True):
        real_text = discriminator.encode_text(*given.real)
        fake_text = (
            real_text if given.fake is given.real else discriminator.encode_text(*given.fake)
        )
        real, fake = (
            discriminator.judge(batch.clean, real_text),
            discriminator.judge(restored, fake_text),
        )
        loss = adversarial.discriminator_loss(real, fake).mean()
        part = {
            "discriminator": loss.detach(),
            "accuracy_real": (real > 0).float().mean(),
            "accuracy_fake": (fake < 0).float().mean(),
        }
        if measure and given.fake is not given.real:
            # the images change places, the texts stay: one that looks at the text alone now errs as often as it was right
            with torch.no_grad():
                swapped = (
                    discriminator.judge(batch.clean, fake_text) > 0,
                    discriminator.judge(restored, real_text) < 0,
                )
            part["accuracy_swapped"] = torch.cat(swapped).float().mean()
        (loss / len(parts)).backward()
        for name, value in part.items():
            values.setdefault(name, []).append(value)
    norm = clip_grad_norm_(discriminator.trainable(), state.config.train.clip_norm)
    optimizer.step()
    return {
        **{name: torch.stack(held).mean() for name, held in values.items()},
        "discriminator_norm": norm,
    }


def train_step(
    state: TrainState,
    guide: LineRecognizer,
    batch: Batch,
    pixels_per_character: float,
    measure: bool = False,
) -> Values:
    """Both updates on one batch.

    In one part the generator runs once: its output serves the discriminator's update, the contrastive loss and the generator's losses. In
    several parts a first pass without graph serves the first two, and a second, part by part, the generator's update. That update is the
    one of the whole batch but for batch norm, whose statistics are those of a part: every loss here is a mean over lines, and the
    contrastive one is computed over the whole batch. `measure` adds what costs a further backward pass or judgement.
    Returns named scalars: every unweighted loss, `total`, gradient norms, accuracies, retrieval.
    """
    train = state.config.train
    torch.manual_seed(
        derive_seed(train.seed, "dropout", state.step)
    )  # dropout in the text encoder: the same after a resume
    state.schedule.apply(state.optimizers, state.step)
    state.generator.train()
    parts = with_clean_taps(
        guide, batch.parts(max(1, len(batch) // train.micro_batch) if train.micro_batch else 1)
    )
    one_pass = len(parts) == 1
    with (
        nullcontext() if one_pass else torch.no_grad(),
        nullcontext() if one_pass else without_statistics(state.generator),
    ):
        seen = [view(state, guide, part) for part in parts]
    texts = [
        discriminator_texts(
            state,
            part,
            part.frames(guide.stride),
            clean_logits(state, guide, part),
            first.logits.detach(),
        )
        for part, first in zip(parts, seen, strict=True)
    ]
    values = update_discriminator(
        state, parts, [first.image.detach() for first in seen], texts, measure
    )
    at_levels: Levels = {}
    if state.matcher is not None and state.config.contrastive.weight:
        at_levels, contrast = update_matcher(state, state.matcher, guide, batch, parts, seen)
        values |= contrast
        if not isinstance(state.contrastive, FrameLoss):
            values["length_top1"] = length_top1(batch, pixels_per_character)
    state.optimizers["generator"].zero_grad(set_to_none=True)
    sums: dict[str, list[torch.Tensor]] = {}
    for number, (part, given) in enumerate(zip(parts, texts, strict=True)):
        own = {
            name: gradient[number * len(part) : (number + 1) * len(part)]
            for name, gradient in at_levels.items()
        }
        looked = seen[number] if one_pass else view(state, guide, part)
        losses = generator_backward(state, guide, part, looked, given, own, len(parts), measure)
        for name, value in losses.items():
            sums.setdefault(name, []).append(value)
    means = {name: torch.stack(held).mean() for name, held in sums.items()}
    if at_levels:
        means["total"] = means["total"] + state.config.contrastive.weight * values["contrastive"]
    values["generator_norm"] = clip_grad_norm_(state.generator.parameters(), train.clip_norm)
    state.optimizers["generator"].step()
    state.step += 1
    return {**means, **values}


def generator_backward(
    state: TrainState,
    guide: LineRecognizer,
    batch: Batch,
    seen: Seen,
    texts: GivenTexts,
    at_levels: Levels,
    parts: int,
    measure: bool,
) -> Values:
    """Adds the gradient of one of `parts` parts of a batch to the generator's; the part's losses, and `total` without the contrastive term.

    `at_levels` is the contrastive loss's gradient at the part's features, of the mean over the whole batch.
    """
    config, frames, tap = state.config, batch.frames(guide.stride), seen.levels["proj"]
    assert batch.clean_tap is not None
    with torch.no_grad():
        fake_text = state.discriminator.encode_text(*texts.fake)
    terms = {
        "pixel": pixel.l1(seen.image[:, 0], batch.clean[:, 0], batch.widths),
        "feature": recognition.feature_distance(tap, batch.clean_tap, frames),
        "ctc": recognition.ctc(seen.logits, frames, batch.targets, batch.target_lengths),
        "adversarial": adversarial.generator_loss(state.discriminator.judge(seen.image, fake_text)),
    }
    total = weighted_total(terms, {name: getattr(config.loss, name) for name in TERMS})
    values = {
        **{name: term.detach().mean() for name, term in terms.items()},
        "total": total.detach(),
    }
    whole = total / parts
    if at_levels:
        # a product whose gradient at the features is the contrastive term's
        contrast = (
            config.contrastive.weight
            * torch.stack([(seen.levels[name] * at).sum() for name, at in at_levels.items()]).sum()
        )
        if measure:
            values["contrastive_ratio"] = gradient_ratio(
                contrast, config.loss.pixel * terms["pixel"].mean() / parts, seen.image
            )
        whole = whole + contrast
    # asking for this gradient alone leaves out those of the discriminator's weights
    seen.restored.backward(torch.autograd.grad(whole, seen.image)[0])
    return values


def gradient_ratio(
    contrast: torch.Tensor, pixel_term: torch.Tensor, image: torch.Tensor
) -> torch.Tensor:
    """Norm of the weighted contrastive gradient at the restored image over that of the weighted pixel term; NaN without such a term."""
    norms = [
        torch.autograd.grad(term, image, retain_graph=True)[0].norm()
        for term in (contrast, pixel_term)
    ]
    return torch.where(norms[1] > 0, norms[0] / norms[1], float("nan"))


def update_matcher(
    state: TrainState,
    matcher: Matcher,
    guide: LineRecognizer,
    batch: Batch,
    parts: list[Batch],
    seen: list[Seen],
) -> tuple[Levels, Values]:
    """The contrastive loss of a batch (and its parts): its gradient at the guide's features, and a step of what the loss learns.

    That steps on the unweighted loss: the weight says how much the generator listens, not how fast the text encoder learns.
    """
    config, loss, frames = state.config, state.contrastive, batch.frames(guide.stride)
    matcher.train()
    names = shares(config.contrastive)
    leaves = {
        name: torch.cat([part.levels[name] for part in seen]).detach().requires_grad_()
        for name in names
    }
    twins = (
        loss.needs_degraded
        if isinstance(loss, FrameLoss)
        else config.contrastive.negatives == "degraded"
    )
    degraded = twin_levels(guide, parts, "degraded", names) if twins else {}
    texts = given_texts(batch, config, state.step)
    if isinstance(loss, FrameLoss):
        clean = twin_levels(guide, parts, "clean", names)
        comparison = compare_frames(
            matcher, loss, config.contrastive, leaves, clean, degraded, frames
        )
    else:
        assert loss is not None
        comparison = compare_lines(
            matcher, loss, config, state.charset, leaves, degraded, frames, texts, state.step
        )
    learned = matcher.learned()
    gradients = torch.autograd.grad(comparison.loss.mean(), [*leaves.values(), *learned])
    values = {"contrastive": comparison.loss.detach().mean(), **comparison.values}
    if learned:
        for parameter, gradient in zip(learned, gradients[len(leaves) :], strict=True):
            parameter.grad = gradient
        values["matcher_norm"] = clip_grad_norm_(learned, config.train.contrastive_clip_norm)
        state.optimizers["matcher"].step()
        windows = config.contrastive.windows if config.contrastive.pooling == "window" else 1
        matcher.settle(
            texts.rows,
            texts.lengths,
            instance_labels(texts.ids, windows),
            config.contrastive.key_momentum,
            state.step,
        )
    return dict(zip(leaves, gradients, strict=False)), values
