"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces a file in one move, after its bytes are on the disk; a reader sees the old one or the new one, whole.

    Raises: OSError with the file's name, as on a full disk.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}.writing")  # two processes may train the same reader
    try:
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException as error:  # a full disk, Ctrl-C
        with suppress(OSError):
            half.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # the system names none when it is a write that fails
            error.filename = str(path)
        raise
