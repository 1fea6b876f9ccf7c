"""Contrastive losses. The table in `formulation` names all of them; `none` (OFF) has no entry.

There are two families. A *line loss* compares each restored line with transcriptions and sees their
cosines. A *frame loss* compares the frames of each restored line with those of the clean (and the
degraded) line and needs no text. Both return one value per line.

Legend: B lines of a batch, K candidates, T frames, P features.
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
from ganhtr.losses.contrastive.symmetry import Loss, symmetric
from ganhtr.losses.contrastive.triplet import triplet
from ganhtr.losses.contrastive.vicreg import vicreg


@dataclass(frozen=True)
class LineLoss:
    """A loss that compares lines with transcriptions.

    Shapes of `loss`: cosines (B, K), same transcription (B, K) bool, scale (1/temperature) (), bias
    () -> (B,). Column j < B is the text of line j; further columns are further candidates.
    """

    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    learned_temperature: bool
    learned_bias: bool = False


@dataclass(frozen=True)
class FrameLoss:
    """A loss that compares frames.

    With `projected`, frames pass through the projection head first. With `detach_clean`, the
    projected clean frames get no gradient.

    Shapes of `loss`: restored (B, T, P), clean (B, T, P), degraded (B, T, P) or None, frame counts
    (B,), scale (1/temperature) () -> (B,).
    """

    loss: Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor], Tensor]
    needs_degraded: bool
    projected: bool = True
    detach_clean: bool = True


def formulation(config: ContrastiveConfig) -> LineLoss | FrameLoss:
    """Return the loss that `contrastive.formulation` names, with its settings."""

    def maybe_symmetric(loss: Loss) -> Loss:
        return symmetric(loss) if config.symmetric else loss

    margin_loss = partial(triplet, margin=config.margin, mining=config.mining)
    learned = config.learned_temperature
    table: dict[str, LineLoss | FrameLoss] = {
        "infonce": LineLoss(_without_bias(maybe_symmetric(infonce)), learned),
        "clip": LineLoss(_without_bias(clip), True),
        "dcl": LineLoss(_without_bias(maybe_symmetric(dcl)), learned),
        "siglip": LineLoss(siglip, True, learned_bias=True),
        "triplet": LineLoss(_without_bias(maybe_symmetric(margin_loss)), False),
        "supcon": LineLoss(_without_bias(maybe_symmetric(supcon)), learned),
        "ratio": FrameLoss(ratio, needs_degraded=True, projected=False),
        "frame": FrameLoss(frame_nce, needs_degraded=config.negatives == "degraded"),
        "vicreg": FrameLoss(vicreg, needs_degraded=False, detach_clean=False),
    }
    return table[config.formulation]


def _without_bias(loss: Loss) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A loss without a bias, with the signature of `LineLoss.loss`."""
    return lambda cosines, same, scale, bias: loss(cosines, same, scale)
