"""Conditions, forbidden combinations, first points, and how a space is searched and judged."""

import json
import random

import pytest

from tune.space.constraint import Constraint
from tune.space.load import load_space, space_from_plain
from tune.space.parameter import Parameter, ValueRange
from tune.space.plain import digest_of
from tune.space.settings import Budget, SearchSettings, VerdictSettings
from tune.space.source import SpaceError

HEADS = {
    "head.kind": {"choice": ["none", "linear", "mlp"]},
    "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
}
WEIGHT = {"contrastive.weight": {"float": [0, 10]}}


def space_of(**sections):
    return space_from_plain({"space": HEADS, **sections}, "test")


def faults_of(**sections):
    with pytest.raises(SpaceError) as caught:
        space_of(**sections)
    return caught.value.faults


# --- conditions ---


def test_a_condition_may_be_a_range_of_a_continuous_parameter():
    pooling = {"choice": ["mean", "attention"], "when": {"contrastive.weight": {"min": 2.5}}}
    space = space_of(space={"contrastive.pooling": pooling, **WEIGHT})
    drawn = [space.random_values(seed) for seed in range(200)]
    assert {"contrastive.pooling" in values for values in drawn} == {True, False}
    assert all(
        ("contrastive.pooling" in values) == (values["contrastive.weight"] >= 2.5)
        for values in drawn
    )


def test_a_range_may_hold_numbers_of_a_choice_and_either_end_may_be_left_open():
    layers = {"int": [1, 3], "when": {"head.dim": {"min": 100, "max": 200}}}
    space = space_of(space={"head.dim": {"choice": [64, 128, 256]}, "head.layers": layers})
    assert {values["head.dim"] for values in space.grid() if "head.layers" in values} == {128}
    assert (
        3 in ValueRange(3)
        and 3 in ValueRange(None, 3)
        and 2.9 not in ValueRange(3)
        and True not in ValueRange(0, 2)
    )
    assert "x" not in ValueRange(0, 2)


@pytest.mark.parametrize(
    ("of", "condition", "message"),
    [
        ({"float": [0, 10]}, {"min": 11}, "no trial has a value in {"),
        ({"float": [0, 10]}, {"min": 5, "max": 4}, "no trial has a value in {"),
        (
            {"float": [1, 2], "step": 0.5},
            {"min": 1.1, "max": 1.4},
            "no trial has a value in {",
        ),
        ({"choice": [1, 2]}, {"min": 1.1, "max": 1.4}, "no trial has a value in {"),
        ({"int": [1, 3]}, {"min": 1.1, "max": 1.9}, "no trial has a value in {"),
        ({"float": [0, 10]}, {}, "no value is given"),
        ({"float": [0, 10]}, {"least": 1}, "unknown key. Known: max, min"),
        ({"float": [0, 10]}, {"min": "1"}, "a number"),
        ({"float": [0, 10]}, 3, "a continuous parameter never has exactly the value 3"),
        (
            {"float": [1, 2], "step": 0.5},
            1.2,
            "1.2 is not one of its values: 1.0 to 2.0 in steps of 0.5",
        ),
    ],
)
def test_an_invalid_range_is_a_fault(of, condition, message):
    faults = faults_of(
        space={
            "contrastive.weight": of,
            "head.dim": {"int": [8, 9], "when": {"contrastive.weight": condition}},
        }
    )
    assert len(faults) == 1 and message in faults[0]


def test_a_range_of_words_is_a_fault():
    faults = faults_of(forbidden=[{"head.kind": {"min": 3}}])
    assert len(faults) == 1 and "a range needs a parameter with numbers" in faults[0]


