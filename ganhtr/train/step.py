"""One training step: an update of the discriminator and one of the generator, in FP32.

The gradient of the generator's losses is taken at the restored image, a leaf, and then propagated
through the generator; the gradient of the contrastive loss is taken at the guide's features in the
same way. So a step can process its lines in parts (`train.micro_batch`) while the contrastive loss
compares all of them.

Legend: B lines of a batch, H height, W width, T frames, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch
from ganhtr.losses import adversarial, pixel, recognition
from ganhtr.losses.contrastive import LineLoss
from ganhtr.losses.total import weighted_total
from ganhtr.models.batch_norm import without_statistics
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.models.running_average import debiased_share, update_average, warm_up_norms
from ganhtr.seeds import derive_seed
from ganhtr.train.contrast import length_top1
from ganhtr.train.discriminator_update import (
    DiscriminatorTexts,
    discriminator_texts,
    update_discriminator,
)
from ganhtr.train.matcher_update import update_matcher
from ganhtr.train.state import TrainState, Values, mean_values
from ganhtr.train.view import Levels, View, view_batch, with_clean_taps

TERMS = ("pixel", "feature", "ctc", "adversarial")


def train_step(
    state: TrainState,
    guide: LineRecognizer,
    batch: Batch,
    pixels_per_character: float,
    measure: bool = False,
) -> Values:
    """Update both networks on one batch.

    In one part the generator runs once. In several parts a first pass without graph serves the
    discriminator and the contrastive loss, and a second one, part by part, the generator's update.
    The result is that of the whole batch except for the statistics of batch norm: every loss is a
    mean over lines, and the contrastive loss is computed over the whole batch.

    `measure` adds figures that cost another pass.
    Returns named scalars: unweighted losses, `total`, gradient norms, accuracies, retrieval.
    """
    config, train = state.config, state.config.train
    # the text encoder's dropout follows from seed and step alone, so a resumed run draws the same
    torch.manual_seed(derive_seed(train.seed, "dropout", state.step))
    state.schedule.apply(state.optimizers, state.step)
    state.generator.train()
    warm_up_norms(state.generator, config.generator.bn_momentum, state.step)
    count = max(1, len(batch) // train.micro_batch) if train.micro_batch else 1
    parts = with_clean_taps(guide, batch.parts(count))
    if count == 1:
        views = [view_batch(state.generator, guide, parts[0])]
    else:
        # the second pass, not this one, updates the statistics of the batch norms
        with torch.no_grad(), without_statistics(state.generator):
            views = [view_batch(state.generator, guide, part) for part in parts]
    texts = [
        discriminator_texts(state, guide, part, view.logits.detach())
        for part, view in zip(parts, views, strict=True)
    ]
    images = [view.image.detach() for view in views]
    values = update_discriminator(state, parts, images, texts, measure)
    feature_gradients: Levels = {}
    if state.matcher is not None and config.contrastive.weight:
        levels, learns = [view.levels for view in views], not config.contrastive.frozen
        updates = config.contrastive.pretrain + state.step
        feature_gradients, contrast = update_matcher(
            state, state.matcher, guide, batch, parts, levels, state.step, updates, learns
        )
        values |= contrast
        if isinstance(state.contrastive, LineLoss):
            values["length_top1"] = length_top1(batch, pixels_per_character)
        if config.contrastive.pretrain:
            values["pretrain_top1"] = state.matcher.pretrain_top1
    state.optimizers["generator"].zero_grad(set_to_none=True)
    losses = []
    for number, (part, part_texts) in enumerate(zip(parts, texts, strict=True)):
        view = views[0] if count == 1 else view_batch(state.generator, guide, part)
        lines = slice(number * len(part), (number + 1) * len(part))
        gradients = {name: gradient[lines] for name, gradient in feature_gradients.items()}
        losses.append(
            generator_backward(state, guide, part, view, part_texts, gradients, count, measure)
        )
    means = mean_values(losses)
    if feature_gradients:
        means["total"] = means["total"] + config.contrastive.weight * values["contrastive"]
    values["generator_norm"] = clip_grad_norm_(state.generator.parameters(), train.clip_norm)
    state.optimizers["generator"].step()
    if state.average is not None:
        share = debiased_share(train.ema, state.step)
        update_average(state.average, state.generator, share)
    state.step += 1
    return {**means, **values}


def generator_backward(
    state: TrainState,
    guide: LineRecognizer,
    batch: Batch,
    view: View,
    texts: DiscriminatorTexts,
    feature_gradients: Levels,
    parts: int,
    measure: bool,
) -> Values:
    """Add the gradient of one of `parts` parts of a batch to the generator's gradient.

    `feature_gradients` are those of the contrastive loss, of the mean over the whole batch.
    Returns the losses of the part, `total` without the contrastive loss.
    """
    config, frames_B = state.config, batch.frames(guide.stride)
    assert batch.clean_tap is not None
    with torch.no_grad():
        fake_text = state.discriminator.encode_text(*texts.fake)
    fake_B = state.discriminator.classify(view.image, fake_text)
    terms = {
        "pixel": pixel.l1(view.image[:, 0], batch.clean[:, 0], batch.widths),
        "feature": recognition.feature_distance(view.levels["proj"], batch.clean_tap, frames_B),
        "ctc": recognition.ctc(view.logits, frames_B, batch.targets, batch.target_lengths),
        "adversarial": adversarial.generator_loss(fake_B),
    }
    total = weighted_total(terms, {name: getattr(config.loss, name) for name in TERMS})
    values = {name: term_B.detach().mean() for name, term_B in terms.items()}
    values["total"] = total.detach()
    objective = total / parts
    if feature_gradients:
        # The inner product of the features with their (constant) gradient has the gradient of the
        # contrastive loss, which was computed over the whole batch.
        products = [(view.levels[name] * at).sum() for name, at in feature_gradients.items()]
        contrast = config.contrastive.weight * torch.stack(products).sum()
        if measure:
            pixel_term = config.loss.pixel * terms["pixel"].mean() / parts
            values["contrastive_ratio"] = gradient_ratio(contrast, pixel_term, view.image)
        objective = objective + contrast
    # the gradient at the image alone: those of the discriminator's weights are not computed
    view.restored.backward(torch.autograd.grad(objective, view.image)[0])
    return values


def gradient_ratio(contrast: Tensor, pixel_term: Tensor, image_B1HW: Tensor) -> Tensor:
    """Ratio () of the gradient norms at the restored image: contrastive over pixel term, weighted.

    NaN where the pixel term has no gradient.
    """
    contrast_norm, pixel_norm = (
        torch.autograd.grad(term, image_B1HW, retain_graph=True)[0].norm()
        for term in (contrast, pixel_term)
    )
    return torch.where(pixel_norm > 0, contrast_norm / pixel_norm, float("nan"))
