"""One arm's Optuna study, with what a search must know of it at every step counted as it grows instead of looked up again."""

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
    """The same for the same values in any order; a repeat on purpose differs from its first run in the seed alone."""
    return frozenset((key, repr(value)) for key, value in values.items() if key != "train.seed")


class ArmStudy:
    """Trials of this arm: those proposed (`proposals`), how often each configuration was (`taken`), those that ended, and the best so far.

    `same` counts the duplicates in a row that were proposed last, `tried` those of each point that is to be tried first, by its number,
    `since_best` the trials that ended since the best one. What an earlier run left unfinished is in `left_over`. Trials of other studies
    (warm start, `learned` in all) count as ended, not as proposed.
    """

    def __init__(self, study: optuna.Study):
        self.study, self.history = study, History()
        self.proposals = self.ended = self.epochs = self.since_best = self.same = 0
        self.best: float | None = None
        self.taken: Counter[Key] = Counter()
        self.tried: Counter[int] = Counter()
        self.left_over: list[FrozenTrial] = []
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.RUNNING,)
        ):  # a killed search left it so
            study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        held = study.get_trials(deepcopy=False)
        self.asked = len(held)  # the next trial's number
        self.learned = sum("warm_start" in trial.user_attrs for trial in held)
        for trial in held:
            if "proposal" in trial.user_attrs:
                self.note_proposal(json.loads(trial.user_attrs["proposal"])["values"])
            elif (
                "duplicate" in trial.user_attrs and trial.state.is_finished()
            ):  # else it is about to be proposed, and counted, again
                point = trial.user_attrs["duplicate"]
                self.note_duplicate(None if point is True else point)
            if not trial.state.is_finished():
                self.left_over.append(trial)
        done = [
            trial
            for trial in held
            if trial.state.is_finished() and "duplicate" not in trial.user_attrs
        ]
        for trial in sorted(done, key=lambda trial: (str(trial.datetime_complete), trial.number)):
            self.note_end(
                trial.state,
                trial.values[0] if trial.state == TrialState.COMPLETE and trial.values else None,
                trial.user_attrs.get("epochs", 0),
                ours="proposal" in trial.user_attrs,
            )

    def note_proposal(self, values: Mapping[str, Any]) -> None:
        """Counts a trial that was proposed."""
        self.proposals += 1
        self.same = 0
        self.taken[values_key(values)] += 1

    def note_duplicate(self, point: int | None) -> None:
        """Counts a configuration that is not run: of a point that is to be tried first, or of the sampler."""
        if point is None:
            self.same += 1
        else:
            self.tried[point] += 1

    def note_end(
        self, state: TrialState, value: float | None, epochs: int, ours: bool = True
    ) -> None:
        """Counts a trial that ended. value: of a complete one, higher is better."""
        self.ended += state in (TrialState.COMPLETE, TrialState.PRUNED)
        if not ours:
            return
        self.epochs += epochs
        if value is not None and (self.best is None or value > self.best):
            self.best, self.since_best = value, 0
        else:
            self.since_best += 1
