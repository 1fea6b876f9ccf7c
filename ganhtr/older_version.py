"""Files of older versions, which are refused: their configuration has other section names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

LAST_COMMIT = "fd0244b"  # the last commit that reads files with sections `recognizer` and `reader`
RENAMED = "Section recognizer is now guide, and section reader is now recognizer_training."


class OlderVersionError(ValueError):
    """A file that an older version wrote."""


def is_older(keys: Iterable[object]) -> bool:
    """Return whether these configuration keys are those of an older version."""
    return any(str(key).startswith(("recognizer.", "reader.")) for key in keys)


def refusal(path: Path) -> str:
    """Return the error message for a file of an older version."""
    return (
        f"{path}: written by an older version of ganhtr-tune. "
        f"Use commit {LAST_COMMIT}, the last one that reads it."
    )
