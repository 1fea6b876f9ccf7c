"""A generator as an ONNX file, compared with PyTorch before it is kept.

Legend: B batch, H the model's line height, W width.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganhtr.atomic import write_atomically
from ganhtr.data.degrade import degrade
from ganhtr.data.drawn.fonts import stroke_fonts
from ganhtr.data.drawn.synthetic import render_line
from ganhtr.precision import require_fp32
from ganhtr.seeds import generator as numbers
from ganhtr.train.model_folder import Model

OPSET = 18  # the first with today's Resize; every runtime since 2023 has it
LARGEST_DIFFERENCE = 1e-4  # of an image in [0, 1]: a fortieth of a grey level
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "degraded", "restored"


@dataclass(frozen=True)
class Exported:
    """What was written and how near it is to PyTorch."""

    path: Path
    bytes: int
    differences: dict[str, float]  # largest one of each input, by its name

    @property
    def difference(self) -> float:
        """The largest difference of a pixel in [0, 1]."""
        return max(self.differences.values())


def require_packages() -> None:
    """Raises: ValueError naming what ONNX export lacks."""
    missing = [name for name in PACKAGES if not _importable(name)]
    if missing:
        raise ValueError(
            f"ONNX export: packages must include {', '.join(PACKAGES)}, got no {', no '.join(missing)}. "
            "pip install 'ganhtr-tune[onnx]'"
        )


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def export_generator(model: Model, path: Path) -> Exported:
    """Writes the generator of a model on the CPU: `degraded` (B, 1, H, W) float32 in [0, 1] -> `restored` of the same shape.

    B and W are free, W a multiple of 2**generator.levels. The file appears only when ONNX Runtime agrees with PyTorch.
    Raises: ValueError when a package is missing, the graph is not valid, the outputs differ, or the file cannot be written.
    """
    require_packages()
    require_fp32()
    written = _graph(model)
    differences = compare(model, written)
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= LARGEST_DIFFERENCE:  # NaN is no agreement
        raise ValueError(
            f"{path}: ONNX Runtime must agree with PyTorch to {LARGEST_DIFFERENCE:g}, got a difference of "
            f"{differences[worst]:.2g} on {worst}. Nothing was written; try other versions of {', '.join(PACKAGES)}"
        )
    try:
        write_atomically(path, written)
    except OSError as error:
        raise ValueError(
            f"{path}: must be a file that can be written, got: {error.strerror}. Choose another place"
        ) from error
    return Exported(path, len(written), differences)


def _graph(model: Model) -> bytes:
    """The checked ONNX model, weights inside, without the traces of this machine's files that the exporter leaves in it."""
    import onnx

    data, step = model.config.data, 2**model.config.generator.levels
    example = torch.ones(2, 1, data.height, data.width)
    free = {0: torch.export.Dim("batch"), 3: step * torch.export.Dim("steps")}
    with _quiet():
        program = torch.onnx.export(
            model.generator,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(free,),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for part in (
        proto,
        proto.graph,
        *proto.graph.node,
        *proto.graph.input,
        *proto.graph.output,
        *proto.graph.value_info,
        *proto.graph.initializer,
    ):
        del part.metadata_props[:]
    onnx.helper.set_model_props(
        proto,
        {
            INPUT: f"grey lines, 0 black to 1 white, {data.height} px high, laid on white paper of a width that {step} divides",
            "trained_width": str(data.width),
        },
    )
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(
            f"ONNX export: the graph must pass onnx.checker, got {error}. Try other versions of "
            f"{', '.join(PACKAGES)}"
        ) from error
    return proto.SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's remarks (such as that torchvision is missing) from the user; its errors are raised."""
    noisy = logging.getLogger("torch.onnx")
    held = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        noisy.setLevel(held)


def compare(model: Model, written: bytes) -> dict[str, float]:
    """Largest difference between ONNX Runtime's output and PyTorch's, on noise and on lines of two widths and batch sizes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(
        written, options, providers=["CPUExecutionProvider"]
    )
    differences = {}
    for name, images in _inputs(model).items():
        with torch.no_grad():
            expected = model.generator(torch.from_numpy(images)).numpy()
        got = session.run([OUTPUT], {INPUT: images})[0]
        differences[name] = (
            float(np.abs(got - expected).max()) if got.shape == expected.shape else float("nan")
        )
    return differences


def _inputs(model: Model) -> dict[str, np.ndarray]:
    """Batches (B, 1, H, W) by name: one as wide as in training, and three wider ones that no trace has seen."""
    data, step = model.config.data, 2**model.config.generator.levels
    rng = numbers(0, "onnx export")
    inputs = {}
    for count, width in ((1, data.width), (3, data.width + 5 * step)):
        inputs[f"noise, {count} x {width} px"] = rng.random(
            (count, 1, data.height, width), dtype=np.float32
        )
        lines = np.ones((count, 1, data.height, width), dtype=np.float32)
        for sheet in lines[:, 0]:
            line = degrade(
                render_line("den 3 Maart", data.height, rng, stroke_fonts()[0], width), rng, 1.0
            )
            sheet[:, : line.shape[1]] = line / np.float32(255)
        inputs[f"lines, {count} x {width} px"] = lines
    return inputs
