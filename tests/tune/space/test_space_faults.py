"""Every fault of a space file is reported, with its line, its key and a fix, and all at once."""

import re

import pytest

from tune.space.load import config_faults, find_space, load_space, space_from_plain
from tune.space.source import SpaceError
from tune.space.yaml_text import MAX_BYTES

GOOD = """\
# comment
fixed: {train.batch_size: 8}
space:
  head.kind: {choice: [none, linear, mlp]}
  head.layers: {int: [1, 3], when: {head.kind: mlp}}
"""


def faults_of(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return [fault.removeprefix(str(path)) for fault in caught.value.faults]


def with_parameter(line):
    """GOOD with one more parameter, on line 6."""
    return GOOD + f"  {line}\n"


def with_top(line):
    """GOOD with one more top-level key, on line 6."""
    return GOOD + f"{line}\n"


def test_the_unchanged_file_is_good(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    assert [p.key for p in load_space(path).parameters] == ["head.kind", "head.layers"]


PARAMETER_FAULTS = [
    # unknown names
    (
        "contrastive.wieght: {float: [1, 2]}",
        "not a configuration key",
        "Did you mean contrastive.weight?",
    ),
    (
        "head.dim: {int: [8, 16], lgo: true}",
        "space.head.dim.lgo: unknown key",
        "Did you mean log?",
    ),
    # which keys may be searched
    (
        "data.width: {int: [64, 128]}",
        "space.data.width: can only be set under fixed",
        "Move it there.",
    ),
    (
        "judge.dim: {int: [64, 128]}",
        "space.judge.dim: can only be set under fixed",
        "Move it there.",
    ),
    ("train.epochs: {int: [1, 2]}", "cannot be set here", "Set budget.epochs"),
    ("train.steps_per_epoch: {int: [1, 2]}", "cannot be set here", "Set budget.steps_per_epoch"),
    ("train.seed: {int: [1, 2]}", "can only be set under fixed", "Move it there."),
    ("train.batch_size: {int: [4, 8]}", "the key is also under fixed", "Remove one."),
    # the form
    ("head.dim: 8", "a mapping such as", "got 8"),
    (
        "head.dim: {int: [8, 16], choice: [8]}",
        "exactly one of float, int, choice, bool",
        "got int and choice",
    ),
    ("head.dim: {log: true}", "exactly one of float, int, choice, bool", "got none of them"),
    # ranges
    ("loss.pixel: {float: [3, 1]}", "lower bound 3.0 is above upper bound 1.0", "Swap them."),
    ("loss.pixel: {float: [1, 1.0]}", "both bounds are 1.0", "Put a single value under fixed."),
    ("loss.pixel: {float: [1]}", "must be [low, high]", "got [1]"),
    ("loss.pixel: {float: 1}", "must be [low, high]", "got 1"),
    ("loss.pixel: {float: [1, '2']}", "a number from 0 to 1e+06", 'got "2"'),
    ("loss.pixel: {float: [false, 2]}", "a number from 0 to 1e+06", "got false"),
    ("loss.pixel: {float: [1, .inf]}", "a number from 0 to 1e+06", "got Infinity"),
    ("loss.pixel: {float: [.nan, 2]}", "a number from 0 to 1e+06", "got NaN"),
    ("loss.pixel: {float: [1, 1e999]}", "a number from 0 to 1e+06", "got Infinity"),
    ("loss.pixel: {float: [1, ~]}", "a number from 0 to 1e+06", "got null"),
    ("loss.pixel: {float: [-1, 2]}", "a number from 0 to 1e+06", "got -1"),
    ("loss.pixel: {int: [1, 2.5]}", "a whole number from 0 to 1e+06", "got 2.5"),
    ("loss.pixel: {float: [1:30, 100]}", "a number from 0 to 1e+06", 'got "1:30"'),
    ("head.dim: {int: [8, 5000]}", "a whole number from 2 to 4096", "got 5000"),
    ("head.dim: {float: [8, 16]}", "float: head.dim takes a whole", "Write int: [low, high]."),
    ("contrastive.pooling: {int: [1, 2]}", "takes one of mean, attention, window", "Write choice"),
    ("contrastive.symmetric: {float: [0, 1]}", "takes true or false", "Write bool: true."),
    (
        "head.dim: {bool: true}",
        "head.dim takes a whole number",
        "Write float, int or choice.",
    ),
    (
        "contrastive.symmetric: {bool: false}",
        "space.contrastive.symmetric.bool: must be true",
        "got false",
    ),
    (
        "contrastive.symmetric: {bool: yes}",
        "space.contrastive.symmetric.bool: must be true",
        'got "yes"',
    ),
    # log and step
    (
        "loss.pixel: {float: [0, 1], log: true}",
        "a range above 0, but the lower bound is 0.0",
        "Raise it",
    ),
    ("loss.pixel: {float: [1, 2], log: on}", "true or false", "are text here"),
    ("loss.pixel: {float: [1, 2], log: 1}", "true or false", "got 1"),
    (
        "contrastive.pooling: {choice: [mean, attention], log: true}",
        "log needs float or int",
        "Remove it.",
    ),
    (
        "loss.pixel: {float: [1, 2], log: true, step: 0.5}",
        "log and step exclude each other",
        "Remove one.",
    ),
    ("loss.pixel: {float: [1, 2], step: 0}", "a number above 0", "got 0"),
    ("loss.pixel: {float: [1, 2], step: -0.5}", "a number above 0", "got -0.5"),
    ("loss.pixel: {float: [1, 2], step: .nan}", "a number above 0", "got NaN"),
    ("loss.pixel: {float: [1, 2], step: true}", "a number above 0", "got true"),
    ("head.dim: {int: [8, 16], step: 0.5}", "a whole number above 0", "got 0.5"),
    ("head.dim: {int: [8, 16], step: 3}", "3 does not lead from 8 to 16", "divides the range."),
    ("loss.pixel: {float: [1, 2], step: 5}", "5 does not lead", "divides the range."),
    ("loss.pixel: {float: [1, 2], step: 1e-320}", "1e-320 does not lead", "divides the range."),
    # choices
    ("contrastive.pooling: {choice: []}", "a list of at least one value", "got []"),
    ("contrastive.pooling: {choice: attention}", "a list of at least one value", 'got "attention"'),
    (
        "contrastive.pooling: {choice: [attention, attention]}",
        '"attention" is listed twice',
        "Remove one.",
    ),
    ("loss.pixel: {choice: [1, 1.0]}", "is listed twice", "Remove one."),
    (
        "contrastive.pooling: {choice: [atention, window]}",
        "one of mean, attention, window",
        "Did you mean attention?",
    ),
    ("contrastive.pooling: {choice: [true, window]}", "one of mean, attention, window", "got true"),
    ("contrastive.pooling: {choice: [null, window]}", "one of mean, attention, window", "got null"),
    ("contrastive.pooling: {choice: [no, window]}", "one of mean, attention, window", 'got "no"'),
    ("head.dim: {choice: [1, 64]}", "a whole number from 2 to 4096", "got 1"),
    ("head.dim: {choice: [64, [65]]}", "a whole number from 2 to 4096", "got [65]"),
    ("head.dim: {choice: [true, 64]}", "a whole number from 2 to 4096", "got true"),
    ("contrastive.symmetric: {choice: [true, 0]}", "true or false", "got 0"),
    # default
    ("loss.pixel: {float: [1, 2], default: 3}", "3 is not one of its values", "1.0 to 2.0."),
    ("loss.pixel: {float: [1, 2], default: x}", "a number from 0 to 1e+06", 'got "x"'),
    ("loss.pixel: {float: [1, 2], default: null}", "a number from 0 to 1e+06", "got null"),
    (
        "loss.pixel: {float: [1, 2], step: 0.5, default: 1.2}",
        "1.2 is not one of its values",
        "in steps of 0.5",
    ),
    (
        "contrastive.pooling: {choice: [mean, attention], default: window}",
        '"window" is not one of its values',
        ': "mean", "attention".',
    ),
    # conditions
    ("head.dim: {choice: [64, 128], when: mlp}", "a mapping of parameters to values", 'got "mlp"'),
    ("head.dim: {choice: [64, 128], when: {}}", "a mapping of parameters to values", "got {}"),
    (
        "head.dim: {choice: [64, 128], when: {head.knd: mlp}}",
        "not a configuration key",
        "Did you mean head.kind?",
    ),
    (
        "head.dim: {choice: [64, 128], when: {train.batch_size: 8}}",
        "the key is not searched",
        "Add it to space",
    ),
    (
        "head.dim: {choice: [64, 128], when: {head.dim: 64}}",
        "cannot depend on itself",
        "Remove the condition.",
    ),
    (
        "head.dim: {choice: [64, 128], when: {head.kind: [mlp, conv]}}",
        '"conv" is not one of its values',
        ': "none", "linear", "mlp".',
    ),
    ("head.dim: {choice: [64, 128], when: {head.kind: []}}", "no value is given", "Its values:"),
    (
        "head.dim: {choice: [64, 128], when: {head.kind: [mlp, mlp]}}",
        "is listed twice",
        "Remove one.",
    ),
    (
        "head.dim: {choice: [64, 128], when: {head.layers: 4}}",
        "4 is not one of its values",
        ": 1 to 3.",
    ),
    (
        "head.dim: {choice: [64, 128], when: {head.layers: true}}",
        "true is not one of its values",
        ": 1 to 3.",
    ),
    # the text
    (
        "head.kind: {choice: [none, mlp]}",
        "space.head.kind: the key is already on line 4",
        "Remove one.",
    ),
    (
        "head.dim: {int: [8, 16], int: [8, 32]}",
        "space.head.dim.int: the key is already on line 6",
        "Remove one.",
    ),
    (
        "contrastive.pooling: {choice: !!python/tuple [mean, attention]}",
        "the tag !!python/tuple",
        "Remove the tag.",
    ),
    (
        "contrastive.pooling: {choice: [!!str mean, attention]}",
        "the tag !!str",
        "Remove the tag.",
    ),
    ("contrastive.pooling: &a {choice: [mean, attention]}", "the anchor &a", "Remove it"),
    ("contrastive.pooling: *a", "the alias *a", "Write the value out."),
    (
        "? [contrastive.pooling]\n  : {choice: [mean, attention]}",
        "cannot be a key",
        "Write text.",
    ),
    ("contrastive.pooling: {choice: [mean, attention]", "not valid YAML", "Check brackets"),
]


@pytest.mark.parametrize(
    ("line", "rule", "fix"), PARAMETER_FAULTS, ids=[fault[0] for fault in PARAMETER_FAULTS]
)
def test_fault_of_a_parameter(tmp_path, line, rule, fix):
    faults = faults_of(tmp_path, with_parameter(line))
    assert len(faults) == 1, faults
    refused_by_yaml = r":(6|7): (the (tag|anchor|alias) .+ is not allowed|not valid YAML: .+)\. \S"
    assert re.match(r":6: space(\.\S+)?: \S.+\S[.?]$", faults[0]) or re.match(
        refused_by_yaml, faults[0]
    )
    assert rule in faults[0]
    assert fix in faults[0]


TOP_FAULTS = [
    ("objectiv: score", "unknown top-level key", "Did you mean objective?"),
    ("head.dim: 64", "unknown top-level key", "Put it under space or fixed."),
    ("objective: loss", "one of score, psnr, ssim, cer, wer", 'got "loss"'),
    ("preset: tine", "one of tiny, small, seed", "Did you mean tiny?"),
    ("budget: 12", "a mapping", "Indent the keys under `budget:`."),
    ("budget:", "a mapping", "got null"),
    ("budget: {trails: 12}", "budget.trails: unknown key", "Did you mean trials?"),
    ("budget: {trials: 0}", "a whole number from 1 to 100000", "got 0"),
    ("budget: {seeds: 0}", "a whole number from 1 to 1000", "got 0"),
    ("budget: {seeds: 2}", "only an experiment repeats its arms over seeds", "remove space"),
    ("budget: {epochs: 2.5}", "budget.epochs: must be a whole number", "got 2.5"),
    (
        "budget: {steps_per_epoch: true}",
        "budget.steps_per_epoch: must be a whole number",
        "got true",
    ),
    (
        "early_stopping: {patiense: 3}",
        "early_stopping.patiense: unknown key",
        "Did you mean patience?",
    ),
    (
        "early_stopping: {patience: '3'}",
        "early_stopping.patience: must be a whole number",
        "without quotes",
    ),
    (
        "early_stopping: {min_delta: .inf}",
        "early_stopping.min_delta: must be a number",
        "got Infinity",
    ),
    ("early_stopping: {min_delta: -1}", "early_stopping.min_delta: must be a number", "got -1"),
    (
        "baseline: {contrastive.formulation: clip}",
        "the OFF arm has no contrastive loss",
        "Write contrastive.formulation: none.",
    ),
    ("baseline: {}", "the OFF arm has no contrastive loss", "Write contrastive.formulation: none."),
    ("baseline: {contrastive.formulation: off}", "one of none, infonce, clip", 'got "off"'),
    ("baseline: none", "a mapping", 'got "none"'),
    (
        "baseline: {contrastive.formulation: none, head.knid: mlp}",
        "not a configuration key",
        "Did you mean head.kind?",
    ),
    (
        "baseline: {contrastive.formulation: none, data.width: 64}",
        "can only be set under fixed",
        "Move it there.",
    ),
    (
        "baseline: {contrastive.formulation: none, train.epochs: 4}",
        "cannot be set here",
        "Set budget.epochs",
    ),
    ("fixed: {head.dim: 64}", "fixed: the key is already on line 2", "Remove one."),
]


@pytest.mark.parametrize(
    ("line", "rule", "fix"), TOP_FAULTS, ids=[fault[0] for fault in TOP_FAULTS]
)
def test_fault_at_the_top(tmp_path, line, rule, fix):
    faults = faults_of(tmp_path, with_top(line))
    assert len(faults) == 1, faults
    assert faults[0].startswith(":6: ")
    assert rule in faults[0]
    assert fix in faults[0]


FIXED_FAULTS = [
    ("{train.epochs: 3}", "cannot be set here", "Set budget.epochs"),
    ("{train.bach_size: 3}", "not a configuration key", "Did you mean train.batch_size?"),
    ("{train.batch_size: '3'}", "a whole number from 1 to 4096", "without quotes"),
    ("{head.dim: 1}", "a whole number from 2 to 4096", "got 1"),
    ("{loss.pixel: .nan}", "a number from 0 to 1e+06", "got NaN"),
    ("{contrastive.symmetric: off}", "true or false", "are text here"),
    ("[head.dim]", "a mapping", 'got ["head.dim"]'),
    ("{data.height: 40}", "a multiple of 16", "This is so in single-trial mode"),
    ("{data.height: 48, generator.levels: 5}", "a multiple of 32", "got 48"),
]


@pytest.mark.parametrize(
    ("value", "rule", "fix"), FIXED_FAULTS, ids=[fault[0] for fault in FIXED_FAULTS]
)
def test_fault_of_a_fixed_value(tmp_path, value, rule, fix):
    faults = faults_of(tmp_path, GOOD.replace("{train.batch_size: 8}", value))
    assert len(faults) == 1, faults
    assert faults[0].startswith(":2: ")
    assert rule in faults[0]
    assert fix in faults[0]


FILE_FAULTS = [
    (b"", ":1: the file must be a mapping", "got an empty file"),
    (b"# only a comment\n", ":1: the file must be a mapping", "got an empty file"),
    (b"- a\n- b\n", ":1: the file must be a mapping", 'got ["a", "b"]'),
    (b"objective: psnr\nspace: [a]\n", ":2: space: must be a mapping", 'got ["a"]'),
    (
        b"objective: psnr\nspace: \xff\n",
        ":2: the byte 0xff is not UTF-8",
        "Save the file as UTF-8.",
    ),
    (b"objective: psnr\nspace: \x07\n", ":2: not valid YAML", "Check brackets"),
    (b"objective: psnr\nspace: {\n", ":3: not valid YAML", "Check brackets"),
    (b"a: 1\n---\nb: 2\n", ":2: not valid YAML", "another document"),
    (b"a: " + b"[" * 5000, ":1: not valid YAML", "nested more than"),
    (b"#" * (MAX_BYTES + 1), ": the file has more than 1000000 bytes", "Is it a search space?"),
]


@pytest.mark.parametrize(
    ("data", "rule", "fix"), FILE_FAULTS, ids=[str(fault[0][:30]) for fault in FILE_FAULTS]
)
def test_fault_of_a_file(tmp_path, data, rule, fix):
    faults = faults_of(tmp_path, data)
    assert len(faults) == 1, faults
    assert faults[0].startswith(rule)
    assert fix in faults[0]


EXPERIMENT_FAULTS = [
    (
        "fixed: {loss.ctc: 2}\nbudget: {trials: 12}",
        ":2: budget.trials: an experiment runs both arms once",
        "Set budget.seeds instead, or use --seeds.",
    ),
    ("space: {}\nbudget: {trials: many}", ":2: budget.trials: an experiment", "Set budget.seeds"),
    ("budget: {seeds: 2.5}", ":1: budget.seeds: must be a whole number", "got 2.5"),
    (
        "space:\nfixed: {contrastive.formulation: none}",
        ":2: fixed.contrastive.formulation: the ON arm of an experiment needs a contrastive loss",
        "infonce",
    ),
    (
        "fixed: {contrastive.formulation: inforce}",
        ":1: fixed.contrastive.formulation: must be one of",
        "Did you mean infonce?",
    ),
    ("fixed: 3", ":1: fixed: must be a mapping", "Indent"),
    ("budget: 3", ":1: budget: must be a mapping", "Indent"),
    (
        "fixed: {train.batch_size: 1}",
        ":1: fixed: train.batch_size must be at least 2",
        "This is so in the ON arm",
    ),
    ("space: *a\nbudget: {trials: 3}", ":1: the alias *a is not allowed", "Write the value out."),
]


@pytest.mark.parametrize(
    ("text", "rule", "fix"), EXPERIMENT_FAULTS, ids=[fault[0] for fault in EXPERIMENT_FAULTS]
)
def test_fault_of_an_experiment(tmp_path, text, rule, fix):
    faults = faults_of(tmp_path, text)
    assert len(faults) == 1, faults
    assert faults[0].startswith(rule)
    assert fix in faults[0]


@pytest.mark.parametrize(
    ("name", "word"), [("absent.yaml", "No such file"), (".", "Is a directory")]
)
def test_unreadable_file(tmp_path, name, word):
    with pytest.raises(SpaceError, match=rf"the file cannot be read \({word}"):
        load_space(tmp_path / name)


def test_five_faults_are_five_in_the_order_of_the_lines(tmp_path):
    faults = faults_of(
        tmp_path,
        """\
budget: {trials: many}
space:
  head.kind: {choice: [none, mpl]}
  head.dim: {int: [16, 8]}
  head.dim: {int: [8, 16]}
  loss.pixel: {float: !!float [1, 2], when: {head.kind: mlp}}
""",
    )
    assert [re.match(r":(\d+): (\S+?)(?::? )", fault).groups() for fault in faults] == [
        ("1", "budget.trials"),
        ("3", "space.head.kind.choice"),
        ("4", "space.head.dim.int"),
        ("5", "space.head.dim"),
        ("6", "the"),
    ]


def test_a_fault_does_not_hide_another_of_the_same_parameter(tmp_path):
    faults = faults_of(
        tmp_path,
        """\
space:
  head.dmi: {int: [16, 8], lgo: true, when: {head.kid: mlp}}
  head.dim: {int: [16, 8], log: 1, step: 0, default: x, when: {head.kid: mlp}}
""",
    )
    assert {re.match(r":(\d+): (\S+?)(?::? )", fault).groups() for fault in faults} == {
        ("2", "space.head.dmi"),
        ("2", "space.head.dmi.lgo"),
        ("2", "space.head.dmi.when.head.kid"),
        ("3", "space.head.dim.default"),
        ("3", "space.head.dim.int"),
        ("3", "space.head.dim.log"),
        ("3", "space.head.dim.step"),
        ("3", "space.head.dim.when.head.kid"),
    }
    assert len(faults) == 8


def test_a_cycle_is_one_fault_and_names_its_members(tmp_path):
    faults = faults_of(
        tmp_path,
        """\
space:
  head.kind: {choice: [none, mlp], when: {contrastive.pooling: attention}}
  head.layers: {int: [1, 3], when: {head.kind: mlp}}
  contrastive.pooling: {choice: [mean, attention], when: {head.layers: 2}}
""",
    )
    assert len(faults) == 1
    assert (
        "the conditions form a cycle: head.kind -> contrastive.pooling -> head.layers -> head.kind"
        in faults[0]
    )


def test_when_cannot_hang_on_a_continuous_value(tmp_path):
    faults = faults_of(
        tmp_path,
        """\
space:
  loss.pixel: {float: [1, 2]}
  head.layers: {int: [1, 3], when: {loss.pixel: 1}}
""",
    )
    assert len(faults) == 1
    assert faults[0].startswith(
        ":3: space.head.layers.when.loss.pixel: a continuous parameter never has exactly the value"
        " 1. Write a range"
    )


@pytest.mark.parametrize("condition", ["{min: 1.5, max: 1.5}", "{min: 2}", "{max: 1}"])
def test_a_range_of_one_continuous_value_is_refused(tmp_path, condition):
    layers = f"head.layers: {{int: [1, 3], when: {{loss.pixel: {condition}}}}}"
    faults = faults_of(tmp_path, f"space:\n  loss.pixel: {{float: [1, 2]}}\n  {layers}\n")
    assert len(faults) == 1 and faults[0].startswith(
        ":3: space.head.layers.when.loss.pixel: no trial has a value in {"
    )


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            "{head.kind: none, head.dim: 64}",
            "no value of head.kind meets all conditions (none, mlp)",
        ),
        ("{head.dim: 64, head.kind: [none, linear]}", "no value of head.kind"),
        (
            "{loss.pixel: {max: 3}, loss.ctc: {min: 1}}",
            "no value of loss.pixel meets all conditions (at most 3, at least 4)",
        ),
        ("{loss.pixel: {max: 4}, loss.ctc: {min: 1}}", "no value of loss.pixel"),
        ("{train.clip_norm: 5, contrastive.symmetric: true}", "no value of train.clip_norm"),
    ],
)
def test_a_parameter_that_is_never_active_is_refused(tmp_path, conditions, message):
    faults = faults_of(
        tmp_path,
        f"""\
space:
  head.kind: {{choice: [none, linear, mlp]}}
  head.dim: {{choice: [64, 128], when: {{head.kind: mlp}}}}
  loss.pixel: {{float: [1, 9]}}
  loss.ctc: {{float: [0, 2], when: {{loss.pixel: {{min: 4}}}}}}
  train.clip_norm: {{float: [1, 5], step: 1}}
  contrastive.symmetric: {{bool: true, when: {{train.clip_norm: {{max: 4}}}}}}
  head.layers: {{int: [1, 3], when: {conditions}}}
  head.width: {{choice: [64, 128], when: {{head.layers: 2}}}}
""",
    )
    assert len(faults) == 1 and faults[0].startswith(
        ":8: space.head.layers.when: the parameter is never active"
    )
    assert message in faults[0]


