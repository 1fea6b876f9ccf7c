"""What a space file can say beyond ranges: conditions, forbidden combinations, derived values, first points, extends, settings."""

import random

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import json_to_distribution

from tune.derived import ExpressionError, parse_expression
from tune.optuna_space import distributions, distributions_json
from tune.space import SpaceError, load_space, space_from_plain
from tune.space_settings import Constraint
from tune.space_tree import space_tree

HEADS = {"head.kind": {"choice": ["none", "linear", "mlp"]}, "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}}}


def space_of(**sections):
    return space_from_plain({"space": HEADS, **sections}, "test")


def faults_of(**sections):
    with pytest.raises(SpaceError) as caught:
        space_of(**sections)
    return caught.value.faults


# --- conditions, forbidden combinations ---

def test_a_condition_may_be_a_range_of_a_continuous_parameter():
    space = space_of(space={"contrastive.weight": {"float": [0, 10]}, "contrastive.pooling": {
        "choice": ["mean", "attention"], "when": {"contrastive.weight": {"min": 2.5}}}})
    drawn = [space.random_values(seed) for seed in range(200)]
    assert {"contrastive.pooling" in v for v in drawn} == {True, False}
    assert all(("contrastive.pooling" in v) == (v["contrastive.weight"] >= 2.5) for v in drawn)


@pytest.mark.parametrize("condition, said", [
    ({"min": 11}, "a range that the parameter can take"), ({"min": 5, "max": 4}, "a range that the parameter can take"),
    ({}, "a range such as"), ({"least": 1}, "min or max"), ({"min": "1"}, "a number")])
def test_a_range_that_will_not_do_is_a_fault(condition, said):
    space = {"contrastive.weight": {"float": [0, 10]}, "contrastive.pooling": {"choice": ["mean", "attention"],
                                                                               "when": {"contrastive.weight": condition}}}
    faults = faults_of(space=space)
    assert len(faults) == 1 and said in faults[0]


def test_forbidden_combinations_are_never_drawn_and_an_inactive_parameter_matches_none():
    space = space_of(forbidden=[{"head.kind": "mlp", "head.layers": {"min": 2}}, {"head.kind": ["none"]}])
    drawn = {tuple(space.random_values(seed).items()) for seed in range(300)}
    assert drawn == {(("head.kind", "linear"),), (("head.kind", "mlp"), ("head.layers", 1))}
    assert not space.forbids({"head.layers": 3}) and space.forbids({"head.layers": 3, "head.kind": "mlp", "loss.pixel": 1.0})


def test_what_forbids_everything_is_refused():
    faults = faults_of(forbidden=[{"head.kind": ["none", "linear", "mlp"]}])
    assert len(faults) == 1 and "leave something to try" in faults[0]


@pytest.mark.parametrize("forbidden, said", [
    ([{"head.dim": 64}], "a key of space"), ([{"head.kind": "huge"}], "a value that head.kind can take"),
    ([[]], "a mapping of searched keys"),
    ({"head.kind": "mlp"}, "a list of combinations"), ([{}], "a mapping of searched keys")])
def test_a_forbidden_combination_that_will_not_do_is_a_fault(forbidden, said):
    faults = faults_of(forbidden=forbidden)
    assert len(faults) == 1 and said in faults[0]


def test_the_grid_is_all_that_is_allowed():
    space = space_of(space={**HEADS, "contrastive.temperature": {"float": [0.1, 0.3], "step": 0.1}}, forbidden=[{"head.layers": 2}])
    grid = [frozenset(point.items()) for point in space.grid()]
    assert len(grid) == len(set(grid)) == (1 + 1 + 2) * 3
    assert {frozenset(space.random_values(seed).items()) for seed in range(600)} == set(grid)
    with pytest.raises(ValueError, match="countable"):
        space_of(space={"contrastive.weight": {"float": [0, 1]}}).grid()


# --- derived values ---

@pytest.mark.parametrize("text, values, result", [
    ("2 * head.dim", {"head.dim": 64}, 128), ("-head.dim // 3 + 1.5", {"head.dim": 64}, -20.5), ("max(head.dim, head.width) % 7",
                                                                                                {"head.dim": 5, "head.width": 9}, 2),
    ("round(head.dim ** 0.5)", {"head.dim": 17}, 4), ("(1 + 2) * 3", {}, 9), ("7", {}, 7)])
def test_an_expression_is_arithmetic(text, values, result):
    assert parse_expression(text).value(values) == result


@pytest.mark.parametrize("text", ["__import__('os').system('x')", "head.dim.real", "[1, 2]", "head", "1 if 2 else 3", "lambda: 1",
                                  "'a' * 9", "f(1)", "max()", "1 +", "x := 2", "head.dim < 3", "max(*head.dim)",
                                  "(" * 300 + "1" + ")" * 300, "1+" * 150 + "1", True, None, [1]])
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize("text", ["1 / 0", "9 ** 9 ** 9", "9.0 ** 64 ** 1 * 1e300 * 1e300", "(0 - 8) ** 0.5", "head.dim + 1"])
def test_what_cannot_be_computed_is_said(text):
    with pytest.raises(ExpressionError):
        parse_expression(text).value({"head.dim": "none"})


def test_derived_values_follow_values_defaults_fixed_and_each_other():
    space = space_of(space={"head.dim": {"choice": [64, 128]}}, fixed={"head.layers": 2},
                     derived={"contrastive.queue": "head.width // 2", "head.width": "head.dim * head.layers"})
    assert space.completed({"head.dim": 128}) == {"head.dim": 128, "head.width": 256, "contrastive.queue": 128}
    assert space.overrides({})["head.width"] == 2 * space.overrides({}).get("head.dim", 128)


@pytest.mark.parametrize("derived, said", [
    ({"head.width": "head.width + 1"}, "free of cycles"), ({"head.width": "head.dim + head.kind"}, "keys with a number"),
    ({"head.width": "os.system"}, "keys with a number"), ({"head.layers": "2"}, "either derived or searched"),
    ({"contrastive.pooling": "2"}, "a key with a number"), ({"head.width": "1.5"}, "a whole number"),
    ({"head.width": "1 / 0"}, "cannot be computed"), ({"data.width": "2"}, "the same in all trials"),
    ({"train.epochs": "2"}, "left to the budget")])
def test_a_derived_value_that_will_not_do_is_a_fault(derived, said):
    faults = faults_of(derived=derived)
    assert len(faults) == 1 and said in faults[0]


# --- first points, settings ---

@pytest.mark.parametrize("first, said", [
    ({"a": {"head.dim": 64}}, "a key of space"), ({"a": {"head.kind": "huge"}}, "a value that the parameter can take"),
    ({"a": {"head.layers": 2}}, "no head.kind"), ({"a": {"head.layers": 2, "head.kind": "none"}}, 'head.kind "none"'),
    ({"a": {}}, "a mapping"),
    ({"a": {"head.kind": "linear"}}, "the forbidden combination")])
def test_a_first_point_that_will_not_do_is_a_fault(first, said):
    faults = faults_of(first=first, forbidden=[{"head.kind": "linear"}])
    assert len(faults) == 1 and said in faults[0]


@pytest.mark.parametrize("sections, said", [
    ({"objective": ["psnr", "cer"], "search": {"pruner": "asha"}}, "none with several objectives"),
    ({"objective": ["psnr", "psnr"]}, "free of duplicates"), ({"objective": []}, "an empty list"),
    ({"objective": ["psnr", "loss"]}, "one of score"),
    ({"objective": ["psnr", "cer"], "budget": {"target": 3}}, "left out with several objectives"),
    ({"search": {"sampler": "genetic"}}, "one of tpe"), ({"search": {"warmup": 0}}, "from 1"),
    ({"constraints": {"loss": {"max": 1}}}, "a metric"),
    ({"constraints": {"psnr": {"least": 1}}}, "one of the rules"), ({"constraints": {"psnr": 3}}, "a mapping such as"),
    ({"verdict": {"primary": "cer"}}, "one of psnr"), ({"verdict": {"margins": {"psnr": -1}}}, "from 0"),
    ({"verdict": {"margins": 1}}, "a mapping"),
    ({"space": {}, "search": {"sampler": "gp"}}, "left out where nothing is searched"), ({"budget": {"wall_hours": 0}}, "from 0.001")])
def test_a_setting_that_will_not_do_is_a_fault(sections, said):
    faults = faults_of(**sections)
    assert len(faults) == 1 and said in faults[0], faults


def test_a_grid_of_a_continuous_space_is_refused():
    faults = faults_of(space={"contrastive.weight": {"float": [0, 1]}}, search={"sampler": "grid"})
    assert len(faults) == 1 and "countable" in faults[0]


def test_several_objectives_have_no_pruner_and_the_first_one_leads():
    space = space_of(objective=["psnr", "cer"], constraints={"psnr": {"below_off": 0.5}}, verdict={"margins": {"psnr": 0.3}})
    assert (space.objective, space.objectives, space.search.pruner) == ("psnr", ("psnr", "cer"), "none")
    assert space.constraints == (Constraint("psnr", "below_off", 0.5),)
    assert space.verdict.margins["psnr"] == 0.3 and space.verdict.margins["judge_cer"] == 0.005


def test_what_may_change_in_the_life_of_a_study_leaves_its_digest():
    base = space_of()
    same = space_of(budget={"trials": 99, "target": 3, "wall_hours": 1}, verdict={"seeds": 9}, first={"a": {"head.kind": "mlp"}})
    assert base.digest() == same.digest()
    for other in ({"search": {"sampler": "gp"}}, {"forbidden": [{"head.layers": 3}]}, {"derived": {"head.width": "2 * head.dim"}},
                  {"constraints": {"psnr": {"min": 1}}}, {"objective": ["score", "psnr"]}, {"budget": {"epochs": 7}}):
        assert space_of(**other).digest() != base.digest()


# --- extends ---

@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, value in texts.items():
            text = value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False)
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path
    return write


