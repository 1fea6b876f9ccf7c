"""The searcher: Optuna's ask and tell behind Ray Tune's Searcher. The journal is its only memory.

Each arm is an Optuna study of its own in that journal, so that the sampler of the ON arm never sees
OFF. An experiment has no sampler: its arms take turns, one pair for each seed. `open` repairs what
an interruption left (a crash between two calls, a kill, Ctrl-C) and is idempotent: unfinished
trials continue, and none is proposed twice. Samplers and pruners are built from the journal alone,
so that they continue as if nothing had happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher

from tune.arm import OFF, ON
from tune.metric import objective_value
from tune.searcher.arm_study import ArmStudy
from tune.searcher.limits import Limits
from tune.searcher.proposal import Proposal
from tune.searcher.proposer import Proposer
from tune.searcher.pruners import build_pruner
from tune.space.constraint import mean_metrics, violations
from tune.space.space import Space
from tune.study.journal import open_journal
from tune.study.trial_status import TrialStatus

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass
class RunningTrial:
    """A trial that Ray runs: its arm, its Optuna trial, and the epochs reported to Optuna."""

    arm: str
    trial: Trial
    reported: set[int]
    halted: bool = False  # a person has stopped it

    def status(self, result: Mapping[str, Any], error: bool) -> TrialStatus:
        """How the trial ended. One that was still running has been stopped from outside."""
        if error or not result:
            return TrialStatus.FAILED
        status = TrialStatus(result["status"])
        if status != TrialStatus.RUNNING:
            return status
        return TrialStatus.HALTED if self.halted else TrialStatus.PRUNED


class OptunaSearcher(Searcher):
    """Proposes `trials` trials in all, and tells Optuna how each ended.

    OFF comes first, once. It takes turns with ON in an experiment, and in a search that varies more
    than the contrastive side. A trial that ran to its end or out of patience is COMPLETE with its
    best values; one that was stopped from outside is PRUNED; one that failed is FAIL. Every epoch
    is reported, the last one too.

    objective: replaces the space's first objective. With weak recognizers a study maximises PSNR.
    spent_seconds: the time of the study's earlier sessions.
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
        super().__init__()  # without a metric: a trial that fails in its first epoch has none
        self.space, self.journal, self.trials, self.seed = space, journal, trials, seed
        self.objectives = (objective or space.objective, *space.objectives[1:])
        self.limits = Limits(space.budget, self.objectives[0], spent_seconds)
        self.arms: dict[str, ArmStudy] = {}
        self.paused = False
        self._storage: JournalStorage | None = None
        self._running: dict[str, RunningTrial] = {}  # by Ray's trial id
        self._off_metrics: list[Mapping[str, float]] = []

    def open(self) -> None:
        """Open or create the arms' studies. Trials that were left running wait to be continued."""
        self._running.clear()
        storage = self._storage = self._storage or open_journal(self.journal)
        names = {study.study_name for study in storage.get_all_studies()}
        for arm in (OFF, ON):
            if arm not in names:
                directions = [optuna.study.StudyDirection.MAXIMIZE] * len(self.objectives)
                optuna.create_study(storage=storage, study_name=arm, directions=directions)
            self.arms[arm] = ArmStudy(optuna.load_study(storage=storage, study_name=arm))
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
        """The sources whose trials the sampler has received."""
        return self.arms[ON].study.user_attrs.get("learned_from", [])

    def learn_from(
        self, source: str, trials: Iterable[FrozenTrial], points: Iterable[Mapping[str, Any]]
    ) -> None:
        """Give the sampler of the ON arm the trials of an earlier study, and points to try first.

        They do not count as trials of this study. A crash may interrupt the transfer: what the
        journal already has is not added again.
        """
        study = self.arms[ON].study
        known = {
            (trial.user_attrs.get("warm_source"), trial.user_attrs.get("warm_start"))
            for trial in study.get_trials(deepcopy=False)
        }
        for trial in trials:
            trial.set_user_attr("warm_source", source)
            if (source, trial.user_attrs["warm_start"]) not in known:
                study.add_trial(trial)
        stored = study.user_attrs.get("points", [])
        values = [point["values"] for point in stored]
        new = [
            {"name": f"{Path(source).name} {number}", "values": dict(point)}
            for number, point in enumerate(points, 1)
            if dict(point) not in values
        ]
        study.set_user_attr("points", [*stored, *new])
        study.set_user_attr("learned_from", [*self.learned_from, source])
        self.open()

    def all_trials(self) -> Iterator[tuple[str, FrozenTrial]]:
        """Every trial of the journal with its arm, OFF first."""
        for name, arm in self.arms.items():
            for trial in arm.study.get_trials(deepcopy=False):
                yield name, trial

    @property
    def remaining(self) -> int:
        """The number of trials still to run: unfinished ones, and those not proposed yet."""
        unfinished = [trial for arm in self.arms.values() for trial in arm.left_over]
        # A crash can leave a trial without a proposal. It still gets one.
        unnamed = sum("proposal" not in trial.user_attrs for trial in unfinished)
        proposed = sum(arm.proposals for arm in self.arms.values()) + unnamed
        return len(unfinished) + (0 if self.spent() else max(0, self.trials - proposed))

    def spent(self) -> str | None:
        """Describe what ends the search before its last trial; None while nothing does."""
        return self.limits.reached(self.arms) or self.proposer.exhausted(ON)

    @property
    def out_of_time(self) -> bool:
        """Whether the sessions of the study have used up its time."""
        return self.limits.out_of_time

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial: an unfinished one, else one of the arm whose turn it is.

        Returns None if Ray should ask again later.
        """
        if self.paused:
            return None
        unfinished = [name for name, arm in self.arms.items() if arm.left_over]
        if unfinished:
            # In the order of the proposals, so that each finds the history it would have found.
            name = min(unfinished, key=lambda name: self.arms[name].left_over[0]._trial_id)
            return self._start(
                trial_id, name, self._take_up(name, self.arms[name].left_over.pop(0))
            )
        while True:
            if sum(arm.proposals for arm in self.arms.values()) >= self.trials:
                return Searcher.FINISHED
            if self.spent():
                # A running trial may yet be the improvement that `no_improvement` waits for.
                return None if self._running else Searcher.FINISHED
            name = self._turn()
            on_runs = any(running.arm == ON for running in self._running.values())
            if self.proposer.must_wait(name, running=on_runs):
                return None
            config = self._start(trial_id, name, self.proposer.ask(name))
            if config is not None:
                return config

    def _take_up(self, arm: str, frozen: FrozenTrial) -> Trial:
        """Continue a trial of an earlier session."""
        study = self.arms[arm].study
        if frozen.state == TrialState.WAITING:
            study._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
        self.proposer.prepare(arm, frozen.number)
        return Trial(study, frozen._trial_id)

    def _start(self, trial_id: str, arm: str, trial: Trial) -> dict[str, Any] | None:
        """Return the trial's proposal and record it as running; None for a duplicate."""
        attributes = trial.user_attrs
        proposal = (
            Proposal(**json.loads(attributes["proposal"]))
            if "proposal" in attributes
            else self.proposer.propose(arm, trial)
        )
        if proposal is None:
            return None
        frozen = trial.study._storage.get_trial(trial._trial_id)
        self._running[trial_id] = RunningTrial(arm, trial, set(frozen.intermediate_values))
        return vars(proposal)

    def _turn(self) -> str:
        """The arm to ask next: OFF once, then ON.

        Both in turn in an experiment, so that an interrupted one has pairs; also if OFF searches.
        """
        off, on = (self.arms[arm].proposals for arm in (OFF, ON))
        both = self.space.experiment or self.space.off_searches
        take_turns = both and not self.proposer.exhausted(OFF)
        return OFF if off <= (on if take_turns else 0) else ON

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the best value so far, which pruners compare. An epoch is reported once.

        Optuna takes no reports for several objectives.
        """
        running = self._running[trial_id]
        epoch = result.get("epoch")
        if len(self.objectives) == 1 and epoch is not None and epoch not in running.reported:
            running.trial.report(result["best_so_far"], epoch)
            running.reported.add(epoch)

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the pruner stops the trial after this epoch, which is reported first.

        OFF is never pruned, and no trial is before the warm-up is over.
        """
        self.on_trial_result(trial_id, result)
        running, settings = self._running[trial_id], self.space.search
        exempt = running.arm == OFF or settings.pruner == "none" or self.space.experiment
        if exempt or result.get("epoch", 0) < settings.warmup:
            return False
        return running.trial.should_prune()

    def halt(self, trial_id: str) -> None:
        """Record that a person stops the trial."""
        self._running[trial_id].halted = True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna how the trial ended.

        Raises: OSError if the journal cannot be written. The trial then still counts as running.
        """
        if trial_id not in self._running:
            return
        result = result or {}
        self.on_trial_result(trial_id, result)
        running = self._running[trial_id]
        arm, trial = self.arms[running.arm], running.trial
        status, epochs = running.status(result, error), result.get("epoch", 0)
        trial.set_user_attr("status", status.value)
        trial.set_user_attr("epochs", epochs)
        metrics = {} if status == TrialStatus.FAILED else best_metrics(result)
        if status != TrialStatus.FAILED:
            trial.set_user_attr("best_epoch", result["best_epoch"])
            self._record_constraints(trial, metrics)
        values = None
        if status.state == TrialState.COMPLETE:
            others = [objective_value(name, metrics) for name in self.objectives[1:]]
            values = [result["best_value"], *others]
        arm.study.tell(trial, values, state=status.state)
        # Only now: if Optuna could not store the end, the trial still runs.
        del self._running[trial_id]
        arm.note_end(status.state, values[0] if values else None, epochs)
        if running.arm == OFF and values and self.space.constraints:
            self._off_metrics.append(metrics)

    def _record_constraints(self, trial: Trial, metrics: Mapping[str, float]) -> None:
        """Write what the constraints need, and by how much the trial violates each."""
        constraints = self.space.constraints
        if constraints:
            needed = {key: metrics[key] for key in {each.metric for each in constraints}}
            trial.set_user_attr("metrics", json.dumps(needed))
            amounts = violations(constraints, metrics, self.off_metrics)
            trial.set_user_attr("constraints", amounts)

    @property
    def off_metrics(self) -> dict[str, float] | None:
        """The mean of OFF's finished trials, for constraints; None before there is one."""
        return mean_metrics(self._off_metrics)

    def _violations(self, frozen: FrozenTrial) -> list[float]:
        """By how much a trial violates each constraint; 0 if it ended without metrics."""
        return frozen.user_attrs.get("constraints", [0.0] * len(self.space.constraints))

    def save(self, checkpoint_path: str) -> None:
        """Write the file that Ray asks for. The journal is the memory."""
        Path(checkpoint_path).write_text(str(self.journal), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Read the journal again."""
        self.open()

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles searchers: everything but what `open` restores."""
        state = {key: value for key, value in self.__dict__.items() if key != "proposer"}
        return {**state, "arms": {}, "_running": {}, "_storage": None}


def best_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of the kept epoch in a result, also in one that Ray has flattened."""
    prefix = "best_metrics/"
    return result.get("best_metrics") or {
        key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)
    }
