"""Configuration: presets build, and every fault is named, all at once."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from ganhtr.config import (
    PRESETS,
    RULES,
    Config,
    ConfigError,
    Rule,
    build_config,
    key_fault,
    nearest,
)

ROOT = Path(__file__).parents[1]
TRANSFORMER = {"guide.kind": "transformer"}


def faults_of(overrides, preset="tiny"):
    with pytest.raises(ConfigError) as caught:
        build_config(preset, overrides)
    assert isinstance(caught.value, ValueError) and str(caught.value) == "\n".join(
        caught.value.faults
    )
    return caught.value.faults


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build_and_their_values_keep_their_own_rules(preset):
    flat = build_config(preset).flat()
    assert build_config(preset).preset == preset
    assert {key: flat[key] for key in PRESETS[preset]} == PRESETS[preset]
    assert [RULES[key].fault(value) for key, value in flat.items()] == [None] * len(RULES)
    assert all(type(value) is RULES[key].type for key, value in flat.items())


def test_the_presets_differ_where_they_should():
    tiny, seed = build_config(), build_config("seed")
    assert tiny == build_config("tiny", {}) and tiny.preset == "tiny"
    assert (tiny.data.height, tiny.data.width, tiny.judge.seed, tiny.guide.seed) == (32, 256, 2, 1)
    published = {
        "data.height": 128,
        "data.width": 1024,
        "guide.kind": "transformer",
        "train.epochs": 30,
        "train.steps_per_epoch": 100,
        "train.batch_size": 4,
        "train.generator_lr": 2e-4,
        "train.clip_norm": 1,
        "train.generator_beta1": 0.5,
        "loss.pixel": 200,
        "loss.feature": 5,
        "loss.ctc": 1,
        "loss.adversarial": 3,
    }
    assert {key: seed.flat()[key] for key in published} == published


def test_flat_and_replace_go_round():
    config = build_config("small", {"head.dim": 32, "contrastive.weight": 3})
    flat = config.flat()
    assert list(flat) == list(RULES)
    assert (flat["head.dim"], flat["contrastive.weight"], flat["data.height"]) == (32, 3.0, 64)
    assert build_config("small", flat) == config.replace({}) == config
    changed = config.replace({"head.dim": 64})
    assert (
        changed.head.dim == 64
        and changed.preset == "small"
        and changed.replace({"head.dim": 32}) == config
    )
    assert config.head.dim == 32
    with pytest.raises(ConfigError, match=r"head\.dim"):
        config.replace({"head.dim": 0})


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        build_config().train.seed = 3


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("contrastive.wieght", "Did you mean contrastive.weight?"),
        ("train.batchsize", "Did you mean train.batch_size?"),
        ("xq", "`--dry-run` lists the known keys."),
        ("preset", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, hint):
    (fault,) = faults_of({key: 1})
    assert (
        fault.startswith(f"{key} is not a configuration key. ")
        and hint in fault
        and fault == key_fault(key)
    )
    assert key_fault("contrastive.weight") is None


def test_an_unknown_preset_is_refused_with_the_nearest():
    assert faults_of({}, "sed") == [
        "preset must be one of tiny, small, seed, got 'sed'. Did you mean seed?"
    ]
    assert nearest("qqq", ["b", "a"]) == "Known: a, b."


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("head.dim", 2.5, "a whole number from 2 to 4096"),
        ("head.dim", "8", "a whole number from 2 to 4096"),
        ("head.dim", 8.0, "a whole number from 2 to 4096"),
        ("head.dim", True, "a whole number from 2 to 4096"),
        ("head.dim", None, "a whole number from 2 to 4096"),
        ("data.seed", -1, "a whole number of at least 0"),
        *(
            ("loss.pixel", value, "a number from 0 to 1e+06")
            for value in (True, "1", math.nan, math.inf, -0.1, [1.0])
        ),
        ("contrastive.symmetric", 1, "true or false"),
        ("contrastive.symmetric", "true", "true or false"),
        *(
            ("head.kind", value, "one of none, linear, mlp, mlp_bn, residual")
            for value in ("mlps", "", None, 1, ["mlp"])
        ),
    ],
)
def test_a_value_outside_its_rule_is_refused_in_words(key, value, rule):
    assert faults_of({key: value}) == [f"{key} must be {rule}, got {value!r}"]


def test_infinity_is_no_number_even_without_an_upper_bound():
    free = Rule("a.b", float, 1.0, "")
    assert free.words() == "a number" and free.fault(-1e300) is None
    assert [bool(free.fault(v)) for v in (math.nan, math.inf, -math.inf, False)] == [True] * 4


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_bounds_belong_to_the_range_and_nothing_beyond_them(rule):
    assert rule.doc and rule.fault(rule.default) is None
    step = 1 if rule.type is int else 1e-9
    for bound, outwards in ((rule.low, -step), (rule.high, step)):
        if bound is not None:
            assert rule.fault(rule.type(bound)) is None
            assert rule.fault(rule.type(bound) + outwards * max(1, abs(bound))) is not None
    assert all(rule.fault(choice) is None for choice in rule.choices)
    assert (rule.low is not None) == (rule.type in (int, float))


def test_a_whole_number_serves_as_a_float():
    weight = build_config("tiny", {"contrastive.weight": 3}).contrastive.weight
    assert weight == 3 and isinstance(weight, float)


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            {"data.height": 40},
            "data.height must be a multiple of 16 (2 to the power of generator.levels), got 40",
        ),
        (
            {"data.width": 264},
            "data.width must be a multiple of 16 (2 to the power of generator.levels), got 264",
        ),
        (
            {"data.height": 96, "generator.levels": 6},
            "data.height must be a multiple of 64 (2 to the power of generator.levels), got 96",
        ),
        ({**TRANSFORMER, "guide.dim": 100}, "guide.dim must be a multiple of guide.heads, got 100"),
        (
            {"judge.kind": "transformer", "judge.dim": 60},
            "judge.dim must be a multiple of judge.heads, got 60",
        ),
        ({"guide.height": 15}, "guide.height must be 0 or at least 16, got 15"),
        (
            {"train.batch_size": 1},
            "train.batch_size must be at least 2 for a contrastive loss, which compares the lines "
            "of a batch, got 1. Raise it, or set contrastive.formulation to none",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(overrides, fault):
    assert faults_of(overrides) == [fault]


@pytest.mark.parametrize(
    ("section", "kind", "width", "stride"),
    [
        ("guide", "crnn", 66, 4),
        ("judge", "crnn", 66, 4),
        ("guide", "transformer", 68, 8),
        ("judge", "transformer", 68, 8),
    ],
)
def test_a_width_that_a_recognizer_cannot_cut_into_frames_is_refused(section, kind, width, stride):
    overrides = {
        "generator.levels": 1,
        "data.width": width,
        f"{section}.kind": kind,
        f"{section}.dim": 64,
    }
    assert any(
        f"data.width must be a multiple of {stride}" in fault and section in fault
        for fault in faults_of(overrides)
    )
    assert build_config("tiny", {**overrides, "data.width": 72}).data.width == 72


@pytest.mark.parametrize(
    "overrides",
    [
        {"data.height": 48, "data.width": 272},
        {"generator.levels": 2, "data.height": 20},
        {"guide.dim": 100},
        {**TRANSFORMER, "guide.dim": 100, "guide.heads": 10},
        {"train.batch_size": 2},
        {"train.batch_size": 1, "contrastive.formulation": "none"},
    ],
)
def test_values_that_go_together_pass(overrides):
    assert {key: build_config("tiny", overrides).flat()[key] for key in overrides} == overrides


def test_all_faults_are_reported_at_once():
    faults = faults_of(
        {
            "head.dmi": 8,
            "head.dim": "8",
            "contrastive.weight": -1,
            "contrastive.symmetric": 0,
            "head.kind": "x",
            "train.seed": 7,
        }
    )
    assert [fault.split()[0] for fault in faults] == [
        "head.dmi",
        "head.dim",
        "contrastive.weight",
        "contrastive.symmetric",
        "head.kind",
    ]
    joint = faults_of(
        {"data.height": 40, "data.width": 264, "train.batch_size": 1, **TRANSFORMER, "guide.dim": 9}
    )
    assert [fault.split()[0] for fault in joint] == [
        "data.height",
        "data.width",
        "guide.dim",
        "train.batch_size",
    ]


def test_what_all_trials_share_is_marked():
    shared = {key.split(".")[0] for key, rule in RULES.items() if rule.shared}
    free = {key.split(".")[0] for key, rule in RULES.items() if not rule.shared}
    assert shared == {"data", "guide", "judge", "recognizer_training"}
    assert shared | free == set(Config.__dataclass_fields__) - {"preset"} and not shared & free


def run_fresh(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_configuration_needs_nothing_but_the_standard_library():
    code = """if True:
        import sys
        before = set(sys.modules)
        import ganhtr.config
        new = {name.split('.')[0] for name in set(sys.modules) - before}
        print(*new - set(sys.stdlib_module_names))"""
    assert run_fresh(code) == ["ganhtr"]


def test_training_imports_where_the_searchs_libraries_are_missing():
    code = """if True:
        import importlib, pkgutil, sys
        MISSING = ("ray", "optuna", "yaml", "typer", "jiwer", "rich", "pydantic", "tune",
                   "HersheyFonts", "defusedxml", "onnx")
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in MISSING:
                    raise ImportError(f"{name} is kept away")
        sys.meta_path.insert(0, Absent())
        import ganhtr
        for module in pkgutil.walk_packages(ganhtr.__path__, "ganhtr."):
            if module.name.split(".")[1] in ("train", "recognizers", "models", "losses", "metrics"):
                importlib.import_module(module.name)
                print(module.name)
        assert not set(MISSING) & set(sys.modules)
        for name in MISSING:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
            raise SystemExit(f"{name} came through")"""
    imported = set(run_fresh(code))
    assert {
        "ganhtr.train.fit",
        "ganhtr.recognizers.obtain",
        "ganhtr.losses.contrastive.clip",
    } <= imported
