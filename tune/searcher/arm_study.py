"""The Optuna study of one arm, with counts that a search needs at every step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tune.searcher.shown_trials import History

Key = frozenset


def values_key(values: Mapping[str, Any]) -> Key:
    """Return a key that is equal for equal values, without regard to order and seed.

    A configuration that is repeated on purpose differs from its first run in the seed alone.
    """
    return frozenset((key, repr(value)) for key, value in values.items() if key != "train.seed")


class ArmStudy:
    """The study of one arm. Its counts grow with the study instead of being computed anew.

    Args:
        study: the Optuna study. Its trials of other studies (warm start) count as ended, not as
            proposed.

    Attributes:
        proposals: trials proposed.
        ended: trials that are complete or pruned.
        learned: trials of other studies.
        next_number: the number of the next trial.
        taken: how often each configuration was proposed.
        best, since_best: the best value, and the trials that have ended since.
        duplicates: duplicates that the sampler proposed in a row.
        point_duplicates: duplicates of each first point, by its number.
        left_over: trials that an earlier session left unfinished.
    """

    def __init__(self, study: optuna.Study):
        self.study, self.history = study, History()
        self.proposals = self.ended = self.epochs = self.since_best = self.duplicates = 0
        self.best: float | None = None
        self.taken: Counter[Key] = Counter()
        self.point_duplicates: Counter[int] = Counter()
        self.left_over: list[FrozenTrial] = []
        # A killed search leaves trials running.
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        trials = study.get_trials(deepcopy=False)
        self.next_number = len(trials)
        self.learned = sum("warm_start" in trial.user_attrs for trial in trials)
        for trial in trials:
            self._count_proposal(trial)
            if not trial.state.is_finished():
                self.left_over.append(trial)
        self._count_ends(trials)

    def _count_proposal(self, trial: FrozenTrial) -> None:
        attributes = trial.user_attrs
        if "proposal" in attributes:
            self.note_proposal(json.loads(attributes["proposal"])["values"])
        elif "duplicate" in attributes and trial.state.is_finished():
            # One that is unfinished is about to be proposed, and counted, again.
            point = attributes["duplicate"]
            self.note_duplicate(None if point is True else point)

    def _count_ends(self, trials: list[FrozenTrial]) -> None:
        ended = [
            trial
            for trial in trials
            if trial.state.is_finished() and "duplicate" not in trial.user_attrs
        ]
        for trial in sorted(ended, key=lambda trial: (str(trial.datetime_complete), trial.number)):
            complete = trial.state == TrialState.COMPLETE and trial.values
            self.note_end(
                trial.state,
                trial.values[0] if complete else None,
                trial.user_attrs.get("epochs", 0),
                ours="proposal" in trial.user_attrs,
            )

    def note_proposal(self, values: Mapping[str, Any]) -> None:
        """Count a proposed trial."""
        self.proposals += 1
        self.duplicates = 0
        self.taken[values_key(values)] += 1

    def note_duplicate(self, point: int | None) -> None:
        """Count a configuration that is not run. point: the first point it came from, if any."""
        if point is None:
            self.duplicates += 1
        else:
            self.point_duplicates[point] += 1

    def note_end(
        self, state: TrialState, value: float | None, epochs: int, ours: bool = True
    ) -> None:
        """Count an ended trial.

        value: of a complete one, higher is better. ours: whether the trial belongs to this study.
        """
        self.ended += state in (TrialState.COMPLETE, TrialState.PRUNED)
        if not ours:
            return
        self.epochs += epochs
        if value is not None and (self.best is None or value > self.best):
            self.best, self.since_best = value, 0
        else:
            self.since_best += 1
