"""Tests of a space as Optuna distributions: every kind, read and sampled by Optuna itself."""

import json
import warnings

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from tune.searcher.distributions import distributions, distributions_json
from tune.space.load import space_from_plain

SPACE = {
    "loss.pixel": {"float": [1, 9]},
    "contrastive.weight": {"float": [0.01, 30], "log": True},
    "loss.ctc": {"float": [0.1, 0.7], "step": 0.2},
    "head.layers": {"int": [1, 3]},
    "head.dim": {"int": [8, 256], "log": True},
    "head.width": {"int": [10, 30], "step": 10},
    "head.kind": {"choice": ["none", "mlp"]},
    "contrastive.symmetric": {"bool": True},
    "train.batch_size": {"choice": [4, 8]},
}


@pytest.fixture
def space():
    return space_from_plain({"space": SPACE})


def test_each_parameter_has_its_distribution(space):
    assert distributions(space) == {
        "loss.pixel": FloatDistribution(1, 9),
        "contrastive.weight": FloatDistribution(0.01, 30, log=True),
        "loss.ctc": FloatDistribution(0.1, 0.7, step=0.2),
        "head.layers": IntDistribution(1, 3),
        "head.dim": IntDistribution(8, 256, log=True),
        "head.width": IntDistribution(10, 30, step=10),
        "head.kind": CategoricalDistribution(("none", "mlp")),
        "contrastive.symmetric": CategoricalDistribution((False, True)),
        "train.batch_size": CategoricalDistribution((4, 8)),
    }


def test_optuna_reads_the_json_and_draws_what_the_space_allows(space):
    read = {
        key: json_to_distribution(json.dumps(distribution))
        for key, distribution in json.loads(distributions_json(space)).items()
    }
    assert read == distributions(space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns where it must bend a range
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = [study.ask(read).params for _ in range(50)]
    assert all(
        parameter.allows(params[parameter.key])
        for params in drawn
        for parameter in space.parameters
    )
