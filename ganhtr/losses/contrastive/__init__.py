"""Contrastive losses between restored image and transcription; the table names every formulation.

Each entry takes the cosine similarities of a batch and gives one value a line; `none` is the OFF arm and has no entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ganhtr.losses.contrastive.clip import clip
from ganhtr.losses.contrastive.infonce import infonce, infonce_symmetric


@dataclass(frozen=True)
class Formulation:
    """A contrastive loss: cosines (B, B), equal-text mask (B, B) bool, inverse temperature () -> loss (B,)."""

    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    learned_temperature: bool


def formulation(name: str, symmetric: bool, learned_temperature: bool) -> Formulation:
    """The loss behind a configuration's `contrastive.formulation` and its knobs."""
    table = {
        "infonce": Formulation(infonce_symmetric if symmetric else infonce, learned_temperature),
        "clip": Formulation(clip, True),
    }
    return table[name]