BASE = {"budget": {"trials": 30, "epochs": 7}, "fixed": {"train.batch_size": 4}, "space": HEADS}


def test_an_extending_space_lays_its_values_over(files):
    folder = files(base=BASE, child={"extends": "base", "budget": {"trials": 5}, "fixed": {"train.batch_size": 8, "loss.pixel": 10},
                                     "space": {"head.layers": None, "head.kind": {"choice": ["none", "mlp"]},
                                               "contrastive.weight": {"float": [1, 2]}}})
    space = load_space(folder / "child.yaml")
    assert (space.name, space.budget.trials, space.budget.epochs) == ("child", 5, 7)
    assert space.fixed == {"train.batch_size": 8, "loss.pixel": 10.0}
    assert {parameter.key: parameter.choices for parameter in space.parameters} == {"head.kind": ("none", "mlp"), "contrastive.weight": ()}


def test_a_fault_names_the_file_that_it_is_in(files):
    folder = files(base="space:\n  head.kind: {choice: [none, huge]}\n", child="extends: base.yaml\nbudget:\n  trials: -1\n")
    with pytest.raises(SpaceError) as caught:
        load_space(folder / "child.yaml")
    assert len(caught.value.faults) == 2
    assert any("base.yaml:2: space.head.kind.choice" in fault for fault in caught.value.faults)
    assert any("child.yaml:3: budget.trials" in fault for fault in caught.value.faults)


