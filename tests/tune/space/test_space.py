"""A valid space samples only what it allows, survives a round trip, and agrees with its schema."""

import dataclasses
import math
import pickle
import random
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ganhtr.config import RULES, build_config
from tune.space.load import find_space, load_space, space_from_plain
from tune.space.parameter import Parameter
from tune.space.plain import digest_of, plain_of
from tune.space.schema import json_schema
from tune.space.settings import Budget, EarlyStopping
from tune.space.source import SpaceError
from tune.space.yaml_text import parse_yaml

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "search_spaces").glob("*.yaml"))
CONTRASTIVE = ROOT / "search_spaces" / "contrastive.yaml"
EXPERIMENT = ROOT / "search_spaces" / "experiment.yaml"


def load(tmp_path, text):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return load_space(path)


# --- what is read ---


def test_defaults_of_all_that_may_be_left_out(tmp_path):
    space = load(tmp_path, "space: {head.dim: {int: [8, 16]}}")
    assert space.name == "some"
    assert (space.objective, space.preset, space.fixed) == ("score", None, {})
    assert space.budget == Budget(12, None, None)
    assert space.early_stopping == EarlyStopping(15, 0.01)
    assert space.baseline == {"contrastive.formulation": "none"}
    assert space.parameters == (Parameter("head.dim", "int", 8, 16),)


def test_everything_that_can_be_written(tmp_path):
    space = load(
        tmp_path,
        """
preset: seed
objective: cer
budget: {trials: 3, epochs: 4, steps_per_epoch: 5}
early_stopping: {patience: 2, min_delta: 1e-3}
baseline: {contrastive.formulation: none, loss.pixel: 7}
fixed: {data.width: 512, train.seed: 4}
space:
  head.layers:
    int: [1, 5]
    step: 2
    when: {head.kind: mlp, contrastive.symmetric: [true]}
    default: 3
  contrastive.symmetric: {bool: true, default: false}
  loss.pixel: {float: [1e-3, 1E+2], log: true}
  head.kind: {choice: [none, mlp]}
""",
    )
    assert (space.preset, space.objective) == ("seed", "cer")
    assert space.budget == Budget(3, 4, 5)
    assert space.early_stopping == EarlyStopping(2, 0.001)
    assert space.fixed == {"data.width": 512, "train.seed": 4}
    assert space.parameters == (  # ancestors first, else as in the file
        Parameter("head.kind", "choice", choices=("none", "mlp")),
        Parameter("contrastive.symmetric", "bool", choices=(False, True), default=False),
        Parameter(
            "head.layers",
            "int",
            1,
            5,
            step=2,
            default=3,
            when={"head.kind": ("mlp",), "contrastive.symmetric": (True,)},
        ),
        Parameter("loss.pixel", "float", 0.001, 100.0, log=True),
    )


@pytest.mark.parametrize("space", ["", "space:", "space: {}", "space: ~"])
def test_without_parameters_it_is_an_experiment(tmp_path, space):
    read = load(
        tmp_path,
        "budget: {seeds: 3, epochs: 7}\n"
        f"fixed: {{contrastive.formulation: clip, loss.ctc: 2}}\n{space}\n",
    )
    assert read.experiment and (read.parameters, read.trials, read.budget.seeds) == ((), 6, 3)
    on = {"contrastive.formulation": "clip", "loss.ctc": 2.0, "train.epochs": 7}
    assert read.overrides({}) == on and read.overrides(read.baseline) == {
        **on,
        "contrastive.formulation": "none",
    }
    assert read.random_values(5) == {}
    assert "trials" not in plain_of(read)["budget"] and space_from_plain(plain_of(read)) == read
    assert load(tmp_path, yaml.safe_dump(plain_of(read))) == read


