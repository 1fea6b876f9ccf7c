"""Contrastive losses; the table names every formulation. `none` is the OFF arm and has no entry.

Two families: a *line loss* compares each restored line with transcriptions and sees their cosines; a *frame loss* compares the frames of
each restored line with those of its clean (and degraded) twin and needs no text. Both give one value a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ganhtr.config_sections import ContrastiveConfig
from ganhtr.losses.contrastive.clip import clip
from ganhtr.losses.contrastive.dcl import dcl
from ganhtr.losses.contrastive.frame import frame_nce
from ganhtr.losses.contrastive.infonce import infonce
from ganhtr.losses.contrastive.ratio import ratio
from ganhtr.losses.contrastive.siglip import siglip
from ganhtr.losses.contrastive.supcon import supcon
from ganhtr.losses.contrastive.symmetry import both_ways
from ganhtr.losses.contrastive.triplet import triplet
from ganhtr.losses.contrastive.vicreg import vicreg


@dataclass(frozen=True)
class LineLoss:
    """cosines (B, K), same (B, K) bool, inverse temperature (), bias () -> loss (B,).

    Column j < B is the text of line j, further columns are further candidates; `same` marks the candidates of a line's own transcription.
    """

    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    learned_temperature: bool
    learned_bias: bool = False


@dataclass(frozen=True)
class FrameLoss:
    """restored (B, T, P), clean (B, T, P), degraded (B, T, P) or None, own frames (B,), inverse temperature () -> loss (B,).

    `projected` says whether frames go through the projection head first.
    """

    loss: Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor], Tensor]
    needs_degraded: bool
    projected: bool = True


def formulation(knobs: ContrastiveConfig) -> LineLoss | FrameLoss:
    """The loss behind `contrastive.formulation` with its knobs."""
    turn = both_ways if knobs.symmetric else (lambda loss: loss)
    learned = knobs.learned_temperature
    table: dict[str, LineLoss | FrameLoss] = {
        "infonce": LineLoss(_unbiased(turn(infonce)), learned),
        "clip": LineLoss(_unbiased(clip), True),
        "dcl": LineLoss(_unbiased(turn(dcl)), learned),
        "siglip": LineLoss(siglip, True, learned_bias=True),
        "triplet": LineLoss(
            _unbiased(turn(partial(triplet, margin=knobs.margin, mining=knobs.mining))), False
        ),
        "supcon": LineLoss(_unbiased(turn(supcon)), learned),
        "ratio": FrameLoss(ratio, needs_degraded=True, projected=False),
        "frame": FrameLoss(frame_nce, needs_degraded=knobs.negatives == "degraded"),
        "vicreg": FrameLoss(vicreg, needs_degraded=False),
    }
    return table[knobs.formulation]


def _unbiased(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A loss without a bias, in the signature of those with one."""
    return lambda cosines, same, scale, bias: loss(cosines, same, scale)
