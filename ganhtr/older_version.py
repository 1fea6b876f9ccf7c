"""Files of older versions, whose configuration has sections `recognizer` and `reader`. They are refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

LAST_COMMIT = "fd0244b"  # the last commit that reads them


class OlderVersionError(ValueError):
    """A file that an older version wrote."""


def is_older(keys: Iterable[object]) -> bool:
    """Whether these configuration keys are those of an older version."""
    return any(str(key).startswith(("recognizer.", "reader.")) for key in keys)


def refusal(path: Path) -> str:
    """The error message for a file of an older version."""
    return f"{path}: written by an older version of ganhtr-tune. Use commit {LAST_COMMIT}, the last one that reads it."