def test_a_search_counts_trials_and_an_experiment_both_arms_for_each_seed(tmp_path):
    assert (load(tmp_path, ONE).trials, load(tmp_path, ONE).experiment) == (12, False)
    assert load(tmp_path, ONE + "\nbudget: {trials: 5, seeds: 1}").trials == 5
    assert "seeds" not in plain_of(load(tmp_path, ONE))["budget"]
    assert load(tmp_path, "fixed: {contrastive.formulation: clip}").trials == 2


def test_the_shipped_experiment_has_the_settings_of_the_original():
    space = load_space(EXPERIMENT)
    flat = build_config("tiny", space.overrides({})).flat()
    original = {
        "train.batch_size": 4,
        "train.epochs": 30,
        "train.steps_per_epoch": 100,
        "train.generator_lr": 2e-4,
        "train.generator_beta1": 0.5,
        "train.discriminator_optimizer": "sgd",
        "train.discriminator_lr": 2e-4,
        "train.contrastive_lr": 2e-4,
        "train.clip_norm": 1.0,
        "loss.pixel": 200.0,
        "loss.feature": 5.0,
        "loss.ctc": 1.0,
        "loss.adversarial": 3.0,
        "contrastive.formulation": "infonce",
        "contrastive.weight": 1.0,
        "contrastive.negatives": "batch",
        "contrastive.symmetric": False,
        "contrastive.queue": 0,
        "train.micro_batch": 0,
        "train.schedule": "constant",
        "augment.fresh": 0.0,
    }
    assert {key: flat[key] for key in original} == original
    assert (space.objective, space.trials, space.early_stopping.min_delta) == ("score", 6, 0.01)
    assert space.early_stopping.patience >= 30, "every run completes its 30 epochs"
    off = build_config("tiny", space.overrides(space.baseline)).flat()
    assert {key: value for key, value in off.items() if value != flat[key]} == {
        "contrastive.formulation": "none"
    }


