"""An Optuna study as warm start reads it, wherever it was stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

MAX_BYTES = 2**30  # a study of 10,000 trials takes some 50 MB


@dataclass(frozen=True)
class SourceTrial:
    """One trial: its values as the study had them (none, or not finite, where there is no result), its parameters as they were meant."""

    number: int
    state: TrialState
    values: tuple[float, ...]
    params: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceStudy:
    """A study: `signs` has 1 for each value to maximise, -1 for each to minimise. `damaged` counts trials that could not be read."""

    name: str
    signs: tuple[int, ...]
    trials: tuple[SourceTrial, ...]
    damaged: int = 0


def as_value(held: Any) -> float:
    """What a storage has for a value; NaN for what is no number."""
    return (
        float(held) if isinstance(held, (int, float)) and not isinstance(held, bool) else math.nan
    )
