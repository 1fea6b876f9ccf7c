"""`python -m ganhtr export`: the generator of a model folder as an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="A model folder, such as results/NAME/best.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The ONNX file to write.")] = Path(
        "generator.onnx"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Writes the trained generator as ONNX (opset 18) and compares it with PyTorch; on a difference above 1e-4 nothing is written.

    Input and output are grey lines (batch, 1, height, width) in [0, 1]; the height is the model's, batch and width are free. Needs the
    packages of `pip install 'ganhtr-tune[onnx]'`.
    """
    if os.path.lexists(out) and not force:
        raise ValueError(
            f"{out}: --out must be a new file, got one that exists. Add --force to overwrite it"
        )
    if not out.parent.is_dir():
        raise ValueError(
            f"{out}: --out must lie in a folder that exists, got no folder {out.parent}. Make it first"
        )
    import torch  # here and below: --help needs no networks

    from ganhtr.onnx_export import OPSET, export_generator, require_packages
    from ganhtr.train.model_folder import load_model

    require_packages()
    written = export_generator(load_model(model, torch.device("cpu")), out)
    typer.echo(
        f"{out}: opset {OPSET}, {written.bytes:,} bytes; largest difference from PyTorch {written.difference:.1e}"
    )
    for name, difference in written.differences.items():
        typer.echo(f"  {difference:.1e}  {name}")