def test_a_stepped_value_is_the_number_that_was_meant():
    parameter = Parameter("loss.ctc", "float", 0.1, 0.7, step=0.1)
    assert parameter.exact(0.1 + 2 * 0.1) == 0.3 != 0.1 + 2 * 0.1
    assert (parameter.exact(0.35), parameter.exact(None), parameter.exact("x")) == (0.35, None, "x")
    head = {"int": [8, 9], "when": {"loss.ctc": 0.3}}
    space = space_of(
        space={"loss.ctc": {"float": [0.1, 0.7], "step": 0.1}, "head.dim": head},
        forbidden=[{"loss.ctc": 0.7}],
    )
    assert space.sample(lambda parameter: 0.1 + 2 * 0.1 if parameter.key == "loss.ctc" else 8) == {
        "loss.ctc": 0.3,
        "head.dim": 8,
    }


@pytest.mark.parametrize("step", [0.333333333, 0.333333334, 1e-30, 0.3])
def test_steps_reach_the_end_to_the_last_digit(step):
    faults = faults_of(space={"contrastive.weight": {"float": [0, 1], "step": step}})
    assert len(faults) == 1 and "does not lead from 0.0 to 1.0" in faults[0]


# --- forbidden combinations ---


def test_forbidden_combinations_are_never_drawn_and_an_inactive_parameter_matches_none():
    space = space_of(
        forbidden=[{"head.kind": "mlp", "head.layers": {"min": 2}}, {"head.kind": ["none"]}]
    )
    drawn = {tuple(space.random_values(seed).items()) for seed in range(300)}
    assert drawn == {(("head.kind", "linear"),), (("head.kind", "mlp"), ("head.layers", 1))}
    assert not space.forbids({"head.layers": 3})
    assert space.forbids({"head.layers": 3, "head.kind": "mlp", "loss.pixel": 1.0})


def test_what_forbids_everything_is_refused():
    faults = faults_of(forbidden=[{"head.kind": ["none", "linear", "mlp"]}])
    assert len(faults) == 1 and "excludes every configuration" in faults[0]
    faults = faults_of(
        space=WEIGHT,
        forbidden=[{"contrastive.weight": {"max": 6}}, {"contrastive.weight": {"min": 6}}],
    )
    assert len(faults) == 1 and "excludes every configuration" in faults[0]


def test_a_finite_space_may_forbid_all_but_one_of_many():
    space = space_of(
        space={"head.dim": {"int": [2, 200]}, "head.width": {"int": [2, 200]}},
        forbidden=[{"head.dim": {"max": 199}}, {"head.width": {"max": 199}}],
    )
    assert space.grid() == [{"head.dim": 200, "head.width": 200}] == [space.random_values(5)]


def test_random_values_keep_what_is_settled():
    space = space_of(forbidden=[{"head.layers": 2}])
    drawn = [space.random_values(seed, {"head.kind": "mlp"}) for seed in range(50)]
    assert {values["head.kind"] for values in drawn} == {"mlp"} and {
        values["head.layers"] for values in drawn
    } == {1, 3}
    with pytest.raises(ValueError, match="excludes 10000 random trials in a row"):
        space.random_values(0, {"head.kind": "mlp", "head.layers": 2})
    rng = random.Random(0)
    assert len({str(space.random_values(rng)) for _ in range(50)}) == 4


@pytest.mark.parametrize(
    ("forbidden", "message"),
    [
        ([{"head.dim": 64}], "the key is not searched"),
        ([{"head.dmi": 64}], "not a configuration key"),
        ([{"head.kind": "huge"}], '"huge" is not one of its values'),
        ([[]], "a mapping of searched keys"),
        ({"head.kind": "mlp"}, "a list of combinations"),
        ([{}], "a mapping of searched keys"),
    ],
)
def test_an_invalid_forbidden_combination_is_a_fault(forbidden, message):
    faults = faults_of(forbidden=forbidden)
    assert len(faults) == 1 and message in faults[0]


# --- the grid ---


