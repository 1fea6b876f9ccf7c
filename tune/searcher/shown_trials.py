"""What a sampler is shown of a study: the trials that it learns from, in a form that it knows."""

from __future__ import annotations

import bisect
import copy
import heapq
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

Violations = Callable[[FrozenTrial], Sequence[float]]
LATEST = 200  # complete trials for a genetic sampler: several generations
# Best trials that are always shown. TPE takes the best tenth of what it sees as good, and with one
# objective never more than 25.
BEST = 50


class ShownStudy:
    """A study with the given trials; everything else is the study's own.

    It stands between Optuna's samplers and the study for two reasons. Trials are shown in another
    form than the journal has them (see `History`, `all_complete` and `with_constraints`). And the
    cost of a proposal must not grow with the study: at 10,000 trials of six parameters, Optuna
    5.0's TPE takes 0.35 s of CPU time for a proposal from all of them, and 0.04 s from 500. Its
    Gaussian process takes 0.26 s from 150 trials, 0.87 s from 500, and cannot take 10,000.
    """

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]):
        self._study, self._shown = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Collection[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]

    def get_trials(
        self, deepcopy: bool = True, states: Collection[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials, as a study does. Samplers only read them: nothing is copied."""
        return self._get_trials(deepcopy, states)


def by_number(trial: FrozenTrial) -> int:
    """Return a trial's number, to sort by."""
    return trial.number


def changed(trial: FrozenTrial, **changes: Any) -> FrozenTrial:
    """Return a copy of a trial with some fields replaced; the study's own trial stays as it is."""
    twin = copy.copy(trial)
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin


class History:
    """What the samplers of a study can learn from: its trials that ended, and those that run.

    A trial of this study that failed is shown as pruned before its first epoch, which is the worst
    there is: no sampler should search where training diverges. Optuna's samplers ignore failures
    and return to them.

    Each trial that ended is read once, so that a proposal does not cost more in a longer study.
    """

    def __init__(self) -> None:
        # The number of trials read so far, and the ids of those that had not ended then.
        self.read, self.open = 0, list[int]()
        self.ended, self.best = list[FrozenTrial](), list[FrozenTrial]()  # ended: by number

    def shown(
        self,
        study: optuna.Study,
        number: int,
        limit: int | None = None,
        violations: Violations | None = None,
    ) -> list[FrozenTrial]:
        """Return the running trials and at most `limit` ended ones (None: all), by number.

        If there are more, the best are shown, then the latest. Left out are trials that are
        neither good nor recent. TPE gives those the least weight: of the bad trials it fades out
        all but the last 25. Trial `number` is the one being proposed. It is left out, because a
        kill may have interrupted an earlier proposal of it.
        """
        news, unfinished = self._news(study)
        ended = [as_shown(trial) for trial in news if can_teach(trial)]
        for trial in ended:
            bisect.insort(self.ended, trial, key=by_number)
        if ended:
            # A front cannot be computed from an earlier front and the new trials.
            several = len(study.directions) > 1
            candidates = self.ended if several else sorted([*self.best, *ended], key=by_number)
            self.best = best_first(candidates, BEST, violations)
        running = [
            trial
            for trial in unfinished
            if trial.state == TrialState.RUNNING and trial.number != number
        ]
        if limit is None or len(self.ended) <= limit:
            return sorted([*self.ended, *running], key=by_number)
        chosen = {trial.number for trial in self.best}
        latest = [trial for trial in self.ended[-limit:] if trial.number not in chosen]
        latest = latest[len(self.best) - limit :]  # so many that the best and these are `limit`
        return sorted([*self.best, *latest, *running], key=by_number)

    def _news(self, study: optuna.Study) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Return the trials that ended since the last call, and those that have not ended."""
        storage, study_id = study._storage, study._study_id
        trials = [storage.get_trial(trial_id) for trial_id in self.open]
        while True:
            try:
                trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, self.read)
            except KeyError:
                break
            trials.append(storage.get_trial(trial_id))
            self.read += 1
        unfinished = [trial for trial in trials if not trial.state.is_finished()]
        self.open = [trial._trial_id for trial in unfinished]
        return [trial for trial in trials if trial.state.is_finished()], unfinished


def can_teach(trial: FrozenTrial) -> bool:
    """Return whether a sampler can learn from an ended trial: not if it was never run."""
    return trial.state != TrialState.FAIL or "proposal" in trial.user_attrs


def as_shown(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial; a failed one as pruned before its first epoch."""
    if trial.state != TrialState.FAIL:
        return trial
    return changed(trial, state=TrialState.PRUNED, intermediate_values={})


def all_complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials for a sampler that ignores pruned ones, with pruned ones as complete.

    Each counts with its best value so far, or as the worst of all. Otherwise the sampler would take
    the regions of pruned trials for unknown ones. Values are higher-is-better.
    """
    complete = [trial.values for trial in trials if trial.state == TrialState.COMPLETE]
    reached = {
        trial.number: max(trial.intermediate_values.values())
        for trial in trials
        if trial.state == TrialState.PRUNED and trial.intermediate_values
    }
    if complete:
        worst = np.array(complete).min(axis=0).tolist()
    elif reached:
        worst = [min(reached.values())]
    else:
        return [trial for trial in trials if trial.state == TrialState.RUNNING]

    def completed(trial: FrozenTrial) -> FrozenTrial:
        if trial.state != TrialState.PRUNED:
            return trial
        values = [reached[trial.number]] if trial.number in reached else worst
        return changed(trial, state=TrialState.COMPLETE, values=values)

    return [completed(trial) for trial in trials]


def best_first(
    trials: Sequence[FrozenTrial], count: int, violations: Violations | None = None
) -> list[FrozenTrial]:
    """Return the best trials that ended, in TPE's order.

    Complete trials come first, by value (or front), then pruned ones by epoch and value, then those
    that break a constraint, least first. Values are higher-is-better.
    """
    broken: dict[int, float] = {}
    if violations:
        amounts = {trial.number: excess(trial, violations) for trial in trials}
        broken = {number: amount for number, amount in amounts.items() if amount > 0}
    complete = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.number not in broken
    ]
    if complete and len(complete[0].values) > 1:
        losses = -np.array([trial.values for trial in complete])
        ranks = _fast_non_domination_rank(losses, n_below=min(count, len(complete)))
        complete = [complete[index] for index in np.argsort(ranks, kind="stable")]
    else:
        complete.sort(key=lambda trial: trial.values[0], reverse=True)

    def merit(trial: FrozenTrial) -> tuple[float, ...]:
        if trial.number in broken:
            return (0, -broken[trial.number])
        return (1, *max(trial.intermediate_values.items(), default=(-1, 0.0)))

    if len(complete) < count:
        others = [
            trial for trial in trials if trial.state == TrialState.PRUNED or trial.number in broken
        ]
        complete += heapq.nlargest(count - len(complete), others, key=merit)
    return complete[:count]


def excess(trial: FrozenTrial, violations: Violations) -> float:
    """Return by how much a trial breaks its constraints in all."""
    return sum(amount for amount in violations(trial) if amount > 0)


def generations(
    study: optuna.Study, trials: Sequence[FrozenTrial], key: str, parents: str
) -> list[FrozenTrial]:
    """Return what a genetic sampler needs: the latest complete, the last parents, and the running.

    A trial that another sampler proposed (a first point, an earlier study's) belongs to the first
    generation. key and parents: the names under which the sampler keeps a trial's generation in
    the trial, and its selections in the study.
    """
    attributes = study._storage.get_study_system_attrs(study._study_id)
    selections = sorted(
        int(name.removeprefix(parents)) for name in attributes if name.startswith(parents)
    )
    selected = {
        trial_id
        for generation in selections[-2:]
        for trial_id in attributes[f"{parents}{generation}"]
    }
    usable = [trial for trial in trials if trial.state != TrialState.PRUNED]
    latest = {trial.number for trial in usable[-LATEST:]}

    def with_generation(trial: FrozenTrial) -> FrozenTrial:
        if key in trial.system_attrs:
            return trial
        return changed(trial, system_attrs={**trial.system_attrs, key: 0})

    return [
        with_generation(trial)
        for trial in usable
        if trial.number in latest
        or trial._trial_id in selected
        or trial.state == TrialState.RUNNING
    ]


def with_constraints(trials: Sequence[FrozenTrial], violations: Violations) -> list[FrozenTrial]:
    """Return the trials with their violations where Optuna's samplers look for them.

    A trial that runs has none yet.
    """

    def with_violations(trial: FrozenTrial) -> FrozenTrial:
        if trial.state == TrialState.RUNNING:
            return trial
        amounts = list(violations(trial))
        return changed(trial, system_attrs={**trial.system_attrs, "constraints": amounts})

    return [with_violations(trial) for trial in trials]
