"""Whether the matcher learned: what a result without gain allows to conclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tune.reporting.paired_difference import mean

LEARNED = 0.10  # top-1 on clean lines above what length or chance gives


def matcher_learning(metrics: Sequence[Mapping[str, Any]], batch_size: int) -> list[str]:
    """Return whether the matcher of some runs learned to match lines with their transcriptions.

    metrics: those of the last epoch of each run. Empty for losses that compare no transcriptions.
    """

    def average(name: str) -> float:
        return mean(np.array([each.get(name) for each in metrics], dtype=float))

    clean, restored, length = map(average, ("clean_top1", "validation_top1", "length_top1"))
    if np.isnan(clean):
        return []
    chance = 1 / batch_size
    figures = (
        f"from the {batch_size} transcriptions of a batch it picks that of a clean "
        f"search-validation line in {clean:.0%} of cases and that of a restored one in "
        f"{restored:.0%} (length alone {length:.0%}, chance {chance:.0%})"
    )
    pretrained = average("pretrain_top1")
    if pretrained > 0:
        figures += f"; after pretraining it was {pretrained:.0%} on clean training lines"
    if clean < np.nanmax([chance, length]) + LEARNED:
        return [
            f"The matcher did not learn: {figures}. So these runs do not show whether contrast "
            "helps. Train longer, or pretrain the matcher (`contrastive.pretrain`)."
        ]
    return [
        f"The matcher learned: {figures}. So a result without gain is not due to a matcher that "
        "did not learn."
    ]