@pytest.mark.parametrize(
    "conditions",
    [
        "{head.kind: [none, mlp], head.dim: 64}",
        "{head.dim: {min: 100}}",
        "{loss.pixel: {min: 2, max: 5}, loss.ctc: {min: 1}}",
    ],
)
def test_conditions_that_can_meet_are_kept(tmp_path, conditions):
    path = tmp_path / "s.yaml"
    path.write_text(f"""\
space:
  head.kind: {{choice: [none, mlp]}}
  head.dim: {{choice: [64, 128], when: {{head.kind: mlp}}}}
  loss.pixel: {{float: [1, 9]}}
  loss.ctc: {{float: [0, 2], when: {{loss.pixel: {{min: 4}}}}}}
  head.layers: {{int: [1, 3], when: {conditions}}}
""")
    assert load_space(path).parameters[-1].key == "head.layers"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('space:\n  "a\\e[31m": 2\n', "not a configuration key"),
        ('"a\\u009bb": 2\n', "unknown top-level key"),
        ('"a\\nb": 2\n', "unknown top-level key"),
        (
            'space:\n  loss.pixel: {float: [1, 2]}\nfirst: {"\\e[2J": {loss.pixel: 1}}\n',
            "cannot be printed",
        ),
    ],
)
def test_faults_can_be_printed_on_a_terminal(tmp_path, text, rule):
    faults = faults_of(tmp_path, text)
    assert any(rule in fault for fault in faults) and all(fault.isprintable() for fault in faults)