def test_the_grid_is_all_that_is_allowed():
    space = space_of(
        space={**HEADS, "contrastive.temperature": {"float": [0.1, 0.3], "step": 0.1}},
        forbidden=[{"head.layers": 2}],
    )
    grid = [frozenset(point.items()) for point in space.grid()]
    assert len(grid) == len(set(grid)) == (1 + 1 + 2) * 3
    assert {frozenset(space.random_values(seed).items()) for seed in range(600)} == set(grid)
    assert space.grid(space.parameters[:1]) == [
        {"head.kind": kind} for kind in ("none", "linear", "mlp")
    ]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {
                "loss.ctc": {"float": [0, 1]},
                "head.dim": {"int": [2, 2000]},
                "head.width": {"int": [2, 2000]},
                "contrastive.weight": {"float": [0, 1]},
            },
            "these parameters are continuous: loss.ctc, contrastive.weight. Give them a step",
        ),
        (
            {"head.dim": {"int": [2, 2000]}, "head.width": {"int": [2, 2000]}},
            "at most 100000 trials",
        ),
        ({"contrastive.weight": {"float": [0, 10000], "step": 0.00001}}, "at most 100000 trials"),
    ],
)
def test_a_grid_without_end_is_refused(space, message):
    with pytest.raises(ValueError, match=message):
        space_of(space=space).grid()
    faults = faults_of(space=space, search={"sampler": "grid"})
    assert len(faults) == 1 and message in faults[0] and "choose another sampler" in faults[0]


# --- first points ---


def test_first_points_are_named_and_in_the_order_of_the_file():
    space = space_of(
        first={"b": {"head.kind": "mlp", "head.layers": 2}, "a": {"head.kind": "none"}}
    )
    assert list(space.first.items()) == [
        ("b", {"head.kind": "mlp", "head.layers": 2}),
        ("a", {"head.kind": "none"}),
    ]


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"a": {"head.dim": 64}}, "the key is not searched"),
        ({"a": {"head.kind": "huge"}}, '"huge" is not one of its values'),
        ({"a": {"head.layers": 2}}, "as head.kind is not set"),
        ({"a": {"head.layers": 2, "head.kind": "none"}}, 'as head.kind is "none"'),
        ({"a": {}}, "a mapping"),
        (["a"], "a mapping"),
        ({"a": {"head.kind": "linear"}}, "a forbidden combination of head.kind"),
        ({"a": {"head.kind": "mlp", "head.layers": 3}}, "combination of head.layers, head.kind"),
    ],
)
def test_an_invalid_first_point_is_a_fault(first, message):
    faults = faults_of(
        first=first, forbidden=[{"head.kind": "linear"}, {"head.layers": 3, "head.kind": "mlp"}]
    )
    assert len(faults) == 1 and message in faults[0]


def test_two_equal_first_points_are_a_fault():
    plain = {"space": {"contrastive.weight": {"float": [0.1, 10]}}}
    with pytest.raises(
        SpaceError, match=r"first\.b: it has the same values as first\.a\. Remove one"
    ) as caught:
        space_from_plain(
            {**plain, "first": {"a": {"contrastive.weight": 1}, "b": {"contrastive.weight": 1.0}}}
        )
    assert len(caught.value.faults) == 1
    assert (
        len(
            space_from_plain(
                {**plain, "first": {"a": {"contrastive.weight": 1}, "b": {"contrastive.weight": 2}}}
            ).first
        )
        == 2
    )


@pytest.mark.parametrize("point", [{"head.dim": 1717, "contrastive.weight": 1}, {"head.dim": 1717}])
def test_a_first_point_whose_derived_values_cannot_be_computed_is_a_fault(tmp_path, point):
    path = tmp_path / "s.yaml"
    path.write_text(f"""\
space: {{head.dim: {{int: [64, 4000]}}, contrastive.weight: {{float: [0.1, 10]}}}}
derived: {{loss.pixel: 1 / (head.dim - 1717) ** 2}}
first:
  good: {{head.dim: 64}}
  bad: {json.dumps(point)}
""")
    with pytest.raises(
        SpaceError,
        match=r"s\.yaml:5: first\.bad: loss\.pixel = 1 / .*: cannot be computed \(.*\)\. "
        r"This is so in first\.bad as",
    ) as caught:
        load_space(path)
    assert len(caught.value.faults) == 1


