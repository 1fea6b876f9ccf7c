"""From the options of the command line to a request."""

import pytest
import yaml

from ganhtr.config import ConfigError, parse_settings
from tests.tune.conftest import EXPERIMENT, SPACE
from tune.commands.request_options import SearchOptions, build_request
from tune.study.request import Request


@pytest.fixture
def request_of(tmp_path):
    """request_of(plain, option=value): the request for a space of these plain values."""

    def build(plain, **options):
        path = tmp_path / "some.yaml"
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return build_request(
            SearchOptions(str(path), **{"preset": "tiny", "gpus_per_trial": 0, **options})
        )

    return build


def test_seeds_are_those_of_the_file_or_of_the_option(request_of):
    assert (request_of(EXPERIMENT).trials, request_of(EXPERIMENT).space.budget.seeds) == (6, 3)
    request = request_of(EXPERIMENT, seeds=5, seed=7)
    assert (request.trials, request.seed) == (10, 7)
    assert Request.of(yaml.safe_load(yaml.safe_dump(request.plain()))) == request


def test_a_search_takes_trials_and_an_experiment_seeds(request_of):
    assert request_of(SPACE, trials=3).trials == 3
    with pytest.raises(ConfigError, match="--trials 3: some is an experiment"):
        request_of(EXPERIMENT, trials=3)
    assert (
        request_of(SPACE, seeds=5).space.verdict.seeds == 5
        and request_of(SPACE, seeds=0).space.verdict.seeds == 0
    )
    with pytest.raises(
        ConfigError, match="--seeds must be at least 1 with some, an experiment, got 0"
    ):
        request_of(EXPERIMENT, seeds=0)


def test_the_on_arm_of_an_experiment_keeps_its_loss(request_of):
    none = ("contrastive.formulation=none",)
    with pytest.raises(ConfigError, match="ON arm"):
        request_of(EXPERIMENT, settings=none)
    assert (
        request_of(EXPERIMENT, settings=none, single_trial=True).config().contrastive.formulation
        == "none"
    )
    assert (
        request_of(EXPERIMENT, settings=("contrastive.formulation=infonce",))
        .config()
        .contrastive.formulation
        == "infonce"
    )


def test_files_of_recognizers_are_named_so_that_any_folder_finds_them(
    request_of, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    space = {
        **SPACE,
        "fixed": {"judge.weights": "kept/judge.safetensors", "guide.weights": "other"},
    }
    request = request_of(space, settings=("guide.weights=guide.safetensors",))
    monkeypatch.chdir("/")
    config = Request.of(yaml.safe_load(yaml.safe_dump(request.plain()))).config()
    assert config.guide.weights == str(tmp_path / "guide.safetensors")
    assert config.judge.weights == str(tmp_path / "kept/judge.safetensors")
    assert request_of(SPACE).config().guide.weights == ""


def test_a_number_is_text_where_the_key_takes_text():
    words = [
        "guide.weights=1743",
        "train.batch_size=4",
        "loss.ctc=1e-3",
        "contrastive.symmetric=true",
        "head.kind=true",
    ]
    assert parse_settings(words) == {
        "guide.weights": "1743",
        "train.batch_size": 4,
        "loss.ctc": 0.001,
        "contrastive.symmetric": True,
        "head.kind": "true",
    }
