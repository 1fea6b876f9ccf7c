"""Warm start: what a search learns from an earlier study, ours or any in an Optuna storage. The source stays as it is, byte by byte."""

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

POINTS = 3  # tried first where the values of a source are no history


@dataclass(frozen=True)
class History:
    """What a source gives: finished trials of the space, each with the user attribute `warm_start` that says where it comes from; or else
    `points`, values to try first; and in `said` what was made of the rest."""

    trials: tuple[FrozenTrial, ...]
    points: tuple[dict[str, Any], ...]
    said: tuple[str, ...]


def read_history(
    source: str | Path,
    space: Space,
    objectives: Sequence[str],
    environment: Mapping[str, Any] | None = None,
    values: bool = True,
    base: Mapping[str, Any] | None = None,
) -> History:
    """The trials of a source as trials of `space`, their values higher for better.

    source: a study folder of ours, a journal file, an SQLite file or sqlite:///path; `::name` behind it picks one of several studies.
    objectives: what the search maximises. environment: the search's environment.json, with which a study of ours is compared.
    values: False where the source's values mean something else than the objectives; its best trials are then points to try first.
    base: the configuration, all of its keys, that the search's trials start from; without one what the space itself says.

    Raises: ValueError for a source that cannot be read or chosen from.
    """
    origin = find_origin(str(source), objectives, environment or {})
    study, said = origin.study, list(origin.said)
    why = origin.scale or (None if values else "its values are not to be used")
    if why is None and len(study.signs) != len(objectives):
        why = f"it has {len(study.signs)} value{'s' * (len(study.signs) != 1)} a trial, and this search {len(objectives)}"
    results = _results(origin, said)
    names = map_names(
        {name for trial in results for name in trial.params},
        [parameter.key for parameter in space.parameters],
    )
    mapping = TrialMapping(space, names, origin.settings, space.start() if base is None else base)
    mapped = _mapped(results, mapping, said)
    said += [
        f"{key} is not given in {n} of {len(mapped)} trials: taken to be {value}"
        for (key, value), n in mapping.assumed.items()
    ]
    said += [*(names.said if results else []), *_differences(origin, space)]
    if why:
        points = _points(mapped)
        said.insert(0, f"{len(points)} points are tried first, as its values are no history: {why}")
        return History((), points, _labelled(origin, said))
    if mapped and not origin.ours:
        said.insert(
            0,
            f"its values are taken to be {' and '.join(objectives)}, with the sign turned where they were minimised; whether "
            "they are cannot be known",
        )
    said.insert(0, f"{len(mapped)} of {len(study.trials) + study.damaged} trials are used")
    return History(
        tuple(_trial(origin, trial, found, space) for trial, found in mapped),
        (),
        _labelled(origin, said),
    )


def _differences(origin: Origin, space: Space) -> list[str]:
    """What is known to have been otherwise in all of the source: settings that this space fixes, and its constraints."""
    searched = {parameter.key for parameter in space.parameters} | {
        key for trial in origin.study.trials for key in trial.params
    }
    other = [
        f"{key} {show(origin.settings[key])} (here {show(value)})"
        for key, value in space.overrides({}).items()
        if key not in searched
        and key not in space.derived
        and origin.settings.get(key, value) != value
    ]
    said = [f"its trials had {', '.join(other)}"] if other else []
    if space.constraints and not _same_constraints(origin, space):
        said.append(
            "whether its trials keep this space's constraints is not known: they are taken to"
        )
    return said


def _same_constraints(origin: Origin, space: Space) -> bool:
    """In the same order too: a trial's violations are a list."""
    ours = plain_of(space).get("constraints", {})
    return isinstance(origin.constraints, dict) and list(origin.constraints.items()) == list(
        ours.items()
    )


def _labelled(origin: Origin, said: list[str]) -> tuple[str, ...]:
    return tuple(printable(f"{origin.label}: {line}") for line in said)


def _results(origin: Origin, said: list[str]) -> list[SourceTrial]:
    """The trials that ended with a value, which is turned to be better when higher. A pruned one has a value that is no result."""
    kept: list[SourceTrial] = []
    left: Counter[str] = Counter(damaged=origin.study.damaged)
    for trial in origin.study.trials:
        if trial.state != TrialState.COMPLETE:
            left[trial.state.name.lower()] += 1
        elif origin.ours and "proposal" not in trial.attributes:
            left["taken from another study itself"] += 1
        elif (
            not trial.values
            or len(trial.values) != len(origin.study.signs)
            or not all(map(math.isfinite, trial.values))
        ):
            left["without a finite value"] += 1
        else:
            turned = (
                sign * value for sign, value in zip(origin.study.signs, trial.values, strict=True)
            )
            kept.append(replace(trial, values=tuple(turned)))
    words = {"fail": "failed"}
    counts = ", ".join(f"{n} {words.get(name, name)}" for name, n in left.items() if n)
    said += [f"left out, as they have no result: {counts}"] if counts else []
    return kept


def _mapped(
    trials: Sequence[SourceTrial], mapping: TrialMapping, said: list[str]
) -> list[tuple[SourceTrial, dict[str, Any]]]:
    """The trials that are trials of the space, with their values."""
    kept: list[tuple[SourceTrial, dict[str, Any]]] = []
    why: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for trial in trials:
        try:
            kept.append((trial, mapping.values(trial.params)))
        except Unfit as error:
            why[str(error)] += 1
            examples.setdefault(
                str(error), f"#{trial.number}{f' has {error.example}' if error.example else ''}"
            )
    said += [f"{n} left out: {reason} ({examples[reason]})" for reason, n in why.items()]
    return kept


def _points(mapped: Sequence[tuple[SourceTrial, dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """The values of the best trials by their first value, each once."""
    points: list[dict[str, Any]] = []
    for _, values in sorted(mapped, key=lambda pair: -pair[0].values[0]):
        if values not in points:
            points.append(values)
    return tuple(points[:POINTS])


def _trial(origin: Origin, trial: SourceTrial, values: dict[str, Any], space: Space) -> FrozenTrial:
    attributes: dict[str, Any] = {"warm_start": f"{origin.label}#{trial.number}"}
    violations = trial.attributes.get("constraints")
    if space.constraints and isinstance(violations, list) and _same_constraints(origin, space):
        held = [as_value(each) for each in violations]
        if len(held) == len(space.constraints) and all(map(math.isfinite, held)):
            attributes["constraints"] = held
    return create_trial(
        state=TrialState.COMPLETE,
        values=trial.values,
        params=values,
        distributions={
            parameter.key: distribution_of(parameter) for parameter in space.active(values)
        },
        user_attrs=attributes,
    )
