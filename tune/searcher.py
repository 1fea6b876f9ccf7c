"""The searcher: Optuna's ask and tell behind Ray Tune's Searcher, with the journal as its one memory.

Each arm is an Optuna study of its own in that journal, so that the OFF arm is never seen by the sampler. An experiment has no sampler: its
arms take turns, a pair a seed. Whatever is cut off (a crash between two calls, a kill, Ctrl-C) is put right by `open`, which is idempotent:
trials left over are continued, none is asked for twice.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher

from ganhtr.seeds import derive_seed
from tune.parameter import Parameter
from tune.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
OFF, ON = "off", "on"
STARTUP_TRIALS = 4  # proposed at random before the model takes over
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Proposal:
    """A trial to run: its name (also its folder's), its arm, who proposed it, the configuration keys it changes."""

    id: str
    arm: str
    proposed_by: str
    values: dict[str, Any]


def suggest_value(trial: Trial, parameter: Parameter) -> Any:
    """Asks Optuna for a value of one parameter."""
    if parameter.choices:
        return trial.suggest_categorical(parameter.key, parameter.choices)
    ask: Any = trial.suggest_int if parameter.kind == "int" else trial.suggest_float
    step: dict[str, Any] = {} if parameter.step is None else {"step": parameter.step}
    return ask(parameter.key, parameter.low, parameter.high, log=parameter.log, **step)


class OptunaSearcher(Searcher):
    """Proposes the OFF arm first and then what the sampler says, or OFF and ON in turn in an experiment, `trials` in all; tells Optuna
    how each ended.

    A trial that ran to its end or ran out of patience is COMPLETE with its best value so far; one that a scheduler stopped is PRUNED;
    one that failed is FAIL. Every epoch is reported, the last too.
    """

    def __init__(self, space: Space, journal: Path, trials: int, seed: int):
        super().__init__()  # no metric for Ray to insist on: a trial that fails at once has none
        self.space, self.journal, self.trials, self.seed = space, journal, trials, seed
        self._studies: dict[str, optuna.Study] = {}
        self._running: dict[str, tuple[str, Trial]] = {}  # Ray's trial id -> arm and Optuna trial
        self._left_over: list[tuple[str, FrozenTrial]] = []

    def open(self) -> None:
        """Opens the studies, or makes them, and collects the trials that an earlier run left unfinished."""
        storage = JournalStorage(JournalFileBackend(str(self.journal)))
        self._studies = {arm: optuna.create_study(storage=storage, study_name=arm, direction="maximize", load_if_exists=True)
                         for arm in (OFF, ON)}
        self._left_over = [(arm, trial) for arm, trial in self.all_trials() if not trial.state.is_finished()]

    def all_trials(self) -> Iterator[tuple[str, FrozenTrial]]:
        """Every trial of the journal with its arm, OFF first."""
        for arm, study in self._studies.items():
            for trial in study.get_trials(deepcopy=False):
                yield arm, trial

    @property
    def remaining(self) -> int:
        """Trials still to run: those left over and those never asked for."""
        asked = sum(1 for _ in self.all_trials())
        return len(self._left_over) + max(0, self.trials - asked)

    def suggest(self, trial_id: str) -> Any:
        """The next trial for Ray: one left over, else one of the arm whose turn it is."""
        if self._left_over:
            arm, frozen = self._left_over.pop(0)
            study = self._studies[arm]
            if frozen.state == TrialState.WAITING:
                study._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
            self._seed(study, frozen.number)
            trial = Trial(study, frozen._trial_id)
        elif sum(1 for _ in self.all_trials()) >= self.trials:
            return Searcher.FINISHED
        else:
            arm = self._turn()
            study = self._studies[arm]
            number = len(study.get_trials(deepcopy=False))
            if number >= STARTUP_TRIALS and self._start_up(number) and any(running == ON for running, _ in self._running.values()):
                return None  # on a wide machine: rather wait for a first result than ask for a fifth trial at random
            self._seed(study, number)
            trial = study.ask()
        proposal = self._propose(arm, trial)
        trial.set_user_attr("tune_trial_id", trial_id)
        self._running[trial_id] = (arm, trial)
        return vars(proposal)

    def _turn(self) -> str:
        """The arm to ask next: OFF once and then ON; in an experiment OFF and ON in turn, so that an interrupted one has pairs."""
        off, on = (len(self._studies[arm].get_trials(deepcopy=False)) for arm in (OFF, ON))
        return OFF if off <= (on if self.space.experiment else 0) else ON

    def _seed(self, study: optuna.Study, number: int) -> None:
        """A sampler seeded by the trial's number: what it proposes depends on the history and not on who asked before.

        The model takes over at the fifth trial asked for, not at the fifth that ended: otherwise each further slot would cost a random one.
        """
        seed = derive_seed(self.seed, "sampler", study.study_name, number) % 2**32
        if self.space.experiment or self._start_up(number):
            study.sampler = RandomSampler(seed=seed)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is one, since years
            study.sampler = TPESampler(seed=seed, n_startup_trials=1, multivariate=True, group=True, constant_liar=True)

    def _start_up(self, number: int) -> bool:
        """Whether this trial is proposed at random: the first four, and any while no trial has ended. An experiment proposes nothing."""
        return not self.space.experiment and (
            number < STARTUP_TRIALS or not self._studies[ON].get_trials(deepcopy=False, states=ENDED))

    def _propose(self, arm: str, trial: Trial) -> Proposal:
        """The trial's values, asked for in order; one asked before a crash gives the values it gave then."""
        attributes = trial.user_attrs
        if "proposal" in attributes:
            return Proposal(**json.loads(attributes["proposal"]))
        if self.space.experiment:
            by, values = "experiment", {"train.seed": self.seed + trial.number, **(self.space.baseline if arm == OFF else {})}
        elif arm == OFF:
            by, values = "baseline", dict(self.space.baseline)
        else:
            by = "random" if self._start_up(trial.number) else "tpe"
            values = self.space.sample(lambda parameter: suggest_value(trial, parameter))
        proposal = Proposal(f"{arm}-{trial.number:03d}", arm, by, values)
        trial.set_user_attr("proposal", json.dumps(vars(proposal)))
        return proposal

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Reports an epoch's value; an epoch that was reported before a crash is passed over."""
        _, trial = self._running[trial_id]
        known = self._frozen(trial).intermediate_values
        if "epoch" in result and result["epoch"] not in known:
            trial.report(result["value"], result["epoch"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells Optuna how the trial ended."""
        if trial_id not in self._running:
            return
        result = result or {}
        self.on_trial_result(trial_id, result)
        arm, trial = self._running.pop(trial_id)
        status = "failed" if error or not result else result["status"]
        if status == "running":
            status = "pruned"
        trial.set_user_attr("status", status)
        if status == "failed":
            self._studies[arm].tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr("best_epoch", result["best_epoch"])
        if status == "pruned":
            self._studies[arm].tell(trial, state=TrialState.PRUNED)
        else:
            self._studies[arm].tell(trial, result["best_value"])

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return trial.study._storage.get_trial(trial._trial_id)

    def suspend(self) -> None:
        """Marks what is running as waiting to be continued, so that no trial of a stopped search stays RUNNING."""
        for _, trial in self._running.values():
            trial.study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        self._running.clear()

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; the journal is the memory."""
        Path(checkpoint_path).write_text(str(self.journal), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """The journal is the memory: opens it."""
        self.open()

    def __getstate__(self) -> dict[str, Any]:
        """Ray copies searchers by pickling: everything but the open studies, which `open` brings back."""
        return {**self.__dict__, "_studies": {}, "_running": {}, "_left_over": []}
