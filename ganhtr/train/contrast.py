"""The contrastive term of a step: from the guide's features of a batch to its loss, its candidates and its diagnostics.

Legend: B batch, T frames, L characters (padded), I instances a line, N = B I anchors, K candidates, D features, P projected size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganhtr.charset import Charset
from ganhtr.config import Config
from ganhtr.config_sections import ContrastiveConfig
from ganhtr.data.batches import Batch
from ganhtr.losses.contrastive import FrameLoss, LineLoss
from ganhtr.losses.recognition import frame_mask
from ganhtr.models.matcher import LevelMatcher, Matcher
from ganhtr.seeds import generator
from ganhtr.train.edits import edited

Levels = Mapping[str, Tensor]  # name of a feature level -> (B, T, D)
NAMES = ("cnn", "proj", "encoder")


def shares(knobs: ContrastiveConfig) -> dict[str, float]:
    """The feature levels that a loss looks at, with their shares of it, which sum to 1."""
    if knobs.anchor != "all":
        return {knobs.anchor: 1.0}
    weights = {name: getattr(knobs, f"{name}_weight") for name in NAMES}
    return {name: weight / sum(weights.values()) for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class Texts:
    """The transcriptions that a step compares with: indices (B, L), lengths (B,), and a number (B,) for each different text."""

    rows: Tensor
    lengths: Tensor
    ids: Tensor


@dataclass(frozen=True)
class Comparison:
    """What the contrastive term says of a batch: loss (B,), and for line losses top-1 and the loss between its floor and chance."""

    loss: Tensor
    values: dict[str, Tensor]


def given_texts(batch: Batch, config: Config, step: int) -> Texts:
    """Each line's own transcription; with `shuffled` that of another line, turned by a different number of places each step."""
    texts = Texts(batch.text, batch.text_lengths, batch.text_ids)
    if not config.contrastive.shuffled:
        return texts
    turn = int(generator(config.train.seed, "shuffled texts", step).integers(1, len(batch)))
    return Texts(*(held.roll(turn, dims=0) for held in (texts.rows, texts.lengths, texts.ids)))


def compare_frames(
    matcher: Matcher,
    loss: FrameLoss,
    knobs: ContrastiveConfig,
    restored: Levels,
    clean: Levels,
    degraded: Levels,
    frames: Tensor,
) -> Comparison:
    """A frame loss on every level. Keys of the clean and the degraded line carry no gradient, but for VICReg, which spreads both sides."""
    total = torch.zeros(len(frames), device=frames.device)
    for name, share in shares(knobs).items():
        level = matcher.levels[name]
        assert isinstance(level, LevelMatcher)
        inside = frame_mask(frames, restored[name].shape[1])

        def project(
            features: Tensor, level: LevelMatcher = level, inside: Tensor = inside
        ) -> Tensor:
            return level.project_frames(features, inside) if loss.projected else features

        keys = project(clean[name])
        twins = project(degraded[name]).detach() if loss.needs_degraded else None
        total = total + share * loss.loss(
            project(restored[name]),
            keys if knobs.formulation == "vicreg" else keys.detach(),
            twins,
            frames,
            matcher.inverse_temperature,
        )
    return Comparison(total, {})


