"""The generator's part of a training step: its losses, and its update.

Legend: B lines of a batch, H height, W width, T frames, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch
from ganhtr.losses import adversarial, pixel, recognition
from ganhtr.losses.total import weighted_total
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.discriminator_update import DiscriminatorTexts
from ganhtr.train.state import TrainState, Values
from ganhtr.train.view import Levels, View, view_batch

TERMS = ("pixel", "feature", "ctc", "adversarial")


def update_generator(
    state: TrainState,
    guide: LineRecognizer,
    parts: list[Batch],
    views: list[View] | None,
    texts: list[DiscriminatorTexts],
    feature_gradients: Levels,
    measure: bool,
) -> Values:
    """Update the generator once on all parts of a batch.

    `views` is None when the views of the parts have no graph of the generator and must be computed
    again. `feature_gradients` are the contrastive loss's, of the mean over the whole batch.
    Returns the losses, `total` without the contrastive term, and `generator_norm`.
    """
    state.optimizers["generator"].zero_grad(set_to_none=True)
    values: dict[str, list[Tensor]] = {}
    for number, (part, part_texts) in enumerate(zip(parts, texts, strict=True)):
        lines = slice(number * len(part), (number + 1) * len(part))
        part_gradients = {name: gradient[lines] for name, gradient in feature_gradients.items()}
        view = views[number] if views else view_batch(state.generator, guide, part)
        part_values = backward(
            state,
            part,
            view,
            part_texts,
            part.frames(guide.stride),
            part_gradients,
            len(parts),
            measure,
        )
        for name, value in part_values.items():
            values.setdefault(name, []).append(value)
    norm = clip_grad_norm_(state.generator.parameters(), state.config.train.clip_norm)
    state.optimizers["generator"].step()
    means = {name: torch.stack(parts_of_it).mean() for name, parts_of_it in values.items()}
    return {**means, "generator_norm": norm}


def backward(
    state: TrainState,
    batch: Batch,
    view: View,
    texts: DiscriminatorTexts,
    frames_B: Tensor,
    feature_gradients: Levels,
    parts: int,
    measure: bool,
) -> Values:
    """Add the gradient of one of `parts` parts of a batch to the generator's gradient."""
    config = state.config
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
    """Ratio of the gradient norms at the restored image: contrastive over pixel term, weighted.

    Returns (); NaN where the pixel term has no gradient.
    """
    contrast_norm, pixel_norm = (
        torch.autograd.grad(term, image_B1HW, retain_graph=True)[0].norm()
        for term in (contrast, pixel_term)
    )
    return torch.where(pixel_norm > 0, contrast_norm / pixel_norm, float("nan"))
