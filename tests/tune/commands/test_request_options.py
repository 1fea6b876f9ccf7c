"""From the options of the command line to a request."""

import pytest
import yaml

from ganhtr.config import ConfigError, parse_settings
from tests.tune.conftest import EXPERIMENT, SPACE
from tune.commands.request_options import build_request
from tune.study.request import Request

OPTIONS = {
    "data": "builtin",
    "charset": None,
    "fonts": None,
    "preset": "tiny",
    "trials": None,
    "seeds": None,
    "epochs": None,
    "seed": None,
    "set_": [],
    "cpus": 1,
    "gpus": 0,
    "single": False,
}


@pytest.fixture
def asked(tmp_path):
    """asked(plain, option=value): the request for a space of these plain values."""

    def ask(plain, **options):
        path = tmp_path / "some.yaml"
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return build_request(str(path), **{**OPTIONS, **options})

    return ask


def test_seeds_are_those_of_the_file_or_of_the_option(asked):
    assert (asked(EXPERIMENT).trials, asked(EXPERIMENT).space.budget.seeds) == (6, 3)
    request = asked(EXPERIMENT, seeds=5, seed=7)
    assert (request.trials, request.seed) == (10, 7)
    assert Request.of(yaml.safe_load(yaml.safe_dump(request.plain()))) == request


def test_a_search_takes_trials_and_an_experiment_seeds(asked):
    assert asked(SPACE, trials=3).trials == 3
    with pytest.raises(ConfigError, match="--trials must be left out with some, an experiment"):
        asked(EXPERIMENT, trials=3)
    assert (
        asked(SPACE, seeds=5).space.verdict.seeds == 5
        and asked(SPACE, seeds=0).space.verdict.seeds == 0
    )
    with pytest.raises(
        ConfigError, match="--seeds must be at least 1 with some, an experiment, got 0"
    ):
        asked(EXPERIMENT, seeds=0)


def test_the_on_arm_of_an_experiment_keeps_its_loss(asked):
    none = ["contrastive.formulation=none"]
    with pytest.raises(ConfigError, match="ON arm"):
        asked(EXPERIMENT, set_=none)
    assert asked(EXPERIMENT, set_=none, single=True).config().contrastive.formulation == "none"
    assert (
        asked(EXPERIMENT, set_=["contrastive.formulation=infonce"]).config().contrastive.formulation
        == "infonce"
    )


def test_files_of_recognizers_are_named_so_that_any_folder_finds_them(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {
        **SPACE,
        "fixed": {"judge.weights": "kept/judge.safetensors", "guide.weights": "other"},
    }
    request = asked(space, set_=["guide.weights=guide.safetensors"])
    monkeypatch.chdir("/")
    config = Request.of(yaml.safe_load(yaml.safe_dump(request.plain()))).config()
    assert config.guide.weights == str(tmp_path / "guide.safetensors")
    assert config.judge.weights == str(tmp_path / "kept/judge.safetensors")
    assert asked(SPACE).config().guide.weights == ""


def test_what_looks_like_a_number_is_text_where_the_key_takes_text():
    given = [
        "guide.weights=1743",
        "train.batch_size=4",
        "loss.ctc=1e-3",
        "contrastive.symmetric=true",
        "head.kind=true",
    ]
    assert parse_settings(given) == {
        "guide.weights": "1743",
        "train.batch_size": 4,
        "loss.ctc": 0.001,
        "contrastive.symmetric": True,
        "head.kind": "true",
    }
