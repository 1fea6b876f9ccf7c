"""Learning rates over a trial: warm-up, then constant, falling as a cosine, or halved where validation stands still."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from ganhtr.config_sections import TrainConfig

PATIENCE = 3  # epochs without a gain before the rates are halved
GAIN = 0.01  # dB that count as one


class Schedule:
    """The factor on every learning rate, step by step. What it remembers is the plateau's; all else follows from the step.

    Source of the cosine: Loshchilov and Hutter 2017, eq. (5), without restarts and down to 0.
    """

    def __init__(self, config: TrainConfig):
        self.kind = config.schedule
        self.warmup = config.warmup_epochs * config.steps_per_epoch
        self.fall = max(1.0, config.epochs * config.steps_per_epoch - self.warmup)
        self.best, self.stale, self.halvings = -math.inf, 0, 0

    def factor(self, step: int) -> float:
        """The factor of update number `step` (from 0).

        Warm-up rises in equal steps, the first of them above 0, and reaches 1 where it ends; the cosine takes what is left of the
        trial and comes to 0 one step after the last.
        """
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.kind == "plateau":
            return rise * 0.5**self.halvings
        if self.kind == "cosine" and step > self.warmup:
            return (1 + math.cos(math.pi * min(1.0, (step - self.warmup) / self.fall))) / 2
        return rise

    def observe(self, psnr: float) -> None:
        """Takes an epoch's search-validation PSNR (dB). NaN is no gain."""
        if psnr > self.best + GAIN:
            self.best, self.stale = psnr, 0
        else:
            self.stale += 1
        if self.stale == PATIENCE:
            self.halvings, self.stale = self.halvings + 1, 0

    def apply(self, optimizers: Mapping[str, Optimizer], step: int) -> None:
        """Sets the learning rates of update number `step`.

        The rate that the factor is of is kept in the group, as PyTorch's own schedulers do: it is saved and loaded with the optimiser,
        and a group without it has never been changed, so that its rate is the whole one.
        """
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.factor(step)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know, as plain values."""
        return {"best": self.best, "stale": self.stale, "halvings": self.halvings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.best, self.stale, self.halvings = state["best"], state["stale"], state["halvings"]
