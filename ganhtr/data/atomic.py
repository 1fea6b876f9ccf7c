"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces a file in one move, after its bytes are on the disk; a reader sees the old one or the new one, whole."""
    half = path.with_name(f".{path.name}.{os.getpid()}.writing")  # two processes may train the same reader
    try:
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:  # a full disk, Ctrl-C
        half.unlink(missing_ok=True)
        raise
