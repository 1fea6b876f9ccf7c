"""An Optuna study as a warm start reads it, whatever file it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

MAX_BYTES = 2**30  # a study of 10,000 trials takes about 50 MB


@dataclass(frozen=True)
class SourceTrial:
    """A trial: its values as the study has them (none, or not finite, where there is no result)."""

    number: int
    state: TrialState
    values: tuple[float, ...]
    params: Mapping[str, Any]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class SourceStudy:
    """A study: `signs` has 1 for each value to maximise and -1 for each value to minimise.

    `damaged` counts the trials that cannot be read.
    """

    name: str
    signs: tuple[int, ...]
    trials: tuple[SourceTrial, ...]
    damaged: int = 0

    @classmethod
    def of(cls, study: FrozenStudy, trials: Iterable[FrozenTrial], damaged: int = 0) -> SourceStudy:
        """Convert a study and its trials as a storage of Optuna returns them."""
        signs = (1 if each == StudyDirection.MAXIMIZE else -1 for each in study.directions)
        converted = (
            SourceTrial(
                trial.number,
                trial.state,
                tuple(map(as_value, trial.values or ())),
                trial.params,
                trial.user_attrs,
            )
            for trial in trials
        )
        return cls(study.study_name, tuple(signs), tuple(converted), damaged)


def as_value(stored: Any) -> float:
    """Convert a stored value to a float; NaN for anything that is not a number."""
    if isinstance(stored, (int, float)) and not isinstance(stored, bool):
        return float(stored)
    return math.nan


def check_size(path: Path, size: int) -> None:
    """Raise ValueError for a source that is too large to be read."""
    if size > MAX_BYTES:
        raise ValueError(
            f"{path}: a source may have at most {MAX_BYTES >> 20} MiB, and this one has "
            f"{size >> 20} MiB. Copy the study alone into a new storage (optuna.copy_study)"
        )
