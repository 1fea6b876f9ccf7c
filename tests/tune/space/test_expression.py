"""Derived values: arithmetic over the values of a trial, checked as any value is."""

import ast
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune.space.expression import ExpressionError, parse_expression
from tune.space.load import space_from_plain
from tune.space.source import SpaceError

HEADS = {
    "head.kind": {"choice": ["none", "linear", "mlp"]},
    "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
}


def faults_of(**sections):
    with pytest.raises(SpaceError) as caught:
        space_from_plain({"space": HEADS, **sections}, "test")
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("2 * head.dim", {"head.dim": 64}, 128),
        ("-head.dim // 3 + 1.5", {"head.dim": 64}, -20.5),
        ("max(head.dim, head.width) % 7", {"head.dim": 5, "head.width": 9}, 2),
        ("round(head.dim ** 0.5)", {"head.dim": 17}, 4),
        ("(1 + 2) * 3", {}, 9),
        (" + 1e-3 ", {}, 0.001),
        (7, {}, 7),
    ],
)
def test_an_expression_is_arithmetic(text, values, result):
    assert parse_expression(text).value(values) == result


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "head.dim.real",
        "[1, 2]",
        "head",
        "1 if 2 else 3",
        "lambda: 1",
        "'a' * 9",
        "f(1)",
        "max()",
        "max(1)",
        "1 +",
        "x := 2",
        "head.dim < 3",
        "max(*head.dim)",
        "round(1, ndigits=2)",
        "round(7, -10 ** 9)",
        "1j",
        "~1",
        "1 << 9",
        "True",
        "(1).real",
        "1; 2",
        "(" * 300 + "1" + ")" * 300,
        "1+" * 150 + "1",
        "-" * 150 + "1",
        "",
        "\0",
        True,
        None,
        [1],
        float("inf"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize("text", ["1if 2else 3", "head.layers(64)", "2(3)"])
def test_python_says_nothing_of_an_expression(text, recwarn):
    with pytest.raises(ExpressionError):
        parse_expression(text)
    assert not recwarn.list


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "1 % 0",
        "0 ** -1",
        "9 ** 9 ** 9",
        "9.0 ** 64 ** 1 * 1e300 * 1e300",
        "(0 - 8) ** 0.5",
        "round(1e400 - 1e400)",
        "1e400",
        "max(1, (-8) ** 0.5)",
        "head.kind + 1",
        "contrastive.symmetric + 1",
    ],
)
def test_what_cannot_be_computed_is_an_error(text):
    with pytest.raises(ExpressionError):
        parse_expression(text).value({"head.kind": "none", "contrastive.symmetric": True})


NUMBERS = st.one_of(st.integers(-50, 50), st.floats(-50, 50).map(lambda number: round(number, 3)))


def trees(inner):
    both = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
        "({0[0]} {0[1]} {0[2]})".format
    )
    calls = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
        "{0[0]}({0[1]}, {0[2]})".format
    )
    return both | calls | inner.map(lambda one: f"-{one}") | inner.map(lambda one: f"round({one})")


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        NUMBERS.map(lambda number: f"({number})") | st.sampled_from(["head.dim", "loss.pixel"]),
        trees,
        max_leaves=8,
    )
)
def test_expressions_give_what_python_gives(text):
    values = {"head.dim": 6, "loss.pixel": 2.5}
    names = {
        "head": SimpleNamespace(dim=6),
        "loss": SimpleNamespace(pixel=2.5),
        "min": min,
        "max": max,
        "round": round,
    }
    try:
        got = parse_expression(text).value(values)
    except ExpressionError:
        return
    assert got == pytest.approx(eval(text, names), rel=1e-12)


def test_blanks_and_needless_parentheses_do_not_count():
    assert (
        parse_expression("2*( head.dim )").canonical == parse_expression("2 * head.dim").canonical
    )
    assert ast.literal_eval(parse_expression("(7)").canonical) == 7
    assert (
        parse_expression("2 * (head.dim + 1)").canonical
        != parse_expression("2 * head.dim + 1").canonical
    )


