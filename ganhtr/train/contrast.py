"""The contrastive loss of a batch: candidates, levels, control arm and diagnostics.

Legend: B lines of a batch, L characters (padded), T frames, I windows per line (1 without windows),
N = B I anchors, K candidates, D features, P projected size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ganhtr.charset import Charset
from ganhtr.config import Config
from ganhtr.config_sections import ContrastiveConfig
from ganhtr.data.batches import Batch
from ganhtr.losses.contrastive import FrameLoss, LineLoss
from ganhtr.losses.recognition import frame_mask
from ganhtr.models.key_queue import KeyQueue
from ganhtr.models.matcher import Matcher
from ganhtr.seeds import generator
from ganhtr.train.edits import edited
from ganhtr.train.view import Levels

LEVELS = ("cnn", "proj", "encoder")
NO_TEXT = -1  # the label of a candidate that is never a positive


def level_shares(contrastive: ContrastiveConfig) -> dict[str, float]:
    """The feature levels that the loss compares, with their shares of it, which sum to 1."""
    if contrastive.anchor != "all":
        return {contrastive.anchor: 1.0}
    weights = {name: getattr(contrastive, f"{name}_weight") for name in LEVELS}
    return {name: weight / sum(weights.values()) for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class Texts:
    """The transcriptions of a comparison."""

    rows: Tensor  # indices (B, L)
    lengths: Tensor  # (B,)
    ids: Tensor  # (B,), equal for equal transcriptions


@dataclass(frozen=True)
class Comparison:
    """The contrastive loss (B,) of a batch and, for line losses, its diagnostics ().

    `keys` are the batch's new keys (N, P) for the queue of each level.
    """

    loss: Tensor
    values: dict[str, Tensor]
    keys: dict[str, Tensor]


def paired_texts(batch: Batch, config: Config, step: int) -> Texts:
    """The transcription of each line; in the control arm (`shuffled`), that of another line.

    Shuffling rotates the transcriptions by a number of places that is drawn for each step.
    """
    texts = Texts(batch.text, batch.text_lengths, batch.text_ids)
    if not config.contrastive.shuffled:
        return texts
    places = int(generator(config.train.seed, "shuffled texts", step).integers(1, len(batch)))
    rotated = (tensor.roll(places, dims=0) for tensor in (texts.rows, texts.lengths, texts.ids))
    return Texts(*rotated)


def compare_frames(
    matcher: Matcher,
    loss: FrameLoss,
    contrastive: ContrastiveConfig,
    restored: Levels,
    clean: Levels,
    degraded: Levels,
    frames_B: Tensor,
) -> Comparison:
    """Apply a frame loss to every level.

    The degraded frames get no gradient, and the clean ones only without `detach_clean`.
    """
    total_B = torch.zeros(len(frames_B), device=frames_B.device)
    levels = matcher.level_matchers()
    for name, share in level_shares(contrastive).items():
        if loss.projected:
            mask_BT = frame_mask(frames_B, restored[name].shape[1])
            project: Callable[[Tensor], Tensor] = partial(
                levels[name].project_frames, mask_BT=mask_BT
            )
        else:
            project = nn.Identity()
        clean_BTP = project(clean[name])
        degraded_BTP = project(degraded[name]).detach() if loss.needs_degraded else None
        total_B = total_B + share * loss.loss(
            project(restored[name]),
            clean_BTP.detach() if loss.detach_clean else clean_BTP,
            degraded_BTP,
            frames_B,
            matcher.inverse_temperature,
        )
    return Comparison(total_B, {}, {})


def compare_lines(
    matcher: Matcher,
    loss: LineLoss,
    config: Config,
    charset: Charset,
    restored: Levels,
    degraded: Levels,
    frames_B: Tensor,
    texts: Texts,
    step: int,
) -> Comparison:
    """Apply a line loss to every level.

    Anchors are the restored lines. Candidates are the texts of the batch and what `negatives` adds.
    With a queue this is one half of the loss. In the other half the candidates are keys alone,
    those of the batch and of the queue: a positive from another encoder than the negatives could be
    told from them without reading the line.
    """
    contrastive, encoder = config.contrastive, matcher.text_encoder
    assert encoder is not None
    states_BLD = encoder(texts.rows, texts.lengths)
    edited_BLD = None
    if contrastive.negatives == "edited":
        rng = generator(config.train.seed, "edited texts", step)
        rows = edited(texts.rows.cpu().numpy(), texts.lengths.cpu().numpy(), len(charset), rng)
        edited_BLD = encoder(torch.from_numpy(rows).to(texts.rows), texts.lengths)
    labels_N = instance_labels(texts.ids, contrastive.instances)
    levels = matcher.level_matchers()
    key_states_BLD = matcher.key_states(texts.rows, texts.lengths)
    total_B = torch.zeros(len(frames_B), device=frames_B.device)
    top1, position, keys = [], [], {}
    for name, share in level_shares(contrastive).items():
        level = levels[name]
        negatives = []
        if contrastive.negatives == "degraded":
            negatives.append(level.embed_images(degraded[name], frames_B))
        if edited_BLD is not None:
            negatives.append(level.embed_texts(edited_BLD, texts.lengths))
        texts_NP = level.embed_texts(states_BLD, texts.lengths)
        candidate_sets = [Candidates.of_batch(texts_NP, labels_N, negatives)]
        if level.queue is not None and key_states_BLD is not None:
            keys[name] = level.embed_keys(key_states_BLD, texts.lengths)
            candidate_sets.append(Candidates.of_queue(keys[name], labels_N, level.queue))
        anchors_NP = level.embed_images(restored[name], frames_B)
        parts = [
            _compare_with(matcher, loss, anchors_NP, candidates, contrastive.instances)
            for candidates in candidate_sets
        ]
        total_B = total_B + share * torch.stack([part.loss_B for part in parts]).mean(dim=0)
        position.append(share * torch.stack([part.position for part in parts]).mean())
        top1.append(share * parts[0].top1)
    diagnostics = {
        "retrieval_top1": torch.stack(top1).sum(),
        "contrastive_position": torch.stack(position).sum(),
    }
    return Comparison(total_B, diagnostics, keys)


@dataclass(frozen=True)
class Candidates:
    """Vectors (K, P) that the anchors are compared with, and their labels (K,).

    The first N are those of the batch's texts.
    """

    vectors_KP: Tensor
    labels_K: Tensor

    @classmethod
    def of_batch(cls, texts_NP: Tensor, labels_N: Tensor, negatives: list[Tensor]) -> Candidates:
        """The embedded texts of the batch, and vectors that are never a positive."""
        never_N = torch.full_like(labels_N, NO_TEXT)
        labels = [labels_N, *(never_N for _ in negatives)]
        return cls(torch.cat([texts_NP, *negatives]), torch.cat(labels))

    @classmethod
    def of_queue(cls, keys_NP: Tensor, labels_N: Tensor, queue: KeyQueue) -> Candidates:
        """The keys of the batch and those of earlier batches, all from the momentum copy."""
        queued_QP, labels_Q = queue.contents()
        return cls(torch.cat([keys_NP, queued_QP]), torch.cat([labels_N, labels_Q]))


@dataclass(frozen=True)
class _Compared:
    """Loss (B,) of a set of candidates, its position () and the retrieval top-1 ()."""

    loss_B: Tensor
    position: Tensor
    top1: Tensor


def _compare_with(
    matcher: Matcher, loss: LineLoss, anchors_NP: Tensor, candidates: Candidates, instances: int
) -> _Compared:
    """Compare anchors with a set of candidates; the loss of a line is the mean of its instances."""
    labels_N = candidates.labels_K[: len(anchors_NP)]
    same_NK = labels_N[:, None] == candidates.labels_K[None, :]

    log_odds = -math.log(max(1, same_NK.shape[1] - 1))  # that a random candidate is the line's text

    def loss_of(cosines_NK: Tensor) -> Tensor:
        losses_N = loss.loss(
            cosines_NK, same_NK, matcher.inverse_temperature, matcher.bias + log_odds
        )
        return losses_N.view(-1, instances).mean(dim=1)

    cosines_NK = anchors_NP @ candidates.vectors_KP.t()
    loss_B = loss_of(cosines_NK)
    with torch.no_grad():
        position = between_floor_and_chance(loss_B.mean(), loss_of, same_NK)
        top1 = retrieval_top1(cosines_NK[:, : len(labels_N)], same_NK)
    return _Compared(loss_B, position, top1)


def between_floor_and_chance(
    loss: Tensor, loss_of: Callable[[Tensor], Tensor], same_NK: Tensor
) -> Tensor:
    """(loss - floor) / (chance - floor): 0 at the floor, 1 at chance; NaN where the two are equal.

    Chance is the loss of equal cosines: ln K for InfoNCE. The floor is the loss of a regular
    simplex, which has cosine 1 with the own text and -1/(K - 1) with every other one. It is the
    optimum for unit vectors.
    Shapes: () -> (). Source: Graf et al. 2021.
    """
    others = -1 / max(1, same_NK.shape[1] - 1)
    floor = loss_of(torch.where(same_NK, 1.0, others)).mean()
    chance = loss_of(torch.zeros_like(same_NK, dtype=torch.float32)).mean()
    return torch.where(chance > floor, (loss - floor) / (chance - floor), float("nan"))


def instance_labels(ids_B: Tensor, instances: int) -> Tensor:
    """Labels (N,), equal where text and window are equal; never negative."""
    window_I = torch.arange(instances, device=ids_B.device)
    return (ids_B[:, None] * instances + window_I).flatten()


def retrieval_top1(cosines_NN: Tensor, same_NK: Tensor) -> Tensor:
    """Share () of the anchors whose nearest text of the batch has the line's transcription."""
    return same_NK.gather(1, cosines_NN.argmax(dim=1, keepdim=True)).float().mean()


def length_top1(batch: Batch, pixels_per_character: float) -> Tensor:
    """Retrieval top-1 () by width alone: the share of matches among the texts nearest in length."""
    expected_widths_B = pixels_per_character * batch.text_lengths
    gap_BB = (batch.widths[:, None] - expected_widths_B[None, :]).abs()
    nearest_BB = gap_BB == gap_BB.min(dim=1, keepdim=True).values
    return ((nearest_BB & batch.same).sum(dim=1) / nearest_BB.sum(dim=1)).mean()
