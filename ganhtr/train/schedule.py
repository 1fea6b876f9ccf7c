"""Learning rates over a trial: warm-up, then constant, cosine decay, or halved on a plateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from ganhtr.config_sections import TrainConfig

PATIENCE = 3  # epochs without an improvement before the rates are halved
GAIN = 0.01  # dB of PSNR that count as an improvement


class Schedule:
    """The factor on every learning rate at every step.

    Only the plateau schedule has state; the others depend on the step alone.
    Source: Loshchilov and Hutter 2017, eq. (5), for the cosine. Differs: no restarts, minimum 0.
    """

    def __init__(self, config: TrainConfig):
        self.kind = config.schedule
        self.warmup = config.warmup_epochs * config.steps_per_epoch
        self.decay = max(1.0, config.epochs * config.steps_per_epoch - self.warmup)
        self.best, self.stale, self.halvings = -math.inf, 0, 0

    @property
    def ends(self) -> bool:
        """Whether the rates fall to 0 with the last step: then the last weights are the result."""
        return self.kind == "cosine"

    def factor(self, step: int) -> float:
        """Return the factor for update number `step` (from 0).

        The linear warm-up starts above 0 and ends at 1. The cosine covers the rest of the trial and
        would reach 0 one step after the last.
        """
        warmup = min(1.0, (step + 1) / (self.warmup + 1))
        if self.kind == "plateau":
            return warmup * 0.5**self.halvings
        if self.kind == "cosine" and step > self.warmup:
            return (1 + math.cos(math.pi * min(1.0, (step - self.warmup) / self.decay))) / 2
        return warmup

    def observe(self, psnr: float) -> None:
        """Record the search-validation PSNR (dB) of an epoch. NaN is not an improvement."""
        if psnr > self.best + GAIN:
            self.best, self.stale = psnr, 0
        else:
            self.stale += 1
        if self.stale == PATIENCE:
            self.halvings, self.stale = self.halvings + 1, 0

    def apply(self, optimizers: Mapping[str, Optimizer], step: int) -> None:
        """Set the learning rates for update number `step`.

        Like PyTorch's schedulers, it keeps the base rate in the group as `initial_lr`, so that the
        rate is saved and loaded with the optimiser.
        """
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.factor(step)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as plain values."""
        return {"best": self.best, "stale": self.stale, "halvings": self.halvings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.best, self.stale, self.halvings = state["best"], state["stale"], state["halvings"]