def test_a_first_point_that_nothing_completes_is_a_fault():
    faults = faults_of(first={"a": {"head.kind": "mlp"}}, forbidden=[{"head.layers": [1, 2, 3]}])
    assert (
        len(faults) == 1
        and "every completion of it is forbidden" in faults[0]
        and "first.a" in faults[0]
    )


# --- how it is searched, ended and judged ---


def test_settings_are_read_and_the_rest_has_its_default():
    space = space_of(
        objective=["psnr", "cer"],
        search={"sampler": "nsga2", "duplicates": "repeat"},
        budget={"trials": 9, "match": "seconds", "total_epochs": 90, "no_improvement": 4},
        constraints={"psnr": {"below_off": 0.5}, "cer": {"max": 0.3, "above_off": 0}},
        verdict={"primary": "ssim", "margins": {"psnr": 0.3}},
    )
    assert (space.objective, space.objectives) == ("psnr", ("psnr", "cer"))
    assert space.search == SearchSettings("nsga2", "none", 5, "repeat")
    assert space.budget == Budget(9, match="seconds", total_epochs=90, no_improvement=4)
    assert space.constraints == (
        Constraint("psnr", "below_off", 0.5),
        Constraint("cer", "max", 0.3),
        Constraint("cer", "above_off", 0.0),
    )
    assert space.verdict == VerdictSettings(
        "ssim", 3, 3, {**VerdictSettings().margins, "psnr": 0.3}
    )
    assert (space.primary, space_of().primary) == ("ssim", "score")
    assert space_of(objective="cer").primary == "judge_cer"
    assert (
        space_of().search == SearchSettings()
        and space_of().budget == Budget()
        and space_of().verdict == VerdictSettings()
    )


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"objective": ["psnr", "cer"], "search": {"pruner": "asha"}},
            "asha needs a single objective",
        ),
        ({"objective": ["psnr", "psnr"]}, '"psnr" is listed twice'),
        ({"objective": []}, "an empty list"),
        ({"objective": ["psnr", "loss"]}, "one of score"),
        (
            {"objective": ["psnr", "cer"], "budget": {"target": 3}},
            "budget.target: it needs a single objective",
        ),
        ({"search": {"sampler": "genetic"}}, "one of tpe"),
        ({"search": {"pruner": "ahsa"}}, "Did you mean asha?"),
        ({"search": {"warmup": 0}}, "from 1"),
        ({"search": ["tpe"]}, "a mapping"),
        ({"constraints": {"loss": {"max": 1}}}, "unknown metric"),
        ({"constraints": {"psnr": {"least": 1}}}, "constraints.psnr.least: unknown key"),
        ({"constraints": {"psnr": 3}}, "a mapping such as"),
        ({"constraints": {"score": {"min": 3}}}, "unknown metric"),
        ({"verdict": {"primary": "cer"}}, "one of score, psnr"),
        ({"verdict": {"margins": {"psnr": -1}}}, "from 0"),
        ({"verdict": {"margins": 1}}, "a mapping"),
        ({"budget": {"wall_hours": 0}}, "from 0.001"),
        ({"budget": {"no_improvement": 1.5}}, "a whole number"),
        ({"space": {}, "search": {"sampler": "gp"}}, "an experiment searches nothing"),
        ({"space": {}, "constraints": {"psnr": {"min": 3}}}, "an experiment searches nothing"),
        ({"space": {}, "first": {"a": {"head.kind": "mlp"}}}, "an experiment searches nothing"),
        ({"space": {}, "forbidden": [{"head.kind": "mlp"}]}, "an experiment searches nothing"),
        ({"space": {}, "budget": {"total_epochs": 9}}, "an experiment runs both arms once"),
        ({"space": {}, "objective": ["psnr", "cer"]}, "an experiment has a single objective"),
    ],
)
def test_an_invalid_setting_is_a_fault(sections, message):
    faults = faults_of(**sections)
    assert len(faults) == 1 and message in faults[0], faults


