"""The names of sample images: `epoch_0005_sample_0.png`, `comparison_best_sample_1.png`."""

from __future__ import annotations

import re
from pathlib import Path

_COMPARISON = re.compile(r"comparison_(?:epoch_(\d+)|best)_sample_(\d+)\.png")


def sample_name(sample: int, epoch: int | None, comparison: bool = False) -> str:
    """Return the file name of a sample image.

    sample: number of the line. epoch: None for the kept epoch. comparison: whether it shows the
    degraded, restored and clean line side by side, or the restored line alone.
    """
    when = "best" if epoch is None else f"epoch_{epoch:04d}"
    return f"{'comparison_' if comparison else ''}{when}_sample_{sample}.png"


def comparisons(folder: Path) -> dict[tuple[int, int | None], Path]:
    """Return (sample, epoch) -> comparison image of a folder, in order; epoch None is the best."""
    images = {}
    for path in folder.glob("*.png"):
        if match := _COMPARISON.fullmatch(path.name):
            images[int(match[2]), int(match[1]) if match[1] else None] = path
    return dict(sorted(images.items(), key=lambda item: (item[0][0], item[0][1] or 0)))
