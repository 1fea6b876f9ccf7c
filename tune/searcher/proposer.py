"""Who proposes a trial, and what: the baseline, a named first point, the grid, chance, or the sampler."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from ganhtr.seeds import derive_seed
from tune.searcher.arm_study import ArmStudy, values_key
from tune.searcher.proposal import OFF, ON, Proposal
from tune.searcher.samplers import build_sampler, grid_point, shuffled_grid
from tune.space.expression import ExpressionError
from tune.space.parameter import Parameter
from tune.space.space import Space

STARTUP_TRIALS = 4  # proposed at random before the model takes over
MODELS = ("tpe", "gp")  # samplers that need trials to learn from
SAME_AGAIN, GIVE_UP = (
    8,
    200,
)  # duplicates in a row: then chance proposes; then nothing new is looked for


def suggest_value(trial: Trial, parameter: Parameter) -> Any:
    """Asks Optuna for a value of one parameter."""
    if parameter.choices:
        return trial.suggest_categorical(parameter.key, parameter.choices)
    ask: Any = trial.suggest_int if parameter.kind == "int" else trial.suggest_float
    step: dict[str, Any] = {} if parameter.step is None else {"step": parameter.step}
    return ask(parameter.key, parameter.low, parameter.high, log=parameter.log, **step)


class Proposer:
    """Asks the sampler of each arm. A proposal depends on the space, the seed, the trial's number and the history, and on nothing else."""

    def __init__(
        self,
        space: Space,
        seed: int,
        arms: Mapping[str, ArmStudy],
        violations: Callable[[FrozenTrial], list[float]],
    ):
        self.space, self.seed, self.arms = space, seed, arms
        self._violations = violations if space.constraints else None
        self._points = [(f"first: {name}", dict(point)) for name, point in space.first.items()]
        self._points += [
            (f"first: {point['name']}", point["values"])
            for point in arms[ON].study.user_attrs.get("points", [])
        ]
        self._grids: dict[
            str, list[dict[str, Any]]
        ] = {}  # arm -> its points in their order, once they are asked for

    def parameters(self, arm: str) -> tuple[Parameter, ...]:
        """What an arm searches: OFF nothing, or the parameters that matter without contrast."""
        return self.space.parameters if arm == ON else self.space.shared_parameters

    def searches(self, arm: str) -> bool:
        """Whether the arm has anything to search."""
        return not self.space.experiment and bool(self.parameters(arm))

    def start_up(self, arm: str) -> bool:
        """Whether the next trial is proposed at random: the first four, and any while no trial has ended.

        The model takes over at the fifth trial asked for, not at the fifth that ended: otherwise each further slot would cost a random one.
        """
        held = self.arms[arm]
        return self.space.search.sampler in MODELS and (
            held.proposals + held.learned < STARTUP_TRIALS or not held.ended
        )

    def must_wait(self, arm: str, running: bool) -> bool:
        """On a wide machine: rather wait for a first result than ask for a fifth trial at random."""
        return (
            running
            and self.searches(arm)
            and self.arms[arm].proposals >= STARTUP_TRIALS
            and self.start_up(arm)
        )

    def exhausted(self, arm: str) -> str | None:
        """Why there is nothing new for an arm; None while there is."""
        if self.arms[arm].same >= GIVE_UP:
            return "every configuration was run, or cannot be"
        if self.space.search.sampler == "grid" and self.searches(arm) and self._point(arm) is None:
            return None if self._grid_point(arm) else "every point of the grid was run"
        return None

    def _grid_point(self, arm: str) -> dict[str, Any] | None:
        """The next point of the arm's grid; None when all were run."""
        if arm not in self._grids:
            points = shuffled_grid(self.space, self.parameters(arm), self.seed)
            self._grids[arm] = [
                point for point in points if self._completed(arm, point) is not None
            ]
        return grid_point(self._grids[arm], self.arms[arm].taken)

    def _point(self, arm: str) -> int | None:
        """Which point that is to be tried first comes next: those that were run before, or cannot be, are passed over."""
        held = self.arms[arm]
        number = held.proposals + sum(times >= SAME_AGAIN for times in held.tried.values())
        return number if number < len(self._points) else None

    def ask(self, arm: str) -> Trial:
        """A new trial of the arm."""
        held = self.arms[arm]
        self.prepare(arm, held.asked)
        trial = Trial(
            held.study, held.study._storage.create_new_trial(held.study._study_id)
        )  # `ask` looks through all trials before it
        held.asked += 1
        return trial

    def prepare(self, arm: str, number: int) -> None:
        """Gives the arm's study the sampler of the trial with this number."""
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
        """Who proposes the arm's next trial: in words, the sampler's name, and the values that are settled."""
        sampler, number = self.space.search.sampler, self._point(arm)
        if number is not None:
            words, point = self._points[number]
            keys = {parameter.key for parameter in self.parameters(arm)}
            return words, "random", {key: value for key, value in point.items() if key in keys}
        if sampler == "grid":
            return "grid", "random", self._grid_point(arm) or {}
        if self.arms[arm].same >= SAME_AGAIN or self.start_up(arm):
            return "random", "random", {}
        return sampler, sampler, {}

    def propose(self, arm: str, trial: Trial) -> Proposal | None:
        """The trial's proposal, kept in the journal; None where its configuration was run before, which is told to Optuna."""
        held = self.arms[arm]
        if self.space.experiment:
            by, values = (
                "experiment",
                {"train.seed": self.seed + trial.number, **self._with_baseline(arm, {})},
            )
        elif not self.searches(arm):
            by, values = "baseline", self._with_baseline(arm, {})
        else:
            by = self._plan(arm)[0]
            chosen = self.space.sample(
                lambda parameter: suggest_value(trial, parameter), self.parameters(arm)
            )
            found = self._completed(arm, chosen)
            if found is None or not self._new(arm, chosen, found):
                point = self._point(arm)
                held.note_duplicate(point)
                trial.set_user_attr("duplicate", True if point is None else point)
                held.study.tell(trial, state=TrialState.FAIL)
                return None
            values = found
            repeats = held.taken[values_key(values)]
            if repeats:
                values["train.seed"] = self.seed + repeats
        proposal = Proposal(f"{arm}-{held.proposals:03d}", arm, by, values)
        trial.set_user_attr("proposal", json.dumps(vars(proposal)))
        held.note_proposal(values)
        return proposal

    def _with_baseline(self, arm: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """With what OFF has settled, and derived values. Raises: ExpressionError where these cannot be computed."""
        return self.space.completed({**values, **(self.space.baseline if arm == OFF else {})})

    def _completed(self, arm: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same; None where it cannot be computed."""
        try:
            return self._with_baseline(arm, values)
        except ExpressionError:
            return None

    def _new(self, arm: str, chosen: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        """Whether a configuration is to be run: it is allowed, and it was not run before or repeats are wanted."""
        again = (
            self.space.search.duplicates == "skip" and self.arms[arm].taken[values_key(values)] > 0
        )
        return not again and not self.space.forbids(chosen)
