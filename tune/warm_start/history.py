"""Warm start: what a search learns from an earlier study folder or from any Optuna storage.

The source stays as it is, byte by byte.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from tune.searcher.distributions import distribution_of
from tune.space.plain import plain_of
from tune.space.source import printable, show
from tune.space.space import Space
from tune.warm_start.mapping import TrialMapping, Unfit, map_names
from tune.warm_start.origin import Origin, find_origin
from tune.warm_start.source_study import SourceTrial, as_value

POINTS = 3  # tried first where the values of a source cannot be compared


@dataclass(frozen=True)
class History:
    """What a source gives.

    `trials` are finished trials of the space, each with the user attribute `warm_start` that names
    its origin; or else `points` are values to try first. `notes` describe what was left out or
    assumed.
    """

    trials: tuple[FrozenTrial, ...]
    points: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def read_history(
    source: str | Path,
    space: Space,
    objectives: Sequence[str],
    environment: Mapping[str, Any] | None = None,
    values: bool = True,
) -> History:
    """The trials of a source as trials of `space`, their values higher for better.

    source: a study folder, a journal file, an SQLite file or sqlite:///path, each with `::name`
        behind it to name one of several studies.
    objectives: what the search maximises.
    environment: the search's environment.json, with which that of a study folder is compared.
    values: False if the source's values are not the objectives; its best trials are then tried
        first.

    Raises: ValueError for a source that cannot be read or chosen from.
    """
    origin = find_origin(str(source), objectives, environment or {})
    study, notes = origin.study, list(origin.notes)
    why = origin.scale or (None if values else "its values are not to be used")
    if why is None and len(study.signs) != len(objectives):
        plural = "s" * (len(study.signs) != 1)
        why = f"it has {len(study.signs)} value{plural} a trial, and this search {len(objectives)}"
    results = _results(origin, notes)
    keys = [parameter.key for parameter in space.parameters]
    names = map_names({name for trial in results for name in trial.params}, keys)
    mapping = TrialMapping(space, names, origin.settings)
    mapped = _mapped(results, mapping, notes)
    notes += [
        f"{key} is missing in {n} of {len(mapped)} trials: {value} is assumed"
        for (key, value), n in mapping.assumed.items()
    ]
    notes += [*(names.notes if results else []), *_differences(origin, space)]
    trials: tuple[FrozenTrial, ...] = ()
    points: tuple[dict[str, Any], ...] = ()
    if why:
        points = _points(mapped)
        start = [f"{len(points)} configurations are tried first, as its values do not count: {why}"]
    else:
        trials = tuple(_trial(origin, trial, params, space) for trial, params in mapped)
        start = [f"{len(mapped)} of {len(study.trials) + study.damaged} trials are used"]
        if mapped and not origin.from_folder:
            start.append(
                f"its values are taken as {' and '.join(objectives)}, with the sign changed where "
                "they were minimised. This cannot be checked"
            )
    labelled = tuple(printable(f"{origin.label}: {line}") for line in [*start, *notes])
    return History(trials, points, labelled)


def _differences(origin: Origin, space: Space) -> list[str]:
    """What is known to differ in all of the source: settings fixed in this space, constraints."""
    searched = {parameter.key for parameter in space.parameters}
    searched |= {key for trial in origin.study.trials for key in trial.params}
    other = [
        f"{key} {show(origin.settings[key])} (here {show(value)})"
        for key, value in space.settled().items()
        if key not in searched and origin.settings.get(key, value) != value
    ]
    notes = [f"its trials had {', '.join(other)}"] if other else []
    if space.constraints and not _same_constraints(origin, space):
        notes.append("whether its trials meet this space's constraints is unknown: assumed")
    return notes


def _same_constraints(origin: Origin, space: Space) -> bool:
    """Whether they are the same in the same order: a trial's violations are a list."""
    constraints = plain_of(space).get("constraints", {})
    theirs = origin.constraints
    return isinstance(theirs, dict) and list(theirs.items()) == list(constraints.items())


def _results(origin: Origin, notes: list[str]) -> list[SourceTrial]:
    """The trials that ended with a value, which is higher for better. A pruned trial has none."""
    kept: list[SourceTrial] = []
    left: Counter[str] = Counter(damaged=origin.study.damaged)
    signs = origin.study.signs
    for trial in origin.study.trials:
        values = trial.values
        if trial.state != TrialState.COMPLETE:
            left["failed" if trial.state == TrialState.FAIL else trial.state.name.lower()] += 1
        elif origin.from_folder and "proposal" not in trial.attributes:
            left["from another study's warm start"] += 1
        elif not values or len(values) != len(signs) or not all(map(math.isfinite, values)):
            left["without a finite value"] += 1
        else:
            turned = (sign * value for sign, value in zip(signs, values, strict=True))
            kept.append(replace(trial, values=tuple(turned)))
    counts = ", ".join(f"{n} {name}" for name, n in left.items() if n)
    notes += [f"left out, as they have no result: {counts}"] if counts else []
    return kept


def _mapped(
    trials: Sequence[SourceTrial], mapping: TrialMapping, notes: list[str]
) -> list[tuple[SourceTrial, dict[str, Any]]]:
    """The trials that are trials of the space, with their values."""
    kept: list[tuple[SourceTrial, dict[str, Any]]] = []
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for trial in trials:
        try:
            kept.append((trial, mapping.values(trial.params)))
        except Unfit as error:
            reasons[str(error)] += 1
            example = f"#{trial.number}{f' has {error.example}' if error.example else ''}"
            examples.setdefault(str(error), example)
    notes += [f"{n} left out: {reason} ({examples[reason]})" for reason, n in reasons.items()]
    return kept


def _points(mapped: Sequence[tuple[SourceTrial, dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """The values of the best trials by their first objective, each once."""
    points: list[dict[str, Any]] = []
    for _, values in sorted(mapped, key=lambda pair: -pair[0].values[0]):
        if values not in points:
            points.append(values)
    return tuple(points[:POINTS])


def _trial(origin: Origin, trial: SourceTrial, params: dict[str, Any], space: Space) -> FrozenTrial:
    attributes: dict[str, Any] = {"warm_start": f"{origin.label}#{trial.number}"}
    stored = trial.attributes.get("constraints")
    if space.constraints and isinstance(stored, list) and _same_constraints(origin, space):
        violations = [as_value(each) for each in stored]
        if len(violations) == len(space.constraints) and all(map(math.isfinite, violations)):
            attributes["constraints"] = violations
    return create_trial(
        state=TrialState.COMPLETE,
        values=trial.values,
        params=params,
        distributions={
            parameter.key: distribution_of(parameter) for parameter in space.active(params)
        },
        user_attrs=attributes,
    )
