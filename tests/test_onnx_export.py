"""ONNX export: the file agrees with PyTorch at other widths and batches, or is not written."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from ganhtr import __main__, onnx_export
from ganhtr.config import RULES
from ganhtr.onnx_export import export_generator
from ganhtr.train.model_folder import Model, load_model
from tests.made_model import save_model

CPU = torch.device("cpu")
for package in onnx_export.PACKAGES:
    pytest.importorskip(package, reason="ONNX export is an extra: pip install 'ganhtr-tune[onnx]'")


@pytest.fixture
def save(tmp_path, small, new_state, inputs):
    """save(**overrides): the model folder of an untrained generator."""

    def write(**overrides):
        save_model(tmp_path / "model", new_state(small(**overrides)), inputs.guide)
        return tmp_path / "model"

    return write


@pytest.fixture
def folder(save):
    return save(**{"generator.levels": 1})  # the exporter takes seconds a level


@pytest.fixture
def model(folder):
    return load_model(folder, CPU)


def with_generator(model, generator):
    return Model(model.config, model.charset, generator, model.recognizer, CPU)


@pytest.mark.parametrize("kind", RULES["generator.kind"].choices)
def test_the_file_runs_at_other_sizes_and_agrees(save, tmp_path, kind):
    import onnx
    import onnxruntime

    path, model = (
        tmp_path / "g.onnx",
        load_model(save(**{"generator.kind": kind, "generator.levels": 1}), CPU),
    )
    written = export_generator(model, path)
    proto = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [
        "g.onnx"
    ] and written.bytes == path.stat().st_size
    shape = proto.graph.input[0].type.tensor_type.shape.dim
    assert (shape[0].dim_param, shape[1].dim_value, shape[2].dim_value) == (
        "batch",
        1,
        32,
    ) and shape[3].dim_param
    assert b".py" not in path.read_bytes()  # no path of the machine that exported it
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, width in ((1, 4), (2, 64), (5, 212)):
        images = torch.rand(batch, 1, 32, width)
        output = session.run(["restored"], {"degraded": images.numpy()})[0]
        expected = model.generator(images).numpy()
        assert (
            output.shape == images.shape
            and np.abs(output - expected).max() < 1e-5
            and expected.std() > 1e-3
        )
    assert (
        written.difference == max(written.differences.values()) < 1e-5
        and len(written.differences) == 4
    )
    assert sorted(written.differences) == [
        "lines, 1 x 64 px",
        "lines, 3 x 74 px",
        "noise, 1 x 64 px",
        "noise, 3 x 74 px",
    ]


class Drifting(nn.Module):
    """Answers a little otherwise than when it was traced."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x * 0.5 if torch.compiler.is_exporting() else x * 0.5 + self.by


@pytest.mark.parametrize(("by", "fine"), [(5e-5, True), (2e-4, False), (float("nan"), False)])
def test_a_file_that_differs_is_not_kept(model, tmp_path, by, fine):
    path = tmp_path / "g.onnx"
    if fine:
        assert export_generator(
            with_generator(model, Drifting(by)), path
        ).difference == pytest.approx(by, rel=0.02)
    else:
        path.write_text("older")
        with pytest.raises(
            ValueError,
            match=r"g.onnx: not written. The outputs .* differ by .* on \w+, .* more than 0.0001",
        ):
            export_generator(with_generator(model, Drifting(by)), path)
        assert path.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["g.onnx"]


def test_a_network_of_one_width_is_refused(model):
    """The comparison at another width detects a network that only works at the traced one."""

    class Fixed(nn.Module):
        def forward(self, x):
            return x[:, :, :, : 64 if torch.compiler.is_exporting() else None] * 1.0

    assert np.isnan(
        onnx_export.compare(
            with_generator(model, Fixed()), onnx_export._graph(with_generator(model, Fixed()))
        )["noise, 3 x 74 px"]
    )


@pytest.mark.parametrize("package", onnx_export.PACKAGES)
def test_a_missing_package_names_the_extra(model, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ValueError, match=rf"needs {package}. Install: pip install 'ganhtr-tune\[onnx\]'"
    ):
        export_generator(model, tmp_path / "g.onnx")
    assert not (tmp_path / "g.onnx").exists()


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """run(*words): exit code, stdout and stderr of the command."""

    def call(*words):
        monkeypatch.setattr(
            sys, "argv", ["ganhtr", "export", "--model", str(folder), *map(str, words)]
        )
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        return (ended.value.code, *capsys.readouterr())

    return call


def test_the_command_says_what_it_wrote_and_overwrites_only_with_force(run, tmp_path):
    path = tmp_path / "g.onnx"
    path.write_text("mine")
    code, _, errors = run("--out", path)
    assert code == 2 and "Add --force" in errors and path.read_text() == "mine"
    code, output, errors = run("--out", path, "--force")
    assert code in (0, None) and output.startswith(
        f"{path}: opset 18, {path.stat().st_size:,} bytes; largest difference from PyTorch "
    )
    assert "lines, 3 x 74 px" in output and errors == ""


def test_the_command_refuses_what_cannot_be(run, tmp_path, folder):
    assert "none does not exist. Create it first" in run("--out", tmp_path / "none" / "g.onnx")[2]
    (folder / "config.json").unlink()
    code, _, errors = run("--out", tmp_path / "g.onnx")
    assert (
        code == 2
        and "a model folder has the files" in errors
        and not (tmp_path / "g.onnx").exists()
    )
