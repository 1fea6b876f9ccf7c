"""Model folders: saved and loaded frozen; files that do not fit together are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from ganhtr.charset import Charset
from ganhtr.data.batches import LineBatches
from ganhtr.train.evaluate import by_generator
from ganhtr.train.model_folder import load_model
from tests.made_model import save_model

CPU = torch.device("cpu")


@pytest.fixture
def state(small, new_state):
    return new_state(small(**{"train.seed": 5}))


@pytest.fixture
def folder(tmp_path, state, inputs):
    save_model(tmp_path / "best", state, inputs.guide)
    return tmp_path / "best"


def edit(path, **changes):
    """Rewrites some keys of a JSON file; a key of config by its own name."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        (content if key in ("preset", "config", "charset", "metrics") else content["config"])[
            key
        ] = value
    path.write_text(json.dumps(content))


def refusal(folder):
    with pytest.raises(ValueError) as caught:
        load_model(folder, CPU)
    return str(caught.value)


def test_what_was_saved_comes_back_frozen(folder, state, inputs, pairs):
    model = load_model(folder, CPU)
    for network in (model.generator, model.recognizer):
        assert not any(module.training for module in network.modules())
        assert not any(
            parameter.requires_grad or parameter.is_meta for parameter in network.parameters()
        )
    batch = LineBatches(pairs.validation, pairs.charset, CPU).take(np.arange(4))
    expected = by_generator(state.generator)(batch)
    assert torch.equal(by_generator(model.generator)(batch), expected) and expected.std() > 0.01
    assert torch.equal(model.recognizer(batch.clean)[1], inputs.guide.build(CPU)(batch.clean)[1])
    assert (model.config, model.charset) == (state.config, pairs.charset)


def test_loading_draws_no_random_numbers(folder):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_model(folder, CPU).generator(torch.ones(1, 1, 32, 64))
    torch.random.set_rng_state(before)
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(3))


def test_more_is_no_harm_and_an_older_version_wrote_fewer_keys(folder, state):
    edit(folder / "config.json", metrics={"psnr": None})
    content = json.loads((folder / "config.json").read_text())
    del content["config"]["loss.pixel"]
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "notes.txt").write_text("x")
    assert load_model(folder, CPU).config == state.config


@pytest.mark.parametrize(
    "missing", [("generator.safetensors",), ("guide.safetensors", "config.json")]
)
def test_missing_files_are_all_named(folder, missing):
    for name in missing:
        (folder / name).unlink()
    assert refusal(folder) == (
        f"{folder}: a model folder has the files generator.safetensors, guide.safetensors, "
        f"config.json, but {', '.join(missing)} is missing. A search writes a model folder to "
        "results/<study>/best"
    )


def test_no_folder(folder, tmp_path):
    for path in (tmp_path / "none", folder / "config.json"):
        assert refusal(path).endswith(
            "no such model folder. A search writes one to results/<study>/best"
        )


@pytest.mark.parametrize("name", ["generator.safetensors", "guide.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "declares more", "pickle"])
def test_damaged_weights_are_named(folder, name, damage):
    whole = (folder / name).read_bytes()
    if damage == "pickle":
        torch.save({"a": torch.ones(2)}, folder / name)
    else:
        (folder / name).write_bytes(
            {
                "empty": b"",
                "cut": whole[:-40],
                "text": b"not weights at all",
                "declares more": (2**60).to_bytes(8, "little") + whole[8:],
            }[damage]
        )
    message = refusal(folder)
    assert message.startswith(f"{folder / name}: cannot load the ")
    assert message.endswith("Copy the model folder again") and "(None)" not in message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"preset": "tiny", "config": {}}', "[" * 100_000, '"\\ud800', "\udcff"],
)
def test_a_config_that_is_no_config(folder, text):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert refusal(folder).startswith(
        f"{folder / 'config.json'}: not a JSON object with the keys preset, config and charset ("
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"generator.wings": 2, "loss.pixel": -1},
            [
                "generator.wings is not a configuration key",
                "loss.pixel must be a number",
                "may come from a newer version",
            ],
        ),
        ({"preset": "vast"}, ["preset must be one of", "may come from a newer version"]),
        ({"preset": ["tiny"]}, ["preset and charset must be strings", "list"]),
        ({"charset": None}, ["preset and charset must be strings", "NoneType"]),
        ({"config": [1]}, ["config an object", "list"]),
        ({"charset": "aa"}, ["characters must be distinct"]),
        ({"charset": ""}, ["charset: must have at least one character"]),
    ],
)
def test_faults_of_the_config_are_named(folder, changes, words):
    edit(folder / "config.json", **changes)
    message = refusal(folder)
    assert message.startswith(f"{folder / 'config.json'}: ") and all(
        word in message for word in words
    )


def test_weights_that_do_not_fit_are_refused(folder):
    edit(folder / "config.json", **{"generator.base": 3})
    message = refusal(folder)
    assert "but config.json needs [" in message and "generator.safetensors: " in message


def test_a_tensor_more_or_less_is_refused(folder):
    path = folder / "generator.safetensors"
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file({**tensors, "extra": torch.ones(3)}, path)
    assert "extra: the file has [3] float32, but config.json needs none" in refusal(folder)
    name = sorted(tensors)[-1]
    safetensors.torch.save_file(
        {key: tensor for key, tensor in tensors.items() if key != name}, path
    )
    assert f"{name}: the file has none, but config.json needs [" in refusal(folder)


def test_a_vast_size_is_refused_before_it_is_built(folder):
    edit(
        folder / "config.json", **{"generator.base": 512, "generator.levels": 5}
    )  # 13 GB of weights
    assert "but config.json needs [" in refusal(folder)


def test_weights_of_another_type_and_weights_that_are_no_numbers(folder):
    path = folder / "generator.safetensors"
    tensors = safetensors.torch.load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    for value, words in (
        (tensors[name].double(), "float64, but config.json needs"),
        (tensors[name] / 0, f"{name} has NaN or infinity"),
    ):
        safetensors.torch.save_file({**tensors, name: value}, path)
        assert words in refusal(folder)


def test_a_guide_with_no_numbers_is_refused(folder, inputs):
    arrays = dict(inputs.guide.arrays)
    arrays["classify.bias"] = np.full_like(arrays["classify.bias"], np.nan)
    replace(inputs.guide, arrays=arrays).save(folder / "guide.safetensors")
    assert "guide.safetensors: classify.bias has NaN or infinity" in refusal(folder)


def test_files_of_two_studies_are_not_mixed(folder, small, make_inputs, make_pairs):
    other = make_pairs(train=("xyz", "zoo yes", "xo") * 3)
    make_inputs(small(), other).guide.save(folder / "guide.safetensors")
    assert "the charset differs from that of config.json" in refusal(folder)


def test_a_charset_in_another_order_is_another(folder, pairs):
    edit(folder / "config.json", charset=Charset(pairs.charset.characters[::-1]).characters)
    assert "the charset differs from that of config.json" in refusal(folder)


@pytest.mark.parametrize(("key", "value"), [("data.height", 64), ("data.width", 128)])
def test_a_guide_of_another_size(folder, key, value):
    edit(folder / "config.json", **{key: value})
    size = {"data.height": "64 x 64", "data.width": "32 x 128"}[key]
    fault = f"guide.safetensors: the guide reads lines of 32 x 64 px, but config.json says {size}"
    assert fault in refusal(folder)