def test_the_baseline_may_rest_on_a_fixed_none(tmp_path):
    space = load(
        tmp_path,
        """
fixed: {contrastive.formulation: none}
baseline: {loss.pixel: 1}
space: {head.dim: {int: [8, 16]}}
""",
    )
    assert space.overrides(space.baseline) == {"contrastive.formulation": "none", "loss.pixel": 1.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("010", 10),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("none", "none"),
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2001-01-01", "2001-01-01"),
        ("<<", "<<"),
        ("=", "="),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("1" * 400, math.inf),
        ("-", [None]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    scalar = parse_yaml(f"a:\n  {text}\n", "f").value["a"]
    assert (scalar, type(scalar)) == (value, type(value))


# --- what is sampled ---


def test_sample_picks_for_active_parameters_only():
    space = load_space(CONTRASTIVE)
    picked_for = []

    def pick(parameter):
        picked_for.append(parameter.key)
        return {"contrastive.formulation": "clip", "head.kind": "linear", "head.dim": 64}.get(
            parameter.key, 1.0
        )

    values = space.sample(pick)
    assert (
        picked_for
        == list(values)
        == [
            "contrastive.formulation",
            "contrastive.weight",
            "contrastive.temperature",
            "head.kind",
            "head.dim",
        ]
    )
    assert [parameter.key for parameter in space.active(values)] == picked_for


def test_random_values_follow_their_seed():
    space = load_space(CONTRASTIVE)
    assert space.random_values(3) == space.random_values(random.Random(3))
    assert len({str(space.random_values(seed)) for seed in range(20)}) == 20


def test_a_log_range_is_drawn_evenly_in_the_logarithm_and_a_linear_one_is_not():
    rng = random.Random(0)
    for log, low_half in ((True, 0.5), (False, 0.0099)):
        parameter = Parameter("loss.pixel", "float", 0.01, 100.0, log=log)
        draws = [parameter.random_value(rng) for _ in range(4000)]
        assert sum(draw < 1 for draw in draws) / 4000 == pytest.approx(low_half, abs=0.03)


@pytest.mark.parametrize(("log", "step"), [(False, None), (True, None), (False, 2)])
def test_a_whole_range_is_drawn_from_end_to_end(log, step):
    parameter = Parameter("head.dim", "int", 3, 7, log=log, step=step)
    rng = random.Random(0)
    assert {parameter.random_value(rng) for _ in range(500)} == set(range(3, 8, step or 1))


def test_a_stepped_float_draws_clean_numbers():
    parameter = Parameter("loss.ctc", "float", 0.1, 0.7, step=0.2)
    rng = random.Random(0)
    assert {parameter.random_value(rng) for _ in range(200)} == {0.1, 0.3, 0.5, 0.7}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_space_loads_samples_and_builds(path):
    space = load_space(path)
    assert path.read_text().startswith("# ")
    for seed in range(200):
        values = space.random_values(seed)
        flat = build_config(space.preset or "tiny", space.overrides(values)).flat()
        assert {key: flat[key] for key in values} == values
    off = build_config(space.preset or "tiny", space.overrides(space.baseline))
    assert off.contrastive.formulation == "none"


def test_overrides_lay_values_over_defaults_over_fixed_and_the_budget_over_all(tmp_path):
    space = load(
        tmp_path,
        """
budget: {epochs: 7}
fixed: {loss.ctc: 2}
space:
  head.kind: {choice: [none, mlp], default: none}
  head.layers: {int: [1, 3], when: {head.kind: mlp}, default: 3}
  head.dim: {int: [8, 16]}
""",
    )
    assert space.overrides({}) == {
        "loss.ctc": 2.0,
        "head.kind": "none",
        "head.layers": 3,
        "train.epochs": 7,
    }
    assert space.overrides({"head.kind": "mlp", "head.layers": 1})["head.layers"] == 1


# --- round trip, digest, names ---


def test_round_trip_through_a_file(tmp_path):
    space = load_space(CONTRASTIVE)
    again = load(tmp_path, yaml.safe_dump(plain_of(space)))
    assert (digest_of(again), plain_of(again)) == (digest_of(space), plain_of(space))
    ordered = load(tmp_path, yaml.safe_dump(plain_of(space), sort_keys=False))
    assert ordered == space
    assert ordered.name != space.name
    assert pickle.loads(pickle.dumps(space)) == space


ONE = "space: {loss.pixel: {float: [1, 2]}, head.dim: {choice: [8, 16]}}"


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\nspace:\n  head.dim:\n    choice:\n    - 8\n    - 16\n"
        "  loss.pixel: {float: [1.0, 2e0]}\n",
        ONE + "\nobjective: score\nbudget: {trials: 12}\nfixed: {}\n",
        ONE + "\nbudget: {trials: 99}\n",
        ONE.replace("[1, 2]", "[1, 2], log: false"),
    ],
)
def test_digest_does_not_see_writing(tmp_path, same):
    assert digest_of(load(tmp_path, ONE)) == digest_of(load(tmp_path, same))


def test_more_seeds_extend_an_experiment(tmp_path):
    text = "fixed: {{contrastive.formulation: clip}}\nbudget: {{seeds: {}}}"
    three, five = (load(tmp_path, text.format(seeds)) for seeds in (3, 5))
    assert digest_of(three) == digest_of(five) and three != five
    assert digest_of(three) != digest_of(
        load(tmp_path, "fixed: {contrastive.formulation: infonce}")
    )


@pytest.mark.parametrize(
    "other",
    [
        ONE.replace("[1, 2]", "[1, 3]"),
        ONE.replace("[8, 16]", "[16, 8]"),
        ONE.replace("[1, 2]", "[1, 2], log: true"),
        ONE + "\nobjective: psnr",
        ONE + "\nbudget: {epochs: 3}",
        ONE + "\nfixed: {loss.ctc: 2}",
        ONE + "\npreset: seed",
        ONE + "\nearly_stopping: {patience: 3}",
        ONE.replace("[1, 2]", "[1, 2], default: 2"),
    ],
)
def test_digest_sees_content(tmp_path, other):
    assert digest_of(load(tmp_path, ONE)) != digest_of(load(tmp_path, other))


