"""Earlier studies that a new one learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class History:
    """What an earlier study gives to a new one: `trials` as results, `points` to be tried first, and what is `said` of it to the user."""

    trials: tuple[FrozenTrial, ...]
    said: tuple[str, ...]
    points: tuple[Mapping[str, Any], ...] = ()
