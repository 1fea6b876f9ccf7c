"""Both directions of a line loss. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def symmetric(loss: Loss) -> Loss:
    """The mean of a loss from images to texts and the same loss from texts to images.

    Further candidates (queue, degraded lines, edited texts) follow the texts of the batch and take
    part in the direction from images to texts only.
    """

    def mean_of_both(cosines_BK: Tensor, same_BK: Tensor, scale: Tensor) -> Tensor:
        lines = len(cosines_BK)
        image_to_text_B = loss(cosines_BK, same_BK, scale)
        text_to_image_B = loss(cosines_BK[:, :lines].t(), same_BK[:, :lines].t(), scale)
        return (image_to_text_B + text_to_image_B) / 2

    return mean_of_both