def test_find_space(tmp_path):
    for name in ("contrastive", "losses"):
        (tmp_path / f"{name}.yaml").write_text(ONE)
    losses = tmp_path / "losses.yaml"
    assert find_space("losses", tmp_path) == find_space("losses.yaml", tmp_path) == losses
    assert find_space(losses, "nowhere") == losses
    with pytest.raises(SpaceError, match=r"Did you mean losses\? Known: contrastive, losses\."):
        find_space("loses", tmp_path)
    with pytest.raises(SpaceError, match=r"There is no \.yaml file in"):
        find_space("losses", tmp_path / "nowhere")


def test_a_space_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_space(CONTRASTIVE).objective = "cer"


def test_reading_a_space_imports_no_heavy_library():
    code = (
        "import sys, tune.space.space, tune.space.schema; "
        "sys.exit(', '.join({'ray', 'optuna', 'torch', 'numpy'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


# --- JSON Schema ---

SCHEMA = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert RULES["head.dim"].doc in str(
        json_schema()["properties"]["space"]["properties"]["head.dim"]
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_space_follows_the_schema(path):
    for plain in (parse_yaml(path.read_text(), path.name).value, plain_of(load_space(path))):
        assert not list(SCHEMA.iter_errors(plain))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "space: {}",
        "space:",
        "budget: {seeds: 4}",
        "fixed: {contrastive.formulation: dcl}\nbudget: {seeds: 4}",
        ONE + "\nbudget: {seeds: 1}",
        ONE + "\nfixed: {contrastive.formulation: none}",
    ],
)
def test_an_experiment_follows_the_schema(text, tmp_path):
    for taken in (parse_yaml(text, "f").value, plain_of(load(tmp_path, text))):
        assert not list(SCHEMA.iter_errors(taken))


@pytest.mark.parametrize(
    "text",
    [
        "space: []",
        "space: 3",
        "budget: {trials: 4}",
        "space: {}\nbudget: {trials: 4}",
        "budget: {seeds: 0}",
        ONE + "\nbudget: {seeds: 2}",
        "fixed: {contrastive.formulation: none}",
        "space: ~\nfixed: {contrastive.formulation: none}",
        "[]",
        ONE + "\nobjectiv: score",
        ONE + "\nobjective: loss",
        ONE + "\nbudget: {trials: 0}",
        ONE + "\nbudget: {epochs: x}",
        ONE + "\nbaseline: {contrastive.formulation: clip}",
        ONE + "\nfixed: {train.epochs: 3}",
        "space: {head.dmi: {int: [8, 16]}}",
        "space: {head.dim: {float: [8, 16]}}",
        "space: {head.dim: {int: [8]}}",
        "space: {head.dim: {int: [8, 9999]}}",
        "space: {head.dim: {int: [8, 16], choice: [8]}}",
        "space: {head.dim: {log: true}}",
        "space: {data.width: {int: [64, 128]}}",
        "space: {train.seed: {int: [0, 1]}}",
        "space: {contrastive.pooling: {choice: [mean, mean]}}",
        "space: {contrastive.pooling: {choice: [maen]}}",
        "space: {contrastive.pooling: {choice: [mean], step: 1}}",
        "space: {contrastive.symmetric: {bool: false}}",
        "space: {head.dim: {int: [8, 16], log: true, step: 2}}",
        "space: {head.dim: {int: [8, 16], step: 0}}",
        "space: {head.dim: {int: [8, 16], when: {head.knid: mlp}}}",
        "space: {head.dim: {int: [8, 16], default: x}}",
    ],
)
def test_the_schema_refuses_what_loading_refuses(text, tmp_path):
    assert not SCHEMA.is_valid(parse_yaml(text, "f").value)
    with pytest.raises(SpaceError):
        load(tmp_path, text)
