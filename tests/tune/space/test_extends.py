"""A space that extends another: whose values win, what null removes, and where faults are."""

import jsonschema
import pytest
import yaml

from tune.space.load import load_space
from tune.space.schema import json_schema
from tune.space.source import SpaceError

HEADS = {
    "head.kind": {"choice": ["none", "linear", "mlp"]},
    "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
}
BASE = {
    "budget": {"trials": 30, "epochs": 7},
    "fixed": {"train.batch_size": 4},
    "space": HEADS,
    "forbidden": [{"head.layers": 2}],
    "first": {"flat": {"head.kind": "linear"}},
}


@pytest.fixture
def files(tmp_path):
    """Writes space files, given as text or plain values, and returns their folder."""

    def write(**texts):
        for name, value in texts.items():
            text = value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False)
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def faults_of(path):
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    return [fault.removeprefix(f"{path.parent}/") for fault in caught.value.faults]


def test_sections_are_merged_key_by_key(files):
    folder = files(
        base=BASE,
        child={
            "extends": "base",
            "budget": {"trials": 5},
            "fixed": {"train.batch_size": 8, "loss.pixel": 10},
            "search": {"sampler": "gp"},
            "space": {
                "head.kind": {"choice": ["none", "mlp"]},
                "contrastive.weight": {"float": [1, 2]},
            },
            "forbidden": [{"head.layers": 3}],
            "first": {"deep": {"head.kind": "mlp"}, "flat": None},
        },
    )
    space = load_space(folder / "child.yaml")
    assert (space.name, space.budget.trials, space.budget.epochs, space.search.sampler) == (
        "child",
        5,
        7,
        "gp",
    )
    assert space.fixed == {"train.batch_size": 8, "loss.pixel": 10.0}
    assert {parameter.key: parameter.choices for parameter in space.parameters} == {
        "head.kind": ("none", "mlp"),
        "head.layers": (),
        "contrastive.weight": (),
    }
    assert space.forbidden == ({"head.layers": (3,)},) and space.first == {
        "deep": {"head.kind": "mlp"}
    }
    assert load_space(folder / "base.yaml").fixed == {"train.batch_size": 4}


def test_null_removes_a_key_or_a_section(files):
    folder = files(
        base=BASE,
        child={
            "extends": "base.yaml",
            "space": {"head.layers": None},
            "forbidden": None,
            "first": None,
            "budget": {"epochs": None},
        },
    )
    space = load_space(folder / "child.yaml")
    assert [parameter.key for parameter in space.parameters] == ["head.kind"]
    assert (space.forbidden, space.first, space.budget.epochs, space.budget.trials) == (
        (),
        {},
        None,
        30,
    )


def test_a_search_becomes_an_experiment(files):
    folder = files(
        base=BASE,
        child="extends: base\nspace:\nforbidden:\nfirst:\nbudget: {trials: ~, seeds: 3}\n",
    )
    space = load_space(folder / "child.yaml")
    assert space.experiment and (space.trials, space.budget.epochs) == (6, 7)


def test_null_needs_something_to_remove(files):
    folder = files(base=BASE, child="extends: base\nfixed:\n  loss.ctc: null\nderived: ~\n")
    assert [":".join(fault.split(":")[:3]) for fault in faults_of(folder / "child.yaml")] == [
        "child.yaml:3: fixed.loss.ctc",
        "child.yaml:4: derived",
    ]