def compare_lines(
    matcher: Matcher,
    loss: LineLoss,
    config: Config,
    charset: Charset,
    restored: Levels,
    degraded: Levels,
    frames: Tensor,
    texts: Texts,
    step: int,
) -> Comparison:
    """A line loss on every level: anchors are the restored lines, candidates the batch's texts and what `negatives` and `queue` add."""
    knobs, encoder = config.contrastive, matcher.text_encoder
    assert encoder is not None
    states = encoder(texts.rows, texts.lengths)
    wrong = None
    if knobs.negatives == "edited":
        rows = edited(
            texts.rows.cpu().numpy(),
            texts.lengths.cpu().numpy(),
            len(charset),
            generator(config.train.seed, "edited texts", step),
        )
        wrong = encoder(torch.from_numpy(rows).to(texts.rows), texts.lengths)
    windows = knobs.windows if knobs.pooling == "window" else 1
    labels_N = instance_labels(texts.ids, windows)
    total, found, position = torch.zeros(len(frames), device=frames.device), [], []
    for name, share in shares(knobs).items():
        level = matcher.levels[name]
        assert isinstance(level, LevelMatcher)
        candidates, labels = [level.embed_texts(states, texts.lengths)], [labels_N]
        if knobs.negatives == "degraded":
            candidates.append(level.embed_images(degraded[name], frames))
        if wrong is not None:
            candidates.append(level.embed_texts(wrong, texts.lengths))
        labels += [torch.full_like(labels_N, -1)] * (len(candidates) - 1)
        if level.queue is not None:
            keys, held = level.queue.held()
            candidates.append(keys)
            labels.append(held)
        cosines_NK = level.embed_images(restored[name], frames) @ torch.cat(candidates).t()
        same_NK = labels_N[:, None] == torch.cat(labels)[None, :]

        def at(cosines: Tensor, same: Tensor = same_NK) -> Tensor:
            return (
                loss.loss(cosines, same, matcher.inverse_temperature, matcher.bias)
                .view(-1, windows)
                .mean(dim=1)
            )

        own = at(cosines_NK)
        total = total + share * own
        with torch.no_grad():
            found.append(share * retrieval_top1(cosines_NK[:, : len(labels_N)], same_NK))
            position.append(share * between_floor_and_chance(own.mean(), at, same_NK))
    return Comparison(
        total,
        {
            "retrieval_top1": torch.stack(found).sum(),
            "contrastive_position": torch.stack(position).sum(),
        },
    )


def between_floor_and_chance(
    loss: Tensor, at: Callable[[Tensor], Tensor], same_NK: Tensor
) -> Tensor:
    """(L - floor) / (chance - floor): 0 for the best that cosines can give, 1 where they tell nothing apart; () or NaN.

    For InfoNCE chance is ln K. The floor is the loss of a regular simplex (cosine 1 with the own text, -1/(K - 1) with every other), which
    is the optimum for unit vectors (Graf et al. 2021).
    """
    others = -1 / max(1, same_NK.shape[1] - 1)
    floor = at(torch.where(same_NK, 1.0, others)).mean()
    chance = at(torch.zeros_like(same_NK, dtype=torch.float32)).mean()
    return torch.where(chance > floor, (loss - floor) / (chance - floor), float("nan"))


def instance_labels(ids_B: Tensor, windows: int) -> Tensor:
    """A number (B I,) for each instance, equal where text and window are; never negative."""
    return (ids_B[:, None] * windows + torch.arange(windows, device=ids_B.device)).flatten()


def retrieval_top1(cosines_NN: Tensor, same_NK: Tensor) -> Tensor:
    """How often an anchor is nearest to its own text, or to an equal one, among the texts of the batch: ()."""
    return same_NK.gather(1, cosines_NN.argmax(dim=1, keepdim=True)).float().mean()


def length_top1(batch: Batch, pixels_per_character: float) -> Tensor:
    """How often nothing but a line's length would find its own text in the batch: ()."""
    gap = (batch.widths[:, None] - pixels_per_character * batch.text_lengths[None, :]).abs()
    nearest = gap == gap.min(dim=1, keepdim=True).values
    return ((nearest & batch.same).sum(dim=1) / nearest.sum(dim=1)).mean()


def random_candidates(config: Config) -> int:
    """How many candidates a line has when its queue is full: what the bias of SigLIP starts from."""
    knobs = config.contrastive
    windows = knobs.windows if knobs.pooling == "window" else 1
    return (
        config.train.batch_size * windows * (1 if knobs.negatives == "batch" else 2) + knobs.queue
    )


def starting_bias(config: Config) -> float:
    """-ln(K - 1): the log odds that a random candidate is the line's own text."""
    return float(-np.log(max(1, random_candidates(config) - 1)))
