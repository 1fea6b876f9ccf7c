"""Both directions of a line loss. Legend: B lines of a batch, K candidates."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def both_ways(loss: Loss) -> Loss:
    """The mean (B,) of a loss from images to texts and the same loss from texts to images.

    Further candidates (queue, degraded twins, edits) stand beside the texts of the batch and so take part in the first direction alone.
    """

    def mean_of_both(cosines_BK: Tensor, same_BK: Tensor, scale: Tensor) -> Tensor:
        lines = len(cosines_BK)
        forth = loss(cosines_BK, same_BK, scale)
        back = loss(cosines_BK[:, :lines].t(), same_BK[:, :lines].t(), scale)
        return (forth + back) / 2

    return mean_of_both
