"""What ends a search before its last trial: the limits of its budget."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tune.arm import ON
from tune.metric import OBJECTIVES
from tune.searcher.arm_study import ArmStudy
from tune.space.settings import Budget


class Limits:
    """The limits of a search's budget.

    objective: the name of the first objective. spent_seconds: the time of the study's earlier
    sessions.
    """

    def __init__(self, budget: Budget, objective: str, spent_seconds: float):
        self.budget, self.objective = budget, objective
        self.began = time.monotonic() - spent_seconds

    @property
    def out_of_time(self) -> bool:
        """Whether the sessions of the study have used up its time."""
        hours = self.budget.wall_hours
        return hours is not None and time.monotonic() - self.began >= 3600 * hours

    def reached(self, arms: Mapping[str, ArmStudy]) -> str | None:
        """Describe the limit that ends the search; None while there is none."""
        budget, on = self.budget, arms[ON]
        epochs = sum(arm.epochs for arm in arms.values())
        if budget.total_epochs is not None and epochs >= budget.total_epochs:
            return f"{epochs} epochs were trained (budget.total_epochs {budget.total_epochs})"
        if budget.target is not None and on.best is not None:
            objective = OBJECTIVES[self.objective]
            if on.best >= objective.sign * budget.target:
                best = objective.shown(on.best)
                return f"{self.objective} reached {best} (budget.target {budget.target:g})"
        if budget.no_improvement is not None and on.since_best >= budget.no_improvement:
            return (
                f"{on.since_best} trials in a row did not improve {self.objective} "
                f"(budget.no_improvement {budget.no_improvement})"
            )
        if self.out_of_time:
            return f"the time is used up (budget.wall_hours {budget.wall_hours:g})"
        return None
