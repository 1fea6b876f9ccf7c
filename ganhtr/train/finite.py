"""The check that losses and gradients are finite: a trial ends at the first value that is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

NORMS = ("generator_norm", "discriminator_norm", "matcher_norm")
CHECKED_EVERY = 25  # steps; a check waits for the device, which hands over their values
PRETRAINING = 0  # in place of an epoch
CAUSES = (
    "pixel",
    "feature",
    "ctc",
    "discriminator",
    "adversarial",
    "contrastive",
    *NORMS,
    "total",
)  # causes before the values they contaminate


class Diverged(ArithmeticError):
    """A loss or gradient that is not finite. `part` names it; epoch 0 is pretraining."""

    def __init__(self, epoch: int, step: int, part: str):
        self.epoch, self.step, self.part = epoch, step, part
        where = "pretraining" if epoch == PRETRAINING else f"epoch {epoch}"
        super().__init__(f"diverged: {part} was not finite in {where}, step {step}")

    def __reduce__(self):
        return Diverged, (self.epoch, self.step, self.part)


class StepValues:
    """The values of the steps of an epoch, by name. They stay on the device until they are checked.

    `checked` has those that have left it: one number per step.
    """

    def __init__(self, epoch: int, steps: int):
        self.epoch, self.steps, self.added = epoch, steps, 0
        self.checked: dict[str, list[float]] = {}
        self._unchecked: dict[str, list[torch.Tensor]] = {}

    def add(self, values: Mapping[str, torch.Tensor]) -> None:
        """Add the values of a step; every 25 steps, and after the last, check the new ones.

        Raises: Diverged with the first step that has a value that is not finite, and its cause.
        """
        for name, value in values.items():
            self._unchecked.setdefault(name, []).append(value.detach())
        self.added += 1
        if self.added % CHECKED_EVERY == 0 or self.added == self.steps:
            new = {name: torch.stack(each).tolist() for name, each in self._unchecked.items()}
            self._require_finite(new)
            for name, numbers in new.items():
                self.checked.setdefault(name, []).extend(numbers)
            self._unchecked.clear()

    def _require_finite(self, new: Mapping[str, Sequence[float]]) -> None:
        names = [name for name in CAUSES if name in new]
        finite = np.isfinite([new[name] for name in names])
        if not finite.all():
            column = int(np.argmin(finite.all(axis=0)))
            step = self.added - finite.shape[1] + column + 1
            raise Diverged(self.epoch, step, names[int(np.argmin(finite[:, column]))])