def test_an_experiment_may_be_judged_and_derive():
    space = space_of(
        space={},
        verdict={"seeds": 5, "primary": "judge_cer"},
        derived={"head.width": "head.dim * 2"},
    )
    assert (space.experiment, space.verdict.seeds, space.search.pruner) == (True, 5, "none")
    assert space.overrides({})["head.width"] == space.overrides(space.baseline)["head.width"] == 256


def test_faults_of_every_section_are_reported_at_once_with_their_lines(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("""\
objective: [psnr, psnr]
search:
  sampler: gird
constraints:
  psnr:
    below: 1
verdict:
  margins: {mse: 1}
derived:
  head.width: head.dmi
forbidden:
  - head.kind: [none, huge]
first:
  a:
    head.kind: big
space:
  head.kind: {choice: [none, linear]}
""")
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    places = [fault.removeprefix(f"{path}:").split(": ")[:2] for fault in caught.value.faults]
    assert [": ".join(place) for place in places] == [
        "1: objective",
        "3: search.sampler",
        "6: constraints.psnr.below",
        "8: verdict.margins.mse",
        "10: derived.head.width",
        "12: forbidden.head.kind",
        "15: first.a.head.kind",
    ]


# --- what a study can be resumed with ---


def test_what_may_change_in_the_life_of_a_study_leaves_its_digest():
    base = space_of()
    same = space_of(
        budget={"trials": 99, "target": 3, "wall_hours": 1},
        verdict={"seeds": 9},
        first={"a": {"head.kind": "mlp"}},
    )
    assert digest_of(base) == digest_of(same)
    for other in (
        {"search": {"sampler": "gp"}},
        {"forbidden": [{"head.layers": 3}]},
        {"derived": {"head.width": "2 * head.dim"}},
        {"constraints": {"psnr": {"min": 1}}},
        {"objective": ["score", "psnr"]},
        {"budget": {"epochs": 7}},
    ):
        assert digest_of(space_of(**other)) != digest_of(base)


def test_the_order_of_rules_and_blanks_leave_the_digest():
    def rules(layers, kinds, expression):
        when = {**HEADS, "head.layers": {"int": [1, 3], "when": {"head.kind": kinds}}}
        return digest_of(space_of(space=when, forbidden=layers, derived={"head.width": expression}))

    one, two = {"head.layers": [1, 2], "head.kind": "mlp"}, {"head.layers": 3}
    base = rules([one, two], ["mlp", "linear"], "2 * (head.dim)")
    assert base == rules(
        [two, {"head.kind": ["mlp"], "head.layers": [2, 1]}, two], ["linear", "mlp"], "2*head.dim"
    )
    assert base != rules([two], ["linear", "mlp"], "2*head.dim")


# --- the OFF arm ---


@pytest.mark.parametrize(
    ("space", "shared"),
    [
        (HEADS, []),
        (
            {
                **HEADS,
                "train.contrastive_lr": {"float": [0.1, 0.2]},
                "text_encoder.dropout": {"float": [0, 0.5]},
            },
            [],
        ),
        (
            {
                **HEADS,
                "loss.pixel": {"float": [1, 2]},
                "loss.ctc": {"float": [1, 2], "when": {"loss.pixel": {"min": 1.5}}},
            },
            ["loss.pixel", "loss.ctc"],
        ),
        (
            {
                **HEADS,
                "loss.pixel": {"float": [1, 2], "when": {"head.kind": "mlp"}},
                "loss.ctc": {"float": [1, 2], "when": {"loss.pixel": {"min": 1.5}}},
            },
            [],
        ),
    ],
)
def test_the_off_arm_searches_what_matters_without_contrast(space, shared):
    searched = space_of(space=space)
    assert [parameter.key for parameter in searched.shared_parameters] == shared
    assert searched.off_searches == bool(shared)
    if shared:
        kept = space_of(space=space, baseline={"contrastive.formulation": "none", "loss.pixel": 3})
        assert not kept.off_searches, (
            "a key that the baseline settles is not searched, nor what hangs on it"
        )
