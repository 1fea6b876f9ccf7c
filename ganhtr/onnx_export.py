"""Export of a generator as an ONNX file, which is compared with PyTorch before it is written.

Legend: B lines of a batch, H line height of the model, W width.
"""

from __future__ import annotations

import contextlib
import importlib.util
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

OPSET = 18  # the first with the current Resize; every runtime since 2023 supports it
LARGEST_DIFFERENCE = 1e-4  # of an image in [0, 1]: a fortieth of a grey level
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "degraded", "restored"


@dataclass(frozen=True)
class Exported:
    """The written file and its differences from PyTorch."""

    path: Path
    bytes: int
    differences: dict[str, float]  # input -> largest difference

    @property
    def difference(self) -> float:
        """The largest difference of all pixels, which are in [0, 1]."""
        return max(self.differences.values())


def require_packages() -> None:
    """Raises: ValueError with the packages that are not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"ONNX export needs {', '.join(missing)}. Install: pip install 'ganhtr-tune[onnx]'"
        )


def export_generator(model: Model, path: Path) -> Exported:
    """Write the generator of a model on the CPU as an ONNX file.

    The file is written only if ONNX Runtime agrees with PyTorch.
    Shapes: `degraded` (B, 1, H, W) float32 in [0, 1] -> `restored` (B, 1, H, W). B and W are free,
    W a multiple of 2**generator.levels.
    Raises: ValueError if a package is missing, the graph is not valid, the outputs differ, or the
    file cannot be written.
    """
    require_packages()
    require_fp32()
    graph = _graph(model)
    differences = compare(model, graph)
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= LARGEST_DIFFERENCE:  # also true for NaN
        raise ValueError(
            f"{path}: not written. The outputs of ONNX Runtime and PyTorch differ by "
            f"{differences[worst]:.2g} on {worst}, more than {LARGEST_DIFFERENCE:g}. "
            f"Try other versions of {', '.join(PACKAGES)}"
        )
    try:
        write_atomically(path, graph)
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be written ({error.strerror}). Choose another path"
        ) from error
    return Exported(path, len(graph), differences)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide the exporter's remarks, such as a missing torchvision. Its errors are raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _graph(model: Model) -> bytes:
    """Return the checked ONNX model, without the local file paths that the exporter adds."""
    import onnx

    data, step = model.config.data, 2**model.config.generator.levels
    example = torch.ones(2, 1, data.height, data.width)
    free = {0: torch.export.Dim("batch"), 3: step * torch.export.Dim("steps")}
    with _quiet_exporter():
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
    graph = proto.graph
    values = (*graph.input, *graph.output, *graph.value_info)
    for part in (proto, graph, *graph.node, *values, *graph.initializer):
        del part.metadata_props[:]
    description = (
        f"grey lines, 0 black to 1 white, {data.height} px high, laid on white paper of a width "
        f"that {step} divides"
    )
    onnx.helper.set_model_props(proto, {INPUT: description, "trained_width": str(data.width)})
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(
            f"ONNX export: onnx.checker refuses the graph ({error}). "
            f"Try other versions of {', '.join(PACKAGES)}"
        ) from error
    return proto.SerializeToString()


def compare(model: Model, graph: bytes) -> dict[str, float]:
    """Return the largest difference between ONNX Runtime and PyTorch for each input of `_inputs`.

    NaN means that the shapes differ.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    differences = {}
    for name, images in _inputs(model).items():
        with torch.no_grad():
            expected = model.generator(torch.from_numpy(images)).numpy()
        output = session.run([OUTPUT], {INPUT: images})[0]
        same_shape = output.shape == expected.shape
        differences[name] = float(np.abs(output - expected).max()) if same_shape else float("nan")
    return differences


def _inputs(model: Model) -> dict[str, np.ndarray]:
    """Batches (B, 1, H, W) by name: noise and lines, of the training width and of a wider one."""
    data, step = model.config.data, 2**model.config.generator.levels
    rng = numbers(0, "onnx export")
    inputs = {}
    for count, width in ((1, data.width), (3, data.width + 5 * step)):
        inputs[f"noise, {count} x {width} px"] = rng.random(
            (count, 1, data.height, width), dtype=np.float32
        )
        lines = np.ones((count, 1, data.height, width), dtype=np.float32)
        for sheet in lines[:, 0]:
            clean = render_line("den 3 Maart", data.height, rng, stroke_fonts()[0], width)
            line = degrade(clean, rng, 1.0)
            sheet[:, : line.shape[1]] = line / np.float32(255)
        inputs[f"lines, {count} x {width} px"] = lines
    return inputs
