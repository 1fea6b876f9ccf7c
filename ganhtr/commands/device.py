"""The device of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # --help needs no networks
    import torch

Device = Annotated[
    str | None, typer.Option(metavar="cpu|cuda", help="Default: cuda if available, else cpu.")
]


def device_of(name: str | None) -> torch.device:
    """Return the named device, or the best one for None.

    Raises: ValueError if the name is unknown or the device is not available.
    """
    import torch

    if name not in (None, "cpu", "cuda"):
        raise ValueError(
            f"--device must be cpu or cuda, got {name}. Omit it to use the best device available"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device on this machine. Omit it")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
