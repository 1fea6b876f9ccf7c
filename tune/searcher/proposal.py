"""A trial to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Proposal:
    """A trial to run.

    id: also the name of its folder. proposed_by: a sampler, a first point, `baseline` or
    `experiment`. values: the configuration keys that the trial changes.
    """

    id: str
    arm: str
    proposed_by: str
    values: dict[str, Any]
