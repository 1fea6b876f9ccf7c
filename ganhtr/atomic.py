"""Files that are written whole or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import torch
    from PIL import Image

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


@contextmanager
def opened_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file to replace `path` when the block ends without an error, in one move.

    Other processes see the old file or the new one, never a part.

    Raises: OSError with the file's name, for example when the disk is full.
    """
    # The process id is part of the name because two processes may train the same recognizer.
    partial = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        partial.replace(path)
    except BaseException as error:  # also KeyboardInterrupt: the partial file must not stay
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # PyTorch reports a failed write() as an error of its own, with the cause as its context.
        cause = error.__context__ if isinstance(error, RuntimeError) else error
        if isinstance(cause, OSError) and cause.errno:
            # A failed write() carries no file name, a failed open() does.
            cause.filename = cause.filename or str(path)
            raise cause from None
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one move. Raises: OSError as `opened_atomically` does."""
    with opened_atomically(path) as file:
        file.write(data)


def write_png(path: Path, image: np.ndarray | Image.Image) -> None:
    """Write an image as a PNG file in one move. Raises: OSError."""
    write_atomically(path, encode_png(image))


def encode_png(image: np.ndarray | Image.Image) -> bytes:
    """Encode an image, (h, w) or (h, w, 3) uint8 if it is an array, as PNG."""
    from PIL import Image  # here, because training alone does not need Pillow

    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


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
    """Write a file with `torch.save`, without a copy of it in memory.

    Raises: OSError as `opened_atomically` does.
    """
    import torch

    with opened_atomically(path) as file:
        torch.save(values, file)


def read_torch(path: Path, device: torch.device, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read entries of a file that `torch.save` wrote, without running code from the file.

    Raises: one of UNREADABLE.
    """
    import torch

    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()  # PyTorch itself does not look at the checksums
    if damaged is not None:
        raise ValueError(f"{damaged} in it is damaged")
    entries = torch.load(path, map_location=device, weights_only=True)
    return {key: entries[key] for key in keys}
