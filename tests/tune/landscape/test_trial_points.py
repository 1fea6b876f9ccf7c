"""Trials as points: there and back, with the conditions of the space."""

import random

import numpy as np
import pytest

from tests.tune.made_search import SPACE
from tune.landscape.trial_points import TrialPoints, choice_at, coordinate_of, number_at
from tune.space.load import space_from_plain
from tune.space.parameter import Parameter

RULED = space_from_plain(
    {
        "verdict": {"seeds": 0},
        "space": {
            "contrastive.weight": {"float": [0.01, 30], "log": True},
            "head.kind": {"choice": ["none", "linear", "mlp"]},
            "head.layers": {
                "int": [1, 3],
                "when": {"head.kind": ["linear", "mlp"], "contrastive.weight": {"min": 0.1}},
            },
            "contrastive.margin": {
                "float": [0.1, 0.5],
                "step": 0.1,
                "when": {"head.layers": [2, 3]},
            },
            "contrastive.symmetric": {"bool": True},
        },
        "forbidden": [
            {"head.kind": "mlp", "contrastive.symmetric": True},
            {"contrastive.weight": {"max": 0.05}, "head.kind": "none"},
        ],
    },
    "ruled",
)


def value_at(parameter, coordinate):
    if parameter.choices:
        return parameter.choices[choice_at(parameter, np.array([coordinate]))[0]]
    return number_at(parameter, np.array([coordinate]))[0]


def test_every_value_is_recovered_from_its_coordinate():
    for values in (SPACE.random_values(seed) for seed in range(50)):
        for parameter in SPACE.active(values):
            coordinate = coordinate_of(parameter, values[parameter.key])
            assert 0 <= coordinate <= 1
            value = value_at(parameter, coordinate)
            if parameter.kind == "float":
                value = pytest.approx(value, rel=1e-9)
            assert values[parameter.key] == value


def test_a_choice_is_found_by_its_value_and_type():
    parameter = Parameter("loss.x", "choice", choices=(1, True))
    assert coordinate_of(parameter, True) > 0.5 > coordinate_of(parameter, 1)
    with pytest.raises(ValueError, match="not in list"):
        coordinate_of(parameter, 2)


def test_active_and_forbidden_agree_with_the_space():
    """Each point is also passed through the rules of the space."""
    coordinates = np.random.default_rng(0).random((400, len(RULED.parameters)))
    points = TrialPoints.at(RULED, coordinates)
    forbidden = points.forbidden(RULED)
    for row in range(len(coordinates)):
        keys = [parameter.key for parameter in RULED.parameters]
        at = dict(zip(keys, coordinates[row], strict=True))
        values = RULED.sample(lambda parameter, at=at: value_at(parameter, at[parameter.key]))
        active = np.array(keys)[points.active[row]]
        assert set(active) == set(values)
        assert forbidden[row] == RULED.forbids(values)
    assert 0 < forbidden.mean() < 1 and 0 < points.active.mean() < 1


def test_a_parameter_is_active_if_the_trial_has_a_value():
    trials = [RULED.random_values(random.Random(seed)) for seed in range(30)]
    points = TrialPoints.of(RULED, trials)
    again = TrialPoints.at(RULED, points.coordinates)
    assert (points.active == again.active).all()