def test_values_come_from_the_trial_else_default_fixed_and_preset():
    space = space_from_plain(
        {
            "preset": "tiny",
            "fixed": {"head.layers": 2},
            "space": {
                "head.kind": {"choice": ["none", "mlp"]},
                "head.dim": {"choice": [64, 32], "default": 32, "when": {"head.kind": "mlp"}},
            },
            "derived": {
                "contrastive.queue": "head.width // 2",
                "head.width": "head.dim * head.layers + round(loss.pixel) - 200",
            },
        }
    )
    assert space.completed({"head.kind": "mlp", "head.dim": 64}) == {
        "head.kind": "mlp",
        "head.dim": 64,
        "head.width": 128,
        "contrastive.queue": 64,
    }
    assert (
        space.completed({"head.kind": "none"})["head.width"]
        == space.overrides({})["head.width"]
        == 64
    )
    bound = space.bound({"head.layers": 1, "loss.pixel": 210.0, "head.dim": 4})
    assert bound.completed({"head.dim": 64})["head.width"] == 74
    assert bound == space


def test_a_base_configuration_replaces_the_presets():
    space = space_from_plain(
        {"space": HEADS, "derived": {"generator.base": "discriminator.base * 2"}}
    )
    assert (
        space.completed({})["generator.base"]
        != replace(space, preset="seed").overrides({})["generator.base"]
    )
    assert space.bound({"discriminator.base": 5}).completed({})["generator.base"] == 10


def test_a_result_is_of_its_keys_type():
    space = space_from_plain(
        {"space": HEADS, "derived": {"head.width": "head.dim / 2", "loss.ctc": "head.layers"}}
    )
    done = space.completed({"head.kind": "mlp", "head.layers": 2})
    assert (done["head.width"], type(done["head.width"])) == (64, int) and (
        done["loss.ctc"],
        type(done["loss.ctc"]),
    ) == (2.0, float)


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        ({"head.width": "head.width + 1"}, "form a cycle: head.width -> head.width"),
        ({"head.width": "contrastive.queue", "contrastive.queue": "head.width"}, "form a cycle"),
        ({"head.width": "head.dim + head.kind"}, "head.kind is not a number"),
        ({"head.width": "head.dmi"}, "Did you mean head.dim?"),
        ({"head.width": "os.system"}, "os.system is not a configuration key"),
        ({"head.layers": "2"}, "the key is also under derived"),
        ({"contrastive.pooling": "2"}, "takes one of mean, attention, window"),
        ({"contrastive.symmetric": "1"}, "takes true or false"),
        ({"head.width": "1.5"}, "a whole number"),
        ({"head.width": "head.layers / 2"}, "a whole number"),
        ({"head.width": "head.layers - 2"}, "a whole number from 2 to 8192"),
        ({"head.width": "1 / 0"}, "cannot be computed"),
        ({"data.width": "2"}, "can only be set under fixed"),
        ({"train.seed": "2"}, "fixed"),
        ({"head.width": "train.seed"}, "an expression cannot use train."),
        ({"head.width": "train.epochs"}, "an expression cannot use train."),
        ({"train.epochs": "2"}, "Set budget.epochs instead"),
        ({"head.witdh": "2"}, "Did you mean head.width?"),
        ({"train.batch_size": "5", "train.micro_batch": "2"}, "a multiple of train.micro_batch"),
        ([], "a mapping of keys to values"),
    ],
)
def test_an_invalid_derived_value_is_a_fault(derived, message):
    faults = faults_of(derived=derived)
    assert len(faults) == 1 and message in faults[0]


@pytest.mark.parametrize("place", ["fixed", "baseline"])
def test_a_key_is_not_given_and_derived(place):
    values = {"head.width": 8, "contrastive.formulation": "clip" if place == "fixed" else "none"}
    faults = faults_of(derived={"head.width": "2 * head.dim"}, **{place: values})
    assert len(faults) == 1 and f"the key is also under {place}" in faults[0]


def test_a_fault_that_only_one_value_in_hundreds_has_is_found():
    space = {"head.dim": {"int": [2, 400]}}
    assert space_from_plain({"space": space, "derived": {"head.width": "head.dim // 1"}}).finite
    faults = faults_of(space=space, derived={"head.width": "head.dim + 0 // (head.dim - 317)"})
    assert len(faults) == 1 and "cannot be computed" in faults[0] and '"head.dim": 317' in faults[0]


def test_no_value_of_a_space_fails_to_be_computed():
    losses = {"loss.pixel": {"float": [1, 9], "log": True}}
    space = space_from_plain(
        {"space": {**losses, **HEADS}, "derived": {"loss.ctc": "loss.pixel ** 2 / 40"}}
    )
    rng = random.Random(0)
    for _ in range(50):
        values = space.random_values(rng)
        assert space.completed(values)["loss.ctc"] == pytest.approx(values["loss.pixel"] ** 2 / 40)
