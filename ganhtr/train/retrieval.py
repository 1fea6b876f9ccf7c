"""Retrieval of transcriptions by the trained matcher, on the lines of a split.

Legend: B lines of a batch, N lines of the split, K other lines of a batch, P size of a vector.
"""

from __future__ import annotations

import numpy as np
import torch

from ganhtr.data.batches import Batch, LineBatches, chunks
from ganhtr.losses.contrastive import LineLoss
from ganhtr.models.matcher import Matcher
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.contrast import level_shares
from ganhtr.train.evaluate import EVALUATION_BATCH
from ganhtr.train.state import TrainState
from ganhtr.train.view import Levels, target_levels, view_batch


@torch.no_grad()
def measure_retrieval(
    state: TrainState, guide: LineRecognizer, lines: LineBatches
) -> dict[str, float]:
    """Measure how often the matcher picks a line's transcription from a batch of the split.

    `validation_top1` is that of the restored lines, `clean_top1` that of the clean ones. The
    similarity of a line is the sum over its windows and levels. Empty without a loss that compares
    lines with transcriptions, or where its weight is 0.
    """
    matcher = state.matcher
    learns = state.config.contrastive.weight > 0
    if matcher is None or not learns or not isinstance(state.contrastive, LineLoss):
        return {}
    was_training = matcher.training
    matcher.eval()
    state.restorer.eval()
    shares = level_shares(state.config.contrastive)
    texts = list[torch.Tensor]()
    images: dict[str, list[torch.Tensor]] = {"validation_top1": [], "clean_top1": []}
    for indices in chunks(len(lines), EVALUATION_BATCH):
        batch = lines.take(indices)
        texts.append(_embed_texts(matcher, batch, shares))
        restored = view_batch(state.restorer, guide, batch).levels
        clean = target_levels(guide, [batch], "clean", shares)
        for name, levels in (("validation_top1", restored), ("clean_top1", clean)):
            images[name].append(_embed_images(matcher, levels, batch.frames(guide.stride)))
    matcher.train(was_training)
    texts_NP = torch.cat(texts)
    ids_N = np.unique(lines.lines.transcripts, return_inverse=True)[1]
    batch_size = state.config.train.batch_size
    return {
        name: expected_top1((torch.cat(parts) @ texts_NP.t()).cpu().numpy(), ids_N, batch_size)
        for name, parts in images.items()
    }


def _embed_texts(matcher: Matcher, batch: Batch, shares: dict[str, float]) -> torch.Tensor:
    """Embed the transcriptions, with the share of each level: (B, P)."""
    assert matcher.text_encoder is not None
    states_BLD, lengths_B = matcher.text_encoder(batch.text, batch.text_lengths), batch.text_lengths
    levels = matcher.level_matchers().items()
    vectors = [shares[name] * level.embed_texts(states_BLD, lengths_B) for name, level in levels]
    return _side_by_side(vectors, len(batch))


def _embed_images(matcher: Matcher, features: Levels, frames_B: torch.Tensor) -> torch.Tensor:
    """Embed lines: (B, P)."""
    levels = matcher.level_matchers().items()
    vectors = [level.embed_images(features[name], frames_B) for name, level in levels]
    return _side_by_side(vectors, len(frames_B))


def _side_by_side(vectors: list[torch.Tensor], lines: int) -> torch.Tensor:
    """Join the windows and levels of each line in one vector: (B, P)."""
    return torch.cat([each.reshape(lines, -1) for each in vectors], dim=1)


def expected_top1(similarities_NN: np.ndarray, ids_N: np.ndarray, batch_size: int) -> float:
    """Return the retrieval top-1 in a random batch, the mean over all lines and batches, exactly.

    A line is matched if none of the r other transcriptions that are at least as similar as its own
    is among the other batch_size - 1 lines, which are drawn one after another. A split that is
    smaller than a batch is one batch. Lines with the same transcription are never drawn together.
    Shapes: similarities (N, N), ids (N,), equal for equal transcriptions.
    Raises: ArithmeticError for a similarity that is not finite.
    """
    if not np.isfinite(similarities_NN).all():
        raise ArithmeticError("a similarity of a line and a transcription is not finite")
    other_NN = ids_N[:, None] != ids_N[None, :]
    own_N1 = np.where(other_NN, -np.inf, similarities_NN).max(axis=1, keepdims=True)
    ahead_N = (other_NN & (similarities_NN >= own_N1)).sum(axis=1)
    others_N1 = other_NN.sum(axis=1)[:, None]
    behind_N1 = others_N1 - ahead_N[:, None]
    draws_K = np.arange(batch_size - 1)
    shares_NK = np.maximum(behind_N1 - draws_K, 0) / np.maximum(others_N1 - draws_K, 1)
    return float(np.where(draws_K < others_N1, shares_NK, 1.0).prod(axis=1).mean())