def test_a_name_that_is_too_long_is_not_found(tmp_path):
    with pytest.raises(SpaceError, match="neither a file nor a search space in") as caught:
        find_space("x" * 5000, tmp_path)
    assert len(str(caught.value)) <= 2000


def test_values_that_only_together_are_a_fault(tmp_path):
    text = "space:\n  generator.levels: {int: [3, 6]}\n"
    faults = faults_of(tmp_path, "preset: tiny\n" + text)
    assert len(faults) == 1
    assert faults[0].startswith(":2: space: data.height must be a multiple of 64")
    assert 'a trial with {"generator.levels": 6}' in faults[0]
    (tmp_path / "s.yaml").write_text(text)  # a preset with taller lines may still be chosen
    space = load_space(tmp_path / "s.yaml")
    assert [section for section, _ in config_faults(space, "tiny")] == [("space",)]
    assert config_faults(space, "small") == []


def test_a_bomb_of_aliases_is_refused_without_growing(tmp_path):
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    faults = faults_of(tmp_path, "a0: &a0 [x]\n" + levels + GOOD)
    assert sum("the anchor" in fault for fault in faults) == 12
    assert sum("the alias" in fault for fault in faults) == 11 * 9


def test_faults_of_plain_values_without_a_file_start_with_their_name():
    with pytest.raises(SpaceError) as caught:
        space_from_plain({"space": {"head.dim": {"int": [3, 2]}}, 7: 1}, name="study")
    assert len(caught.value.faults) == 2
    assert all(fault.startswith("study: ") for fault in caught.value.faults)


def test_the_error_survives_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(SpaceError(["a", "b"])))
    assert error.faults == ["a", "b"]
