"""Early stopping: patience in epochs.

The counter is part of the trial's checkpoint, so that a restored trial neither forgets an epoch nor
counts it twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Patience:
    """Counts the epochs since the value last rose by more than `min_delta`.

    The first value always counts as a rise.
    """

    patience: int
    min_delta: float
    best: float = float("-inf")
    best_epoch: int = 0
    waited: int = 0

    def update(self, epoch: int, value: float) -> bool:
        """Count an epoch. Returns whether its value is an improvement."""
        if value > self.best + self.min_delta:
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    def keep(self, epoch: int, value: float) -> None:
        """Make this epoch the one that counts, whatever its value."""
        self.best, self.best_epoch, self.waited = value, epoch, 0

    @property
    def exhausted(self) -> bool:
        return self.waited >= self.patience

    def plain(self) -> dict[str, Any]:
        """The counter as plain values, for a checkpoint."""
        return asdict(self)
