"""The discriminator's part of a training step: the texts that it sees, and its update.

Legend: B lines of a batch, L characters (padded), T frames, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ganhtr.data.batches import Batch, pad
from ganhtr.losses import adversarial
from ganhtr.metrics.text import greedy_decode
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.train.state import TrainState, Values, mean_values


@dataclass(frozen=True)
class DiscriminatorTexts:
    """Indices and lengths of the texts shown with clean (`real`) and restored (`fake`) images."""

    real: tuple[Tensor, Tensor]
    fake: tuple[Tensor, Tensor]


def discriminator_texts(
    state: TrainState, guide: LineRecognizer, batch: Batch, restored_logits_BTK: Tensor
) -> DiscriminatorTexts:
    """Return the transcription for both images, or the guide's readings (`predicted`)."""
    if state.config.train.discriminator_text == "ground_truth":
        transcription = (batch.text, batch.text_lengths)
        return DiscriminatorTexts(transcription, transcription)
    assert batch.clean_tap is not None
    frames_B = batch.frames(guide.stride)
    with torch.no_grad():
        clean_logits_BTK = guide.read(batch.clean_tap)
    return DiscriminatorTexts(
        read_indices(state, clean_logits_BTK, frames_B),
        read_indices(state, restored_logits_BTK, frames_B),
    )


def read_indices(state: TrainState, logits_BTK: Tensor, frames_B: Tensor) -> tuple[Tensor, Tensor]:
    """Greedy readings as indices (B, L) and lengths (B,)."""
    readings = greedy_decode(logits_BTK, frames_B, state.charset)
    rows = [state.charset.encode(reading) for reading in readings]
    lengths_B = torch.tensor([len(row) for row in rows], device=state.device)
    return torch.from_numpy(pad(rows)).to(state.device), lengths_B


def update_discriminator(
    state: TrainState,
    parts: list[Batch],
    images: list[Tensor],
    texts: list[DiscriminatorTexts],
    measure: bool,
) -> Values:
    """Update the discriminator once on all parts of a batch.

    Returns its loss, gradient norm and accuracies. `measure` adds `accuracy_swapped` where the two
    texts differ: the accuracy after the images are swapped and the texts are not. A discriminator
    that looks at the text alone is then wrong as often as it was right.
    """
    discriminator, optimizer = state.discriminator, state.optimizers["discriminator"]
    optimizer.zero_grad(set_to_none=True)
    losses = []
    for batch, restored, part_texts in zip(parts, images, texts, strict=True):
        one_text = part_texts.fake is part_texts.real
        real_text = discriminator.encode_text(*part_texts.real)
        fake_text = real_text if one_text else discriminator.encode_text(*part_texts.fake)
        real_B = discriminator.classify(batch.clean, real_text)
        fake_B = discriminator.classify(restored, fake_text)
        loss = adversarial.discriminator_loss(real_B, fake_B).mean()
        part_values = {
            "discriminator": loss.detach(),
            "accuracy_real": (real_B > 0).float().mean(),
            "accuracy_fake": (fake_B < 0).float().mean(),
        }
        if measure and not one_text:
            with torch.no_grad():
                clean_right_B = discriminator.classify(batch.clean, fake_text) > 0
                restored_right_B = discriminator.classify(restored, real_text) < 0
            right = torch.cat([clean_right_B, restored_right_B])
            part_values["accuracy_swapped"] = right.float().mean()
        (loss / len(parts)).backward()
        losses.append(part_values)
    norm = clip_grad_norm_(discriminator.trainable(), state.config.train.clip_norm)
    optimizer.step()
    return {**mean_values(losses), "discriminator_norm": norm}
