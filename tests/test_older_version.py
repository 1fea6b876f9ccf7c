"""Files of older versions are refused in one line that names the last commit which reads them."""

import json

import pytest
import safetensors.numpy
import torch
import yaml

from ganhtr.atomic import write_torch
from ganhtr.config import key_fault
from ganhtr.older_version import LAST_COMMIT, RENAMED, is_older
from ganhtr.recognizers.checkpoint import RecognizerTraining
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.train.model_folder import load_model
from tests.made_model import save_model
from tune.study.folder import StudyError, StudyFolder
from tune.warm_start.history import read_history

OLD_CONFIG = {"data.height": 32, "recognizer.kind": "crnn", "reader.epochs": 12}


def refusal(act):
    with pytest.raises(ValueError, match=LAST_COMMIT) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sections_tell_the_version():
    assert is_older(OLD_CONFIG) and not is_older(
        {"guide.kind": 1, "judge.dim": 2, "recognizer_training.epochs": 3}
    )


def test_a_renamed_key_names_the_new_section():
    """The nearest key would mislead: that of reader.epochs is train.epochs."""
    for key in OLD_CONFIG.keys() - {"data.height"}:
        assert key in key_fault(key) and RENAMED in key_fault(key)


def test_a_recognizer_file(tmp_path, inputs):
    path = tmp_path / "guide.safetensors"
    safetensors.numpy.save_file(inputs.guide.arrays, path, metadata={"reader": "{}"})
    assert refusal(lambda: RecognizerWeights.load(path)).startswith(
        f"{path}: written by an older version"
    )


def test_a_checkpoint_of_a_recognizers_training(tmp_path):
    path = tmp_path / "guide.safetensors.part"
    write_torch(path, {"settings": OLD_CONFIG, "epoch": 1, "cer": 0.5, "reader": {}})
    assert str(path) in refusal(
        lambda: RecognizerTraining.restore(None, path, {}, torch.device("cpu"))
    )


def test_a_model_folder(tmp_path, small, new_state, inputs):
    folder = tmp_path / "best"
    save_model(folder, new_state(small()), inputs.guide)
    plain = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**plain, "config": OLD_CONFIG}))
    assert str(folder / "config.json") in refusal(lambda: load_model(folder, torch.device("cpu")))


def test_a_study_folder_and_a_warm_start_from_it(tmp_path):
    from tune.space.load import space_from_plain

    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "study.yaml").write_text(
        yaml.safe_dump({"config": OLD_CONFIG, "space": {}, "trials": 1})
    )
    (folder / "study.journal").write_text(
        '{"op_code": 0, "worker_id": "w", "study_name": "on", "directions": [2]}\n'
    )
    with pytest.raises(StudyError):
        StudyFolder(folder).request()
    assert str(folder / "study.yaml") in refusal(StudyFolder(folder).request)
    space = space_from_plain({"space": {"contrastive.weight": {"float": [0.1, 1]}}})
    assert str(folder / "study.yaml") in refusal(lambda: read_history(folder, space, ["score"]))
