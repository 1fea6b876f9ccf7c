"""The names of sample images: `epoch_0005_sample_0.png`, `comparison_best_sample_1.png`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"(comparison_)?(?:epoch_(\d+)|best)_sample_(\d+)\.png")


@dataclass(frozen=True)
class SampleName:
    """A sample image of a trial.

    sample: the number of the line. epoch: None for the best epoch.
    comparison: whether it shows degraded, restored and clean side by side, or the restored line.
    """

    sample: int
    epoch: int | None = None
    comparison: bool = False

    def __str__(self) -> str:
        kind = "comparison_" if self.comparison else ""
        when = "best" if self.epoch is None else f"epoch_{self.epoch:04d}"
        return f"{kind}{when}_sample_{self.sample}.png"

    @classmethod
    def parse(cls, name: str) -> SampleName | None:
        """Read a file name; None if it is no sample image."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        comparison, epoch, sample = match.groups()
        return cls(int(sample), None if epoch is None else int(epoch), bool(comparison))


def comparisons(folder: Path) -> dict[SampleName, Path]:
    """Return the comparison images of a folder, sorted by line and epoch, the best epoch first."""
    names = {}
    for path in folder.glob("*.png"):
        name = SampleName.parse(path.name)
        if name is not None and name.comparison:
            names[name] = path
    return dict(sorted(names.items(), key=lambda item: (item[0].sample, item[0].epoch or 0)))
