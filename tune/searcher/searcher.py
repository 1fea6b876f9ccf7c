"""The searcher: Optuna's ask and tell behind Ray Tune's Searcher, with the journal as its one memory.

Each arm is an Optuna study of its own in that journal, so that the OFF arm is never seen by the sampler of the ON arm. An experiment has
no sampler: its arms take turns, a pair a seed. Whatever is cut off (a crash between two calls, a kill, Ctrl-C) is put right by `open`,
which is idempotent: trials left over are continued, none is asked for twice. Samplers and pruners are made from the journal alone, so that
they too go on as if nothing had happened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher

from tune.metric import OBJECTIVES, objective_value
from tune.searcher.arm_study import ArmStudy
from tune.searcher.proposal import OFF, ON, Proposal
from tune.searcher.proposer import Proposer
from tune.searcher.pruners import build_pruner
from tune.space.constraint import violations
from tune.space.space import Space
from tune.study.journal import open_journal

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSearcher(Searcher):
    """Proposes trials, `trials` in all, and tells Optuna how each ended.

    OFF comes first, once; it takes turns with ON in an experiment, and in a search that varies more than the contrastive side. A trial that
    ran to its end or ran out of patience is COMPLETE with its best values so far; one that was stopped from outside is PRUNED; one that
    failed is FAIL. Every epoch is reported, the last too.
    """

    def __init__(
        self,
        space: Space,
        journal: Path,
        trials: int,
        seed: int,
        objective: str | None = None,
        spent_seconds: float = 0.0,
    ):
        super().__init__()  # no metric for Ray to insist on: a trial that fails at once has none
        self.space, self.journal, self.trials, self.seed = space, journal, trials, seed
        self.objectives = (
            objective or space.objective,
            *space.objectives[1:],
        )  # a study whose recognizers are weak maximises PSNR instead
        self.began = time.monotonic() - spent_seconds
        self.arms: dict[str, ArmStudy] = {}
        self._storage: JournalStorage | None = None
        self.paused = False
        self._running: dict[
            str, tuple[str, Trial, set[int]]
        ] = {}  # Ray's trial id -> arm, Optuna trial, epochs reported
        self._halted: set[str] = set()
        self._off_metrics: list[Mapping[str, float]] = []

    def open(self) -> None:
        """Opens the studies, or makes them, and collects the trials that were left unfinished: what was running waits to be continued."""
        self._running.clear()
        storage = self._storage = self._storage or open_journal(self.journal)
        directions = [optuna.study.StudyDirection.MAXIMIZE] * len(self.objectives)
        known = {held.study_name for held in storage.get_all_studies()}
        self.arms = {
            arm: ArmStudy(
                optuna.load_study(storage=storage, study_name=arm)
                if arm in known
                else optuna.create_study(storage=storage, study_name=arm, directions=directions)
            )
            for arm in (OFF, ON)
        }
        settings = self.space.search
        self.arms[ON].study.pruner = build_pruner(
            settings.pruner,
            settings.warmup,
            self.space.start()["train.epochs"],
            self.journal.parent / "trials",
            self.objectives[0],
        )
        self.proposer = Proposer(self.space, self.seed, self.arms, self._violations)
        self._off_metrics = [
            json.loads(trial.user_attrs["metrics"])
            for trial in self.arms[OFF].study.get_trials(deepcopy=False)
            if trial.state == TrialState.COMPLETE and "metrics" in trial.user_attrs
        ]

    @property
    def learned_from(self) -> list[str]:
        """The earlier studies whose trials the sampler was given."""
        return self.arms[ON].study.user_attrs.get("learned_from", [])

    def learn_from(
        self, source: str, trials: Iterable[FrozenTrial], points: Iterable[Mapping[str, Any]]
    ) -> None:
        """Gives the sampler of the ON arm an earlier study's trials, and its best points to try first; they are no trials of this study."""
        study = self.arms[ON].study
        known = {
            (trial.user_attrs.get("warm_source"), trial.user_attrs.get("warm_start"))
            for trial in study.get_trials(deepcopy=False)
        }
        for trial in trials:
            trial.set_user_attr("warm_source", source)
            if (
                source,
                trial.user_attrs["warm_start"],
            ) not in known:  # else it was given before a crash
                study.add_trial(trial)
        told = study.user_attrs
        named = [
            {"name": f"{Path(source).name} {number}", "values": dict(values)}
            for number, values in enumerate(points, 1)
        ]
        given = told.get("points", [])  # these points too, where a crash came before the last line
        study.set_user_attr(
            "points",
            [
                *given,
                *(
                    point
                    for point in named
                    if point["values"] not in [held["values"] for held in given]
                ),
            ],
        )
        study.set_user_attr("learned_from", [*told.get("learned_from", []), source])
        self.open()

    def all_trials(self) -> Iterator[tuple[str, FrozenTrial]]:
        """Every trial of the journal with its arm, OFF first."""
        for name, arm in self.arms.items():
            for trial in arm.study.get_trials(deepcopy=False):
                yield name, trial

    @property
    def remaining(self) -> int:
        """Trials still to run: those left over and those never asked for."""
        left_over = sum(len(arm.left_over) for arm in self.arms.values())
        unnamed = sum(
            "proposal" not in trial.user_attrs
            for arm in self.arms.values()
            for trial in arm.left_over
        )
        asked = sum(arm.proposals for arm in self.arms.values()) + unnamed
        return left_over + (0 if self.spent() else max(0, self.trials - asked))

    def spent(self) -> str | None:
        """What ends the search before its last trial, in words; None while nothing does."""
        budget, on = self.space.budget, self.arms[ON]
        epochs = sum(arm.epochs for arm in self.arms.values())
        objective = OBJECTIVES[self.objectives[0]]
        if budget.total_epochs is not None and epochs >= budget.total_epochs:
            return f"{epochs} epochs were trained (budget.total_epochs {budget.total_epochs})"
        if (
            budget.target is not None
            and on.best is not None
            and on.best >= objective.sign * budget.target
        ):
            return f"{self.objectives[0]} reached {objective.shown(on.best)} (budget.target {budget.target:g})"
        if budget.no_improvement is not None and on.since_best >= budget.no_improvement:
            return f"{on.since_best} trials in a row brought no better {self.objectives[0]} (budget.no_improvement {budget.no_improvement})"
        if self.out_of_time:
            return f"its time is used up (budget.wall_hours {budget.wall_hours:g})"
        return self.proposer.exhausted(ON)

    @property
    def out_of_time(self) -> bool:
        """Whether the study's sessions took the time that it has."""
        hours = self.space.budget.wall_hours
        return hours is not None and time.monotonic() - self.began >= 3600 * hours

    def suggest(self, trial_id: str) -> Any:
        """The next trial for Ray: one left over, else one of the arm whose turn it is; None when the time has not come."""
        if self.paused:
            return None
        waiting = [name for name, arm in self.arms.items() if arm.left_over]
        if waiting:  # in the order in which they were proposed: each shall find the history that it would have found
            name = min(waiting, key=lambda name: self.arms[name].left_over[0]._trial_id)
            return self._start(
                trial_id, name, self._take_up(name, self.arms[name].left_over.pop(0))
            )
        while True:
            if sum(arm.proposals for arm in self.arms.values()) >= self.trials:
                return Searcher.FINISHED
            if (
                self.spent()
            ):  # a trial that runs may yet be the improvement that the search waits for
                return None if self._running else Searcher.FINISHED
            name = self._turn()
            if self.proposer.must_wait(
                name, running=any(arm == ON for arm, _, _ in self._running.values())
            ):
                return None
            proposed = self._start(trial_id, name, self.proposer.ask(name))
            if proposed is not None:
                return proposed

    def _take_up(self, name: str, frozen: FrozenTrial) -> Trial:
        """A trial of an earlier run, running again."""
        study = self.arms[name].study
        if frozen.state == TrialState.WAITING:
            study._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
        self.proposer.prepare(name, frozen.number)
        return Trial(study, frozen._trial_id)

    def _start(self, trial_id: str, name: str, trial: Trial) -> dict[str, Any] | None:
        """The trial's proposal, noted as running; None where its configuration was run before and shall not be run again."""
        attributes = trial.user_attrs
        proposal = (
            Proposal(**json.loads(attributes["proposal"]))
            if "proposal" in attributes
            else self.proposer.propose(name, trial)
        )
        if proposal is None:
            return None
        self._running[trial_id] = (name, trial, set(self._frozen(trial).intermediate_values))
        return vars(proposal)

    def _turn(self) -> str:
        """The arm to ask next: OFF once and then ON; both in turn in an experiment (so that an interrupted one has pairs), and where OFF
        has something to search for itself."""
        off, on = (self.arms[arm].proposals for arm in (OFF, ON))
        taking_turns = (
            self.space.experiment or self.space.off_searches
        ) and not self.proposer.exhausted(OFF)
        return OFF if off <= (on if taking_turns else 0) else ON

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the best value so far, which pruners compare; an epoch is reported once.

        Optuna takes no reports for several objectives.
        """
        _, trial, reported = self._running[trial_id]
        if len(self.objectives) == 1 and "epoch" in result and result["epoch"] not in reported:
            trial.report(result["best_value"], result["epoch"])
            reported.add(result["epoch"])

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the pruner gives the trial up at this epoch, which is reported first. Never OFF, never before the warm-up is over."""
        self.on_trial_result(trial_id, result)
        name, trial, _ = self._running[trial_id]
        settings = self.space.search
        if (
            name == OFF
            or settings.pruner == "none"
            or self.space.experiment
            or result.get("epoch", 0) < settings.warmup
        ):
            return False
        return trial.should_prune()

    def halt(self, trial_id: str) -> None:
        """Notes that a trial ends because a person asked for it."""
        self._halted.add(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells Optuna how the trial ended. Raises: OSError where the disk takes no more: it is running still then."""
        if trial_id not in self._running:
            return
        result = result or {}
        self.on_trial_result(trial_id, result)
        name, trial, _ = self._running[trial_id]
        status = "failed" if error or not result else result["status"]
        status = (
            ("halted" if trial_id in self._halted else "pruned") if status == "running" else status
        )
        values = None
        trial.set_user_attr("status", status)
        trial.set_user_attr("epochs", result.get("epoch", 0))
        if status != "failed":
            trial.set_user_attr("best_epoch", result["best_epoch"])
            metrics = result.get("best_metrics") or {
                key.removeprefix("best_metrics/"): value
                for key, value in result.items()
                if key.startswith("best_metrics/")
            }  # Ray flattens what a trial reports
            if self.space.constraints:
                trial.set_user_attr(
                    "metrics",
                    json.dumps(
                        {key: metrics[key] for key in {c.metric for c in self.space.constraints}}
                    ),
                )
                trial.set_user_attr(
                    "constraints", violations(self.space.constraints, metrics, self.off_metrics)
                )
            values = [
                result["best_value"],
                *(objective_value(each, metrics) for each in self.objectives[1:]),
            ]
        state = {
            "failed": TrialState.FAIL,
            "pruned": TrialState.PRUNED,
            "halted": TrialState.PRUNED,
        }.get(status, TrialState.COMPLETE)
        self.arms[name].study.tell(
            trial, values if state == TrialState.COMPLETE else None, state=state
        )
        del self._running[trial_id]  # only now: what could not be told has not ended
        self.arms[name].note_end(
            state,
            values[0] if values and state == TrialState.COMPLETE else None,
            result.get("epoch", 0),
        )
        if name == OFF and state == TrialState.COMPLETE and self.space.constraints:
            self._off_metrics.append(metrics)

    @property
    def off_metrics(self) -> dict[str, float] | None:
        """The means of OFF's finished trials, which constraints may refer to; None before there is one."""
        held = self._off_metrics
        return (
            {key: sum(each[key] for each in held) / len(held) for key in held[0]} if held else None
        )

    def _violations(self, frozen: FrozenTrial) -> list[float]:
        """By how much a trial breaks each constraint; none where it ended without figures."""
        return frozen.user_attrs.get("constraints", [0.0] * len(self.space.constraints))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return trial.study._storage.get_trial(trial._trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; the journal is the memory."""
        Path(checkpoint_path).write_text(str(self.journal), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """The journal is the memory: opens it."""
        self.open()

    def __getstate__(self) -> dict[str, Any]:
        """Ray copies searchers by pickling: everything but what `open` brings back."""
        return {
            **{key: value for key, value in self.__dict__.items() if key != "proposer"},
            "arms": {},
            "_running": {},
            "_storage": None,
        }
