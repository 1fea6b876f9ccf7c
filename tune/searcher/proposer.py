"""Proposals: from the baseline, a first point, the grid, at random, or from the sampler."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from ganhtr.seeds import derive_seed
from tune.arm import OFF, ON
from tune.searcher.arm_study import ArmStudy, values_key
from tune.searcher.proposal import Proposal
from tune.searcher.samplers import build_sampler, grid_point, shuffled_grid
from tune.space.expression import ExpressionError
from tune.space.parameter import Parameter
from tune.space.space import Space

STARTUP_TRIALS = 4  # proposed at random before the model takes over
MODELS = ("tpe", "gp")  # samplers that need trials to learn from
RANDOM_AFTER, GIVE_UP_AFTER = 8, 200  # duplicates in a row


def suggest_value(trial: Trial, parameter: Parameter) -> Any:
    """Ask Optuna for a value of one parameter."""
    if parameter.choices:
        return trial.suggest_categorical(parameter.key, parameter.choices)
    suggest: Any = trial.suggest_int if parameter.kind == "int" else trial.suggest_float
    step: dict[str, Any] = {} if parameter.step is None else {"step": parameter.step}
    return suggest(parameter.key, parameter.low, parameter.high, log=parameter.log, **step)


class Proposer:
    """Asks the sampler of each arm.

    A proposal depends on the space, the seed, the trial's number and the history, and on nothing
    else.

    violations: by how much a trial violates each constraint.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        arms: Mapping[str, ArmStudy],
        violations: Callable[[FrozenTrial], list[float]],
    ):
        self.space, self.seed, self.arms = space, seed, arms
        self._violations = violations if space.constraints else None
        learned = arms[ON].study.user_attrs.get("points", [])
        self._points = [
            *((f"first: {name}", dict(point)) for name, point in space.first.items()),
            *((f"first: {point['name']}", point["values"]) for point in learned),
        ]
        self._grids: dict[str, list[dict[str, Any]]] = {}  # by arm, made when first needed

    def parameters(self, arm: str) -> tuple[Parameter, ...]:
        """What an arm searches: OFF only what matters without a contrastive loss."""
        return self.space.parameters if arm == ON else self.space.shared_parameters

    def searches(self, arm: str) -> bool:
        """Whether the arm has anything to search."""
        return not self.space.experiment and bool(self.parameters(arm))

    def start_up(self, arm: str) -> bool:
        """Whether the next trial is random: the first four, and any while no trial has ended.

        The model takes over at the fifth trial proposed, not at the fifth that ended. Otherwise
        each further worker would cost a random trial.
        """
        study = self.arms[arm]
        few = study.proposals + study.learned < STARTUP_TRIALS
        return self.space.search.sampler in MODELS and (few or not study.ended)

    def must_wait(self, arm: str, running: bool) -> bool:
        """Whether to wait for a first result instead of proposing a fifth random trial."""
        enough = self.arms[arm].proposals >= STARTUP_TRIALS
        return running and enough and self.searches(arm) and self.start_up(arm)

    def exhausted(self, arm: str) -> str | None:
        """Describe why an arm has nothing new to propose; None while it has."""
        if self.arms[arm].duplicates >= GIVE_UP_AFTER:
            return "every configuration was run, or cannot be run"
        grid = self.space.search.sampler == "grid" and self.searches(arm)
        if grid and self._first_point(arm) is None and not self._grid_point(arm):
            return "every point of the grid was run"
        return None

    def _grid_point(self, arm: str) -> dict[str, Any] | None:
        """The next point of the arm's grid; None when all were run."""
        if arm not in self._grids:
            points = shuffled_grid(self.space, self.parameters(arm), self.seed)
            self._grids[arm] = [
                point for point in points if self._completed(arm, point) is not None
            ]
        return grid_point(self._grids[arm], self.arms[arm].taken)

    def _first_point(self, arm: str) -> int | None:
        """The number of the next first point; None after the last.

        Points that were run before, or cannot be run, are skipped.
        """
        study = self.arms[arm]
        skipped = sum(times >= RANDOM_AFTER for times in study.point_duplicates.values())
        number = study.proposals + skipped
        return number if number < len(self._points) else None

    def ask(self, arm: str) -> Trial:
        """Create a new trial of the arm. `Study.ask` would look through all earlier trials."""
        study = self.arms[arm]
        self.prepare(arm, study.next_number)
        trial_id = study.study._storage.create_new_trial(study.study._study_id)
        study.next_number += 1
        return Trial(study.study, trial_id)

    def prepare(self, arm: str, number: int) -> None:
        """Give the arm's study the sampler of the trial with this number."""
        if not self.searches(arm):
            return
        _, name, fixed = self._plan(arm)
        self.arms[arm].study.sampler = build_sampler(
            self.space,
            name,
            self.parameters(arm),
            derive_seed(self.seed, "sampler", arm, number) % 2**32,
            fixed=fixed,
            study_seed=derive_seed(self.seed, "sequence", arm) % 2**32,
            number=number,
            constraints_func=self._violations,
            history=self.arms[arm].history,
        )

    def _plan(self, arm: str) -> tuple[str, str, dict[str, Any]]:
        """Return who proposes the arm's next trial, the sampler's name, and the fixed values."""
        sampler, number = self.space.search.sampler, self._first_point(arm)
        if number is not None:
            name, point = self._points[number]
            keys = {parameter.key for parameter in self.parameters(arm)}
            return name, "random", {key: value for key, value in point.items() if key in keys}
        if sampler == "grid":
            return "grid", "random", self._grid_point(arm) or {}
        if self.arms[arm].duplicates >= RANDOM_AFTER or self.start_up(arm):
            return "random", "random", {}
        return sampler, sampler, {}

    def propose(self, arm: str, trial: Trial) -> Proposal | None:
        """Return the trial's proposal and write it into the journal.

        Returns None for a configuration that is forbidden or was run before. Such a trial is
        recorded as failed.
        """
        study = self.arms[arm]
        values: dict[str, Any] | None
        if self.space.experiment:
            seed = {"train.seed": self.seed + trial.number}
            proposed_by, values = "experiment", {**seed, **self._with_baseline(arm, {})}
        elif not self.searches(arm):
            proposed_by, values = "baseline", self._with_baseline(arm, {})
        else:
            proposed_by, values = self._plan(arm)[0], self._sample(arm, trial)
        if values is None:
            point = self._first_point(arm)
            study.note_duplicate(point)
            trial.set_user_attr("duplicate", True if point is None else point)
            study.study.tell(trial, state=TrialState.FAIL)
            return None
        proposal = Proposal(f"{arm}-{study.proposals:03d}", arm, proposed_by, values)
        trial.set_user_attr("proposal", json.dumps(vars(proposal)))
        study.note_proposal(values)
        return proposal

    def _sample(self, arm: str, trial: Trial) -> dict[str, Any] | None:
        """Sample the values of a trial; None if they are forbidden or were run before.

        A configuration that is repeated on purpose gets a new seed.
        """
        sampled = self.space.sample(
            lambda parameter: suggest_value(trial, parameter), self.parameters(arm)
        )
        values = self._completed(arm, sampled)
        if values is None or self.space.forbids(sampled):
            return None
        repeats = self.arms[arm].taken[values_key(values)]
        if not repeats:
            return values
        if self.space.search.duplicates == "skip":
            return None
        return {**values, "train.seed": self.seed + repeats}

    def _with_baseline(self, arm: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add OFF's baseline and the derived values.

        Raises: ExpressionError if a derived value cannot be computed.
        """
        return self.space.completed({**values, **(self.space.baseline if arm == OFF else {})})

    def _completed(self, arm: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """As `_with_baseline`, but None if a derived value cannot be computed."""
        try:
            return self._with_baseline(arm, values)
        except ExpressionError:
            return None
