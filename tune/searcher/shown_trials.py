"""What a sampler is shown of a study: every trial that it can learn from, or the best and the latest where more would only cost time."""

from __future__ import annotations

import bisect
import copy
import heapq
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.study import Study
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState


class TrialLog:
    """The trials of a study as they go on: each that ended is handed out once, those that have not every time."""

    def __init__(self) -> None:
        self.read, self.open = (
            0,
            list[int](),
        )  # trials read so far; ids of those that had not ended then

    def news(self, study: Study) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Trials that ended since the last call, and trials that have not ended."""
        storage = study._storage
        new = [storage.get_trial(each) for each in self.open]
        while True:
            try:
                new.append(
                    storage.get_trial(
                        storage.get_trial_id_from_study_id_trial_number(study._study_id, self.read)
                    )
                )
            except KeyError:
                break
            self.read += 1
        going = [trial for trial in new if not trial.state.is_finished()]
        self.open = [trial._trial_id for trial in going]
        return [trial for trial in new if trial.state.is_finished()], going


Violations = Callable[[FrozenTrial], Sequence[float]]
LATEST = 200  # complete trials for a genetic sampler: several generations
BEST = 50  # shown at least: TPE takes the best tenth of what it sees for good, and with one objective never more than 25


class ShownStudy:
    """A study that has the trials given; all else is the study's own."""

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
        """As a study's. Samplers only read: nothing is copied."""
        return self._get_trials(deepcopy, states)


def by_number(trial: FrozenTrial) -> int:
    """A trial's number, to sort by."""
    return trial.number


def changed(trial: FrozenTrial, **changes: Any) -> FrozenTrial:
    """A trial with some fields set anew; the study's own stays as it is."""
    twin = copy.copy(trial)
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin


class History:
    """What the samplers of a study can learn from: its trials that ended, and those that run.

    A trial of ours that failed is shown as given up before its first epoch, the worst there is: where training diverges, nothing should be
    sought. Optuna's samplers pass failures over, and go there again.
    """

    def __init__(self) -> None:
        self.log, self.ended, self.best = (
            TrialLog(),
            list[FrozenTrial](),
            list[FrozenTrial](),
        )  # ended: by number

    def shown(
        self,
        study: optuna.Study,
        number: int,
        limit: int | None = None,
        violations: Violations | None = None,
    ) -> list[FrozenTrial]:
        """At most `limit` of the trials that ended, the best and else the latest, and all that run, by number; all of them for None.

        What is left out are trials that are neither good nor recent. TPE weighs those least: of the bad ones it fades out all but the last
        25. Trial `number`, which is proposed, is left out, as it may have been cut off half proposed.
        """
        news, going = self.log.news(study)
        ended = [
            changed(trial, state=TrialState.PRUNED, intermediate_values={})
            if trial.state == TrialState.FAIL
            else trial
            for trial in news
            if trial.state != TrialState.FAIL or "proposal" in trial.user_attrs
        ]
        for trial in ended:
            bisect.insort(self.ended, trial, key=by_number)
        if ended:
            several = (
                len(study.directions) > 1
            )  # a front is not made of an earlier front and what came since
            self.best = best_first(
                self.ended if several else sorted([*self.best, *ended], key=by_number),
                BEST,
                violations,
            )
        running = [
            trial for trial in going if trial.state == TrialState.RUNNING and trial.number != number
        ]
        if limit is None or len(self.ended) <= limit:
            return sorted([*self.ended, *running], key=by_number)
        chosen = {trial.number for trial in self.best}
        latest = [trial for trial in self.ended[-limit:] if trial.number not in chosen][
            len(self.best) - limit :
        ]
        return sorted([*self.best, *latest, *running], key=by_number)


def all_complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials for a sampler that passes over those that were pruned: each counts with its best value so far, or as the worst of all.

    Else it would take the regions that were given up for unknown ones. Values are higher-is-better.
    """
    known = np.array([trial.values for trial in trials if trial.state == TrialState.COMPLETE])
    reached = {
        trial.number: max(trial.intermediate_values.values())
        for trial in trials
        if trial.state == TrialState.PRUNED and trial.intermediate_values
    }
    worst = (
        known.min(axis=0).tolist() if len(known) else [min(reached.values())] if reached else None
    )
    if worst is None:
        return [trial for trial in trials if trial.state == TrialState.RUNNING]
    values = {number: [value] for number, value in reached.items()}
    return [
        changed(trial, state=TrialState.COMPLETE, values=values.get(trial.number, worst))
        if trial.state == TrialState.PRUNED
        else trial
        for trial in trials
    ]


def best_first(
    trials: Sequence[FrozenTrial], count: int, violations: Violations | None = None
) -> list[FrozenTrial]:
    """The best trials that ended, in TPE's order: complete by value (or front), pruned by epoch and value, then by what they violate least.

    Values are higher-is-better.
    """
    broken = (
        {trial.number: amount for trial in trials if (amount := excess(trial, violations)) > 0}
        if violations
        else {}
    )
    complete = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and not (broken and trial.number in broken)
    ]
    if complete and len(complete[0].values) > 1:
        ranks = _fast_non_domination_rank(
            -np.array([trial.values for trial in complete]), n_below=min(count, len(complete))
        )
        complete = [complete[index] for index in np.argsort(ranks, kind="stable")]
    else:
        complete.sort(key=lambda trial: trial.values[0], reverse=True)

    def merit(trial: FrozenTrial) -> tuple[float, ...]:
        if trial.number in broken:
            return (0, -broken[trial.number])
        return (1, *max(trial.intermediate_values.items(), default=(-1, 0.0)))

    if len(complete) < count:
        complete += heapq.nlargest(
            count - len(complete),
            [
                trial
                for trial in trials
                if trial.state == TrialState.PRUNED or trial.number in broken
            ],
            key=merit,
        )
    return complete[:count]


def excess(trial: FrozenTrial, violations: Violations) -> float:
    """By how much a trial breaks its constraints in all."""
    return sum(amount for amount in violations(trial) if amount > 0)


def generations(
    study: optuna.Study, trials: Sequence[FrozenTrial], key: str, parents: str
) -> list[FrozenTrial]:
    """What a genetic sampler needs: the latest complete trials, the parents that it selected last, and what runs.

    A trial that another sampler proposed (a first point, an earlier study's) belongs to the first generation. key and parents: what the
    sampler calls a trial's generation, and the selections that it keeps in the study.
    """
    held = study._storage.get_study_system_attrs(study._study_id)
    selections = sorted(
        int(name.removeprefix(parents)) for name in held if name.startswith(parents)
    )[-2:]
    selected = {each for generation in selections for each in held[f"{parents}{generation}"]}
    usable = [trial for trial in trials if trial.state != TrialState.PRUNED]
    latest = {trial.number for trial in usable[-LATEST:]}
    return [
        changed(trial, system_attrs={**trial.system_attrs, key: 0})
        if key not in trial.system_attrs
        else trial
        for trial in usable
        if trial.number in latest
        or trial._trial_id in selected
        or trial.state == TrialState.RUNNING
    ]


def with_constraints(trials: Sequence[FrozenTrial], violations: Violations) -> list[FrozenTrial]:
    """The trials with what they violate where Optuna's samplers look for it. One that runs has nothing to show yet."""
    return [
        trial
        if trial.state == TrialState.RUNNING
        else changed(
            trial, system_attrs={**trial.system_attrs, "constraints": list(violations(trial))}
        )
        for trial in trials
    ]
