"""Shared by the tests of the ten faults: a check that fails on the fault; a study without Ray."""

import json

import pytest

from tests.conftest import SMALL
from tune.runner.preparation import write_start
from tune.study.folder import StudyFolder
from tune.study.request import Request


@pytest.fixture(scope="session")
def caught():
    """caught(check, *faulty): the check fails on the fault."""

    def fails(check, *faulty):
        with pytest.raises(AssertionError):
            check(*faulty)

    return fails


@pytest.fixture(scope="session")
def new_study(tmp_path_factory, inputs):
    """new_study(space, seed): request and folder of a study with the lines of `inputs`."""

    def make(space, seed=0):
        sizes = {
            key: value
            for key, value in SMALL.items()
            if key not in ("train.epochs", "train.steps_per_epoch")
        }
        request = Request(
            space, "tiny", "a test", sizes, "builtin", None, None, space.trials, seed, 1, 0
        )
        folder = StudyFolder.planned(tmp_path_factory.mktemp("results"), "study", request).create(
            request
        )
        write_start(folder, inputs, "score", "cpu")
        return request, folder

    return make


def epochs_of(folder, trial):
    """The epochs in a trial's metrics file."""
    return json.loads(
        (folder.path / f"trials/{trial}/metrics/training_metrics_fp32.json").read_text(
            encoding="utf-8"
        )
    )["epochs"]
