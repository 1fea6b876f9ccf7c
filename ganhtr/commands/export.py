"""`python -m ganhtr export`: write the generator of a model folder as an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Model folder, such as results/NAME/best.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="ONNX file to write.")] = Path(
        "generator.onnx"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Export a trained generator as ONNX (opset 18) and compare it with PyTorch.

    If the outputs differ by more than 1e-4, no file is written.

    Input and output are grey lines (batch, 1, height, width) in [0, 1]. The height is that of the
    model; batch and width are free. Needs the packages of `pip install 'ganhtr-tune[onnx]'`.
    """
    if os.path.lexists(out) and not force:
        raise ValueError(f"--out: {out} exists. Add --force to overwrite it")
    if not out.parent.is_dir():
        raise ValueError(f"--out: the folder {out.parent} does not exist. Create it first")
    import torch  # here and below: --help needs no networks

    from ganhtr.onnx_export import OPSET, export_generator, require_packages
    from ganhtr.train.model_folder import load_model

    require_packages()
    exported = export_generator(load_model(model, torch.device("cpu")), out)
    typer.echo(
        f"{out}: opset {OPSET}, {exported.bytes:,} bytes; "
        f"largest difference from PyTorch {exported.difference:.1e}"
    )
    for name, difference in exported.differences.items():
        typer.echo(f"  {difference:.1e}  {name}")
