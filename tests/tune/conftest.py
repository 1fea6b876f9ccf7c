"""Fixtures for a small study: random lines, untrained recognizers, a tiny generator."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ganhtr.config import build_config
from ganhtr.data.pairs import Pairs
from ganhtr.models.recognizer import build_recognizer
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.rehearsal import LETTERS, random_lines
from tune.space.load import space_from_plain
from tune.study.request import Request

SMALL = {
    "data.height": 16,
    "data.width": 64,
    "generator.base": 2,
    "generator.levels": 2,
    "discriminator.base": 2,
    "discriminator.hidden": 4,
    "guide.base": 2,
    "guide.dim": 4,
    "guide.layers": 1,
    "judge.base": 2,
    "judge.dim": 4,
    "judge.layers": 1,
    "train.batch_size": 4,
}
SPACE = {
    "budget": {"trials": 6, "epochs": 3, "steps_per_epoch": 2},
    "search": {"pruner": "none"},
    "verdict": {"seeds": 0},
    "space": {
        "contrastive.formulation": {"choice": ["infonce", "clip"]},
        "contrastive.weight": {"float": [0.01, 30], "log": True},
        "head.kind": {"choice": ["none", "mlp"]},
        "head.layers": {"int": [1, 3], "when": {"head.kind": ["mlp"]}},
    },
}
EXPERIMENT = {
    "budget": {"seeds": 3, "epochs": 3, "steps_per_epoch": 2},
    "baseline": {"contrastive.formulation": "none", "loss.ctc": 2.0},
    "fixed": {"contrastive.formulation": "clip"},
}


@pytest.fixture
def space():
    return space_from_plain(SPACE, "test")


@pytest.fixture
def experiment():
    """OFF and ON for three seeds."""
    return space_from_plain(EXPERIMENT, "test")


@pytest.fixture
def request_of(space):
    """Builds a request; keyword arguments change space, budget and settings."""

    def build(trials=6, epochs=3, seed=0, of=space, **settings):
        changed = replace(of, budget=replace(of.budget, trials=trials, epochs=epochs))
        return Request(
            changed,
            "tiny",
            "a test",
            {**SMALL, **settings},
            "builtin",
            None,
            None,
            trials,
            seed,
            1,
            0,
        )

    return build


@pytest.fixture
def inputs():
    """Random lines, recognizers that were never trained."""
    torch.manual_seed(0)
    config = build_config("tiny", SMALL)

    def recognizer(part, cer):
        net = build_recognizer(part, LETTERS.classes, config.data.height, config.data.width)
        arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
        return RecognizerWeights(
            part, LETTERS.characters, config.data.height, config.data.width, cer, "test", arrays
        )

    pairs = Pairs(
        random_lines(config, 12), random_lines(config, 5), LETTERS, "random", "digest", "clean"
    )
    return TrialInputs(pairs, recognizer(config.guide, 0.02), recognizer(config.judge, 0.04), None)


@pytest.fixture(scope="module")
def cluster():
    """One Ray for all tests of a module."""
    from tune.runner.cluster import ray_session

    with ray_session(None, 0, dashboard=False) as started:
        yield started


@pytest.fixture
def shared_ray(cluster, monkeypatch):
    """Searches of this process use the module's Ray instead of starting one each."""
    monkeypatch.setattr("tune.runner.workers.ray_session", lambda *_: nullcontext(cluster))


@pytest.fixture
def search_here(shared_ray, capfd):
    """search_here(*words): the command in this process, on the module's Ray."""
    from tune.commands.search import app

    def search(*words):
        threads = torch.get_num_threads()
        capfd.readouterr()
        try:
            done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        finally:
            torch.set_num_threads(threads)  # the command takes all processors
        return SimpleNamespace(
            returncode=done.exit_code,
            stdout=done.stdout + capfd.readouterr().out,
            stderr=done.stderr,
        )

    return search


@pytest.fixture
def pair_of(tmp_path, request_of):
    """pair_of(trials): OFF and the best ON arm of a made study."""
    from tests.tune.made_study import make_study
    from tune.reporting.pair import default_pair

    def build(*trials):
        folder, _, rows = make_study(tmp_path, request_of(), trials)
        return default_pair(folder, rows)

    return build


@pytest.fixture
def study(tmp_path, inputs, request_of, monkeypatch):
    """Makes a study folder and its request, with the random lines as data."""
    import tune.runner.preparation
    from tune.study.folder import StudyFolder

    monkeypatch.setattr(tune.runner.preparation, "inputs_of", lambda *_: inputs)

    def make(name="study", **changes):
        request = request_of(**changes)
        return StudyFolder.planned(tmp_path / "results", name, request).create(request), request

    return make


def states(module) -> dict[str, np.ndarray]:
    """A network's arrays, for comparisons bit by bit."""
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
