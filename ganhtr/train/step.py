"""One training step: an update of the discriminator and one of the generator, in FP32.

The gradient of the generator's losses is taken at the restored image, a leaf, and then propagated
through the generator; the gradient of the contrastive loss is taken at the guide's features in the
same way. So a step can process its lines in parts (`train.micro_batch`) while the contrastive loss
compares all of them.
"""

from __future__ import annotations

import torch

from ganhtr.data.batches import Batch
from ganhtr.losses.contrastive import LineLoss
from ganhtr.models.batch_norm import without_statistics
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.seeds import derive_seed
from ganhtr.train.contrast import length_top1
from ganhtr.train.discriminator_update import discriminator_texts, update_discriminator
from ganhtr.train.generator_update import update_generator
from ganhtr.train.matcher_update import update_matcher
from ganhtr.train.state import TrainState, Values
from ganhtr.train.view import Levels, View, view_batch, with_clean_taps


def train_step(
    state: TrainState,
    guide: LineRecognizer,
    batch: Batch,
    pixels_per_character: float,
    measure: bool = False,
) -> Values:
    """Update both networks on one batch.

    In one part the generator runs once: its output serves the discriminator's update, the
    contrastive loss and the generator's losses. In several parts a first pass without graph serves
    the first two, and a second pass, part by part, serves the generator's update. That update is
    the one of the whole batch except for batch norm, whose statistics are those of a part: every
    loss is a mean over lines, and the contrastive loss is computed over the whole batch.

    `measure` adds figures that cost a further backward or forward pass.
    Returns named scalars: unweighted losses, `total`, gradient norms, accuracies, retrieval.
    """
    train = state.config.train
    # the text encoder's dropout follows from seed and step alone, so a resumed run draws the same
    torch.manual_seed(derive_seed(train.seed, "dropout", state.step))
    state.schedule.apply(state.optimizers, state.step)
    state.generator.train()
    count = max(1, len(batch) // train.micro_batch) if train.micro_batch else 1
    parts = with_clean_taps(guide, batch.parts(count))
    if count == 1:
        views = [view_batch(state.generator, guide, parts[0])]
    else:
        views = _views_without_graph(state, guide, parts)
    texts = [
        discriminator_texts(state, guide, part, view.logits.detach())
        for part, view in zip(parts, views, strict=True)
    ]
    images = [view.image.detach() for view in views]
    values = update_discriminator(state, parts, images, texts, measure)
    feature_gradients: Levels = {}
    if state.matcher is not None and state.config.contrastive.weight:
        feature_gradients, contrast = update_matcher(
            state, state.matcher, guide, batch, parts, views
        )
        values |= contrast
        if isinstance(state.contrastive, LineLoss):
            values["length_top1"] = length_top1(batch, pixels_per_character)
    losses = update_generator(
        state, guide, parts, views if count == 1 else None, texts, feature_gradients, measure
    )
    if feature_gradients:
        weight = state.config.contrastive.weight
        losses["total"] = losses["total"] + weight * values["contrastive"]
    state.step += 1
    generator_norm = losses.pop("generator_norm")
    return {**losses, **values, "generator_norm": generator_norm}


def _views_without_graph(
    state: TrainState, guide: LineRecognizer, parts: list[Batch]
) -> list[View]:
    """Views for a first pass over parts; the second pass updates the batch norms' statistics."""
    with torch.no_grad(), without_statistics(state.generator):
        return [view_batch(state.generator, guide, part) for part in parts]
