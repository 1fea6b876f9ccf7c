"""Where a command computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # --help needs no networks
    import torch

Device = Annotated[
    str | None, typer.Option(metavar="cpu|cuda", help="Default: cuda where there is one.")
]


def device_of(asked: str | None) -> torch.device:
    """The device asked for, else the best there is. Raises: ValueError when it is none, or not there."""
    import torch

    if asked not in (None, "cpu", "cuda"):
        raise ValueError(
            f"--device must be cpu or cuda, got {asked}. Leave it out for the best there is"
        )
    if asked == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "--device must be cpu on this machine, got cuda, and PyTorch sees no CUDA device. Leave --device out"
        )
    return torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))
