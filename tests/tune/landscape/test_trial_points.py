"""Trials as numbers: back and forth, and the same parts taken as in the space itself."""

import random

import numpy as np

from tests.tune.made_search import SPACE
from tune.landscape.trial_points import TrialPoints, choice_at, number_at, place_of
from tune.space.load import space_from_plain

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


def value_of(points, row, column):
    parameter, place = points.parameters[column], points.place[row : row + 1, column]
    return (
        parameter.choices[choice_at(parameter, place)[0]]
        if parameter.choices
        else number_at(parameter, place)[0]
    )


def test_every_value_is_found_again_at_its_place():
    for values in (SPACE.random_values(seed) for seed in range(50)):
        for parameter in SPACE.active(values):
            place = np.array([place_of(parameter, values[parameter.key])])
            assert 0 <= place[0] <= 1
            back = (
                parameter.choices[choice_at(parameter, place)[0]]
                if parameter.choices
                else number_at(parameter, place)[0]
            )
            assert back == values[parameter.key] or abs(back - values[parameter.key]) < 1e-9 * abs(
                back
            )


def test_a_bool_is_not_the_number_that_equals_it():
    parameter = next(
        parameter for parameter in SPACE.parameters if parameter.key == "contrastive.symmetric"
    )
    assert (
        place_of(parameter, parameter.choices[1]) > 0.5 > place_of(parameter, parameter.choices[0])
    )


def test_what_is_active_and_what_is_forbidden_is_as_the_space_has_it():
    """The same places, walked one by one through the space's own rules."""
    places = np.random.default_rng(0).random((400, len(RULED.parameters)))
    points = TrialPoints.at(RULED, places)
    forbidden = points.forbidden(RULED)
    for row in range(len(places)):
        values = RULED.sample(
            lambda parameter, row=row: value_of(points, row, RULED.parameters.index(parameter))
        )
        assert {
            parameter.key
            for parameter, active in zip(RULED.parameters, points.active[row], strict=True)
            if active
        } == set(values)
        assert forbidden[row] == RULED.forbids(values)
    assert 0 < forbidden.mean() < 1 and 0 < points.active.mean() < 1


def test_a_trials_own_values_say_what_is_active():
    trials = [RULED.random_values(random.Random(seed)) for seed in range(30)]
    points = TrialPoints.of(RULED, trials)
    again = TrialPoints.at(RULED, points.place)
    assert (points.active == again.active).all()
