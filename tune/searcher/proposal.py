"""A trial to run, and the two arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OFF, ON = "off", "on"


@dataclass(frozen=True)
class Proposal:
    """A trial to run: its name (also its folder's), its arm, who proposed it, the configuration keys it changes."""

    id: str
    arm: str
    proposed_by: str
    values: dict[str, Any]
