"""Files that are there whole or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces a file in one move, after its bytes are on the disk; a reader sees the old one or the new one, whole.

    Raises: OSError with the file's name, as on a full disk.
    """
    half = path.with_name(
        f".{path.name}.{os.getpid()}.writing"
    )  # two processes may train the same recognizer
    try:
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException as error:  # a full disk, Ctrl-C
        with suppress(OSError):
            half.unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno and error.filename is None
        ):  # the system names none when it is a write that fails
            error.filename = str(path)
        raise


def to_json(value: Any) -> bytes:
    """Readable JSON (UTF-8) in which a number that is not finite is null."""

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        if isinstance(item, (list, tuple)):
            return [plain(each) for each in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(plain(value), ensure_ascii=False, indent=1).encode()


def write_torch(path: Path, values: dict[str, Any]) -> None:
    """Writes a file with `torch.save`. Raises: OSError as `write_atomically` does."""
    import torch

    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_atomically(path, buffer.getvalue())


def read_torch(path: Path, device: torch.device, keys: tuple[str, ...]) -> dict[str, Any]:
    """These entries of a file that `torch.save` wrote; no code of the file is run. Raises: one of UNREADABLE."""
    import torch

    with zipfile.ZipFile(path) as archive:
        if (
            damaged := archive.testzip()
        ) is not None:  # PyTorch itself does not look at the checksums
            raise ValueError(f"{damaged} in it is damaged")
    entries = torch.load(path, map_location=device, weights_only=True)
    return {key: entries[key] for key in keys}