@pytest.mark.parametrize("texts, said", [
    ({"a": "extends: b\n", "b": "extends: a\n"}, "free of cycles"), ({"a": "extends: a\n"}, "free of cycles"),
    ({"a": "extends: nowhere\n"}, "a space file beside this one"), ({"a": "extends: [b]\n"}, "the name or path"),
    ({"a": "extends: b\n", "b": "- 1\n"}, "must be a mapping"),
    ({name: f"extends: {following}\n" for name, following in zip("abcdefghijk", "bcdefghijkl", strict=True)}, "at most 8 files")])
def test_what_cannot_be_extended_is_said(files, texts, said):
    folder = files(**texts)
    with pytest.raises(SpaceError, match=said):
        load_space(folder / "a.yaml")


# --- any valid space ---

CHOICES = {"contrastive.formulation": ["infonce", "clip", "dcl"], "head.kind": ["none", "linear", "mlp"],
           "contrastive.pooling": ["mean", "attention"]}
NUMBERS = {"contrastive.weight": ("float", 0.01, 30.0), "contrastive.temperature": ("float", 0.05, 1.0), "head.layers": ("int", 1, 4),
           "head.dim": ("int", 16, 256)}


@st.composite
def spaces(draw):
    """Space files with parameters of every kind, conditions, forbidden combinations, derived values and a first point."""
    keys = draw(st.lists(st.sampled_from([*CHOICES, *NUMBERS]), min_size=1, max_size=6, unique=True))
    space = {}
    for key in keys:
        if key in CHOICES:
            options = {"choice": draw(st.lists(st.sampled_from(CHOICES[key]), min_size=1, unique=True))}
        else:
            kind, low, high = NUMBERS[key]
            options = {kind: [low, high], **draw(st.sampled_from([{}, {"log": True}]))}
            if kind == "int" and "log" not in options and draw(st.booleans()):
                options["step"] = {"head.layers": 1, "head.dim": 16}[key]
        ancestors = [each for each in space if each in CHOICES or each == "contrastive.weight"]
        if ancestors and draw(st.booleans()):
            ancestor = draw(st.sampled_from(ancestors))
            options["when"] = {ancestor: draw(st.sampled_from(space[ancestor]["choice"])) if ancestor in CHOICES else {"min": 1}}
        space[key] = options
    plain = {"space": space}
    pairs = [key for key in keys if key in CHOICES]
    if len(pairs) > 1 and all(len(space[key]["choice"]) > 1 for key in pairs[:2]):
        plain["forbidden"] = [{key: space[key]["choice"][0] for key in pairs[:2]}]
    if "head.dim" in keys:
        plain["derived"] = {"head.width": "max(8, head.dim * 2)"}
    roots = [key for key in keys if "when" not in space[key]]
    if roots[0] in CHOICES:
        plain["first"] = {"start": {roots[0]: space[roots[0]]["choice"][-1]}}
    return plain


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spaces(), st.integers(0, 2**31))
def test_any_valid_space_samples_only_what_it_allows(plain, seed):
    space = space_from_plain(plain, "drawn")
    rng = random.Random(seed)
    parameters = {parameter.key: parameter for parameter in space.parameters}
    held = distributions(space)
    for _ in range(10):
        values = space.random_values(rng)
        for key, parameter in parameters.items():
            assert (key in values) == parameter.active(values)
            if key in values:
                assert parameter.allows(values[key]) and held[key]._contains(held[key].to_internal_repr(values[key]))
        for clause in plain.get("forbidden", []):
            assert not all(values.get(key) == value for key, value in clause.items())
        assert space.completed(values).keys() - values.keys() == plain.get("derived", {}).keys()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spaces())
def test_any_valid_space_is_read_back_as_it_was_written(plain):
    space = space_from_plain(plain, "drawn")
    again = space_from_plain(yaml.safe_load(yaml.safe_dump(space.to_plain(), sort_keys=False)), "other")
    assert again == space and again.digest() == space.digest()
    import json
    read = {key: json_to_distribution(json.dumps(value)) for key, value in json.loads(distributions_json(space)).items()}
    assert read == distributions(space)
    tree = "\n".join(space_tree(space))
    assert all(f"{parameter.key}: " in tree for parameter in space.parameters)
    if space.finite and len(space.parameters) < 4:
        grid = [frozenset(point.items()) for point in space.grid()]
        assert len(grid) == len(set(grid)) and all(frozenset(space.random_values(seed).items()) in grid for seed in range(30))
