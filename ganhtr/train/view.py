"""A batch as the generator restores it and as the guide sees it.

The restored image is cut from the generator's graph: the image is a leaf, so that a step can take
the gradient there and propagate it through the generator separately.

Legend: B lines of a batch, H height, W width, T frames, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganhtr.data.batches import Batch
from ganhtr.models.recognizer import LineRecognizer

Levels = Mapping[str, Tensor]  # name of a feature level of the guide -> (B, T, D)


@dataclass(frozen=True)
class View:
    """A restored batch and the guide's features and logits of it."""

    restored: Tensor  # (B, 1, H, W), with the generator's graph unless under no_grad
    image: Tensor  # (B, 1, H, W), a leaf with the same values; the guide's graph starts here
    levels: Levels
    logits: Tensor  # (B, T, K)


def restore(generator: nn.Module, degraded_B1HW: Tensor, inside_B11W: Tensor) -> Tensor:
    """Restore lines: the generator's output inside each line's width, white paper to its right.

    Shapes: degraded (B, 1, H, W), mask (B, 1, 1, W) -> (B, 1, H, W).
    """
    return torch.where(inside_B11W, generator(degraded_B1HW), 1.0)


def view_batch(generator: nn.Module, guide: LineRecognizer, batch: Batch) -> View:
    """Restore a batch and compute the guide's features and logits of it."""
    restored_B1HW = restore(generator, batch.degraded, batch.inside)
    image_B1HW = restored_B1HW.detach().requires_grad_()
    cnn_BTD, proj_BTD = guide.trunk(image_B1HW)
    encoder_BTD = guide.encode(proj_BTD)
    levels = {"cnn": cnn_BTD, "proj": proj_BTD, "encoder": encoder_BTD}
    return View(restored_B1HW, image_B1HW, levels, guide.ctc_logits(encoder_BTD))


@torch.no_grad()
def with_clean_taps(guide: LineRecognizer, parts: list[Batch]) -> list[Batch]:
    """Add the guide's tap of the clean lines, which several losses use, where it is not cached."""
    return [
        part if part.clean_tap is not None else replace(part, clean_tap=guide.tap(part.clean))
        for part in parts
    ]


@torch.no_grad()
def target_levels(
    guide: LineRecognizer, parts: list[Batch], image: str, names: Collection[str]
) -> Levels:
    """The guide's features of the `clean` or `degraded` images of all parts, without gradient.

    `names` are the levels to compute. A cached tap of the clean lines saves the convolutions.
    """
    levels: dict[str, list[Tensor]] = {name: [] for name in names}
    for part in parts:
        if image == "clean" and "cnn" not in names and part.clean_tap is not None:
            features = {"proj": part.clean_tap}
        else:
            features = dict(zip(("cnn", "proj"), guide.trunk(getattr(part, image)), strict=True))
        if "encoder" in names:
            features["encoder"] = guide.encode(features["proj"])
        for name in names:
            levels[name].append(features[name])
    return {name: torch.cat(parts_BTD) for name, parts_BTD in levels.items()}