def test_a_chain_in_other_folders(files):
    folder = files(base=BASE, middle="extends: base\nfixed: {loss.ctc: 2}\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "child.yaml").write_text("extends: ../middle\nfixed: {loss.pixel: 3}\n")
    assert load_space(folder / "inner" / "child.yaml").fixed == {
        "train.batch_size": 4,
        "loss.ctc": 2.0,
        "loss.pixel": 3.0,
    }


def test_a_fault_names_the_file_that_it_is_in(files):
    folder = files(
        base="space:\n  head.kind: {choice: [none, huge]}\n  head.dim:\n    int: [9, 3]\n"
        "fixed:\n  loss.ctc: x\nbudget:\n  trials: 0\n",
        child="extends: base.yaml\nbudget:\n  epochs: -1\n"
        "space:\n  head.dim:\n    int: [3, 9, 12]\n  head.layers: {int: [1, 3], wehn: 3}\n",
    )
    assert [":".join(fault.split(":")[:3]) for fault in faults_of(folder / "child.yaml")] == [
        "child.yaml:3: budget.epochs",
        "child.yaml:6: space.head.dim.int",
        "child.yaml:7: space.head.layers.wehn",
        "base.yaml:2: space.head.kind.choice",
        "base.yaml:6: fixed.loss.ctc",
        "base.yaml:8: budget.trials",
    ]


def test_a_fault_that_the_child_mends_is_none(files):
    folder = files(
        base="space:\n  head.kind: {choice: [none, huge]}\n",
        child="extends: base\nspace:\n  head.kind: {choice: [none, mlp]}\n",
    )
    assert load_space(folder / "child.yaml").parameters[0].choices == ("none", "mlp")
    assert "base.yaml:2" in faults_of(folder / "base.yaml")[0]


def test_what_yaml_refuses_in_the_base_is_a_fault(files):
    folder = files(
        base="space:\n  head.kind: &a {choice: [none, mlp]}\n",
        child="extends: base\nbudget: {trials: 3}\n",
    )
    faults = faults_of(folder / "child.yaml")
    assert len(faults) == 1 and faults[0].startswith("base.yaml:2: the anchor &a is not allowed")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"a": "extends: b\n", "b": "extends: a\n"},
            "b.yaml:1: extends: the files form a cycle: a.yaml -> b.yaml -> a.yaml",
        ),
        ({"a": "extends: a\n"}, "the files form a cycle: a.yaml -> a.yaml"),
        ({"a": "extends: nowhere\n", "near": ""}, "no file .nowhere. beside this one.*Known: near"),
        ({"a": "extends: nowhere\n"}, "There is no other .yaml file"),
        ({"a": f"extends: {'x' * 300}\n"}, "there is no file .*beside this one"),
        ({"a": "extends: [b]\n"}, "the name or path"),
        ({"a": "extends:\n"}, "the name or path"),
        ({"a": "extends: ..\n"}, "there is no file .*beside this one"),
        ({"a": "extends: b\n", "b": "- 1\n"}, "must be a mapping"),
        (
            {
                name: f"extends: {following}\n"
                for name, following in zip("abcdefghij", "bcdefghijk", strict=True)
            },
            "more than 8 files",
        ),
    ],
)
def test_what_cannot_be_extended_is_a_fault(files, texts, message):
    folder = files(**texts)
    with pytest.raises(SpaceError, match=message):
        load_space(folder / "a.yaml")


def test_of_many_files_the_nearest_alone_is_named(files):
    folder = files(
        child="extends: experimnt\n", experiment="", **{f"other_{n}": "" for n in range(20)}
    )
    faults = faults_of(folder / "child.yaml")
    assert (
        len(faults) == 1 and "Did you mean experiment?" in faults[0] and "other_" not in faults[0]
    )


def test_of_many_files_without_a_similar_name_the_number_is_given(files):
    folder = files(child="extends: qqq\n", **{f"other_{n}": "" for n in range(20)})
    assert faults_of(folder / "child.yaml")[0].endswith(
        'no file "qqq" beside this one. There are 20 files, none with a similar name.'
    )


def test_the_schema_takes_a_part_of_a_space_but_null_in_no_whole_one():
    schema = jsonschema.Draft202012Validator(json_schema())
    part = {
        "budget": {"trials": 5, "epochs": None},
        "space": {"head.layers": None},
        "derived": None,
        "first": {"flat": None},
    }
    assert not list(schema.iter_errors({"extends": "base", **part}))
    for name, section in part.items():
        assert not schema.is_valid({"space": HEADS, name: section})
