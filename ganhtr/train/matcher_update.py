"""The contrastive part of a training step: the loss of a batch and the matcher's update.

Legend: B lines of a batch.
"""

from __future__ import annotations

import torch
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch
from ganhtr.losses.contrastive import FrameLoss
from ganhtr.models.matcher import Matcher
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.contrast import (
    Comparison,
    Texts,
    compare_frames,
    compare_lines,
    instance_labels,
    level_shares,
    paired_texts,
)
from ganhtr.train.state import TrainState, Values
from ganhtr.train.view import Levels, target_levels


def update_matcher(
    state: TrainState,
    matcher: Matcher,
    guide: LineRecognizer,
    batch: Batch,
    parts: list[Batch],
    restored: list[Levels],
    step: int,
    updates: int,
    learns: bool = True,
) -> tuple[Levels, Values]:
    """Compute the contrastive loss of a whole batch and update text encoder, heads and temperature.

    `restored` are the guide's features of the parts; `step` names the random draws; `updates` is
    the number of updates before this one, also those of pretraining. A matcher that does not learn
    is used in eval mode, and its weights stay as they are.
    Returns the gradient of the mean loss at these features, for the generator's update, and the
    loss with its diagnostics. The matcher minimises the unweighted loss: the weight scales the
    gradient of the generator, not the learning rate of the text encoder.
    """
    config = state.config
    matcher.train(learns)
    features = {
        name: torch.cat([levels[name] for levels in restored]).detach().requires_grad_()
        for name in level_shares(config.contrastive)
    }
    texts = paired_texts(batch, config, step)
    comparison = _compare(
        state, matcher, guide, parts, features, batch.frames(guide.stride), texts, step
    )
    learned = matcher.learned() if learns else []
    gradients = torch.autograd.grad(comparison.loss.mean(), [*features.values(), *learned])
    values = {"contrastive": comparison.loss.detach().mean(), **comparison.values}
    if learned:
        for parameter, gradient in zip(learned, gradients[len(features) :], strict=True):
            parameter.grad = gradient
        values["matcher_norm"] = clip_grad_norm_(learned, config.train.contrastive_clip_norm)
        state.optimizers["matcher"].step()
    labels_N = instance_labels(texts.ids, config.contrastive.instances)
    matcher.after_update(comparison.keys, labels_N, config.contrastive.key_momentum, updates)
    return dict(zip(features, gradients, strict=False)), values


def _compare(
    state: TrainState,
    matcher: Matcher,
    guide: LineRecognizer,
    parts: list[Batch],
    restored: Levels,
    frames_B: torch.Tensor,
    texts: Texts,
    step: int,
) -> Comparison:
    """The loss of the restored features; computes the guide's features of the other images."""
    config, loss = state.config, state.contrastive
    assert loss is not None
    if isinstance(loss, FrameLoss):
        degraded = target_levels(guide, parts, "degraded", restored) if loss.needs_degraded else {}
        clean = target_levels(guide, parts, "clean", restored)
        return compare_frames(
            matcher, loss, config.contrastive, restored, clean, degraded, frames_B
        )
    is_candidate = config.contrastive.negatives == "degraded"
    degraded = target_levels(guide, parts, "degraded", restored) if is_candidate else {}
    return compare_lines(
        matcher, loss, config, state.charset, restored, degraded, frames_B, texts, step
    )
