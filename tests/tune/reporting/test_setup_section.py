"""The parameters of a report."""

from dataclasses import replace

import pytest

from tests.tune.made_study import Made, make_study, two_arms
from tune.reporting.pair import default_pair, named_pair
from tune.reporting.setup_section import parameter_tables, setup_section


def cells(text):
    return {
        line.split("|")[1].strip(): [word.strip() for word in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line[:1] == "|"
    }


@pytest.fixture
def made(tmp_path, request_of):
    def build(*trials, **study):
        return make_study(tmp_path, request_of(), trials, **study)

    return build


def test_what_differs_stands_side_by_side_and_the_seed_does_not(made):
    folder, request, rows = made(
        Made("off-000", 0),
        Made("on-000", 1, values={"train.generator_lr": 0.003, "head.kind": "none"}),
        experiment=False,
    )
    differ, shared = "\n".join(parameter_tables(default_pair(folder, rows), request)).split(
        "Main parameters that both share"
    )
    differ, shared = cells(differ), cells(shared)
    assert differ["contrastive.formulation"] == ["none", "infonce"] and differ[
        "contrastive.weight"
    ] == ["-", "2"]
    assert (
        differ["train.generator_lr"] == ["0.005", "0.003"]
        and "train.seed" not in differ
        and "head.layers" not in differ
    )
    assert (
        "train.generator_lr" not in shared
        and shared["loss.pixel"] == ["200"]
        and shared["train.batch_size"] == ["4"]
    )
    assert shared["early_stopping.patience"] == ["15"] and "contrastive.weight" not in shared


def test_a_searched_key_that_another_switches_off_is_not_shown(made):
    """head.layers takes part with a perceptron alone."""
    folder, request, rows = made(
        Made("off-000", 0),
        Made("on-000", 0, values={"head.kind": "mlp", "head.layers": 2}),
        Made("on-001", 0, values={"head.kind": "none", "head.layers": 1}),
        experiment=False,
    )
    pair = named_pair(folder, rows, ["on-000"], ["on-001"])
    differ = cells(
        "\n".join(parameter_tables(pair, request)).split("Main parameters that both share")[0]
    )
    assert differ["head.kind"] == ["mlp", "none"] and differ["head.layers"] == ["2", "-"]


def test_equal_arms_are_called_equal(made):
    folder, request, rows = made(*two_arms())
    text = "\n".join(parameter_tables(named_pair(folder, rows, ["on-000"], ["on-001"]), request))
    assert "differ in no parameter but the seed" in text and cells(text)["contrastive.weight"] == [
        "2"
    ]


def test_machine_data_and_recognizers(made):
    folder, request, rows = made(*two_arms(), notes=["3 lines <b>| squeezed"], data="a|<script>")
    request = replace(request, preset_reason="<i>")
    text = "\n".join(
        setup_section(folder, request, rows, folder.read_json("environment.json"), None)
    )
    for words in (
        "x86_64, 2 CPUs, 8 GiB of memory, no GPU; Linux",
        "Python 3.11, torch 2; commit abc",
        "12 training and 5 search-validation",
        "3 lines &lt;b>\\| squeezed",
        "a\\|&lt;script>",
        "0.020 (guide), 0.040 (judge)",
        "&lt;i>",
        "6 of 6 trials ended",
    ):
        assert words in text
    assert "<script>" not in text and cells(text)["contrastive.weight"] == ["1"]


def test_settings_are_shown_and_the_path_of_the_data_is_not(made):
    folder, request, rows = made(*two_arms(), data="/home/somebody/archive/lines")
    request = replace(
        request, settings={"train.steps_per_epoch": 40, "recognizer_training.epochs": 20}
    )
    text = "\n".join(
        setup_section(folder, request, rows, folder.read_json("environment.json"), None)
    )
    assert "Data: lines: 12 training" in text and "somebody" not in text
    assert (
        "Set on the command line: train.steps_per_epoch 40, recognizer_training.epochs 20." in text
    )


@pytest.mark.parametrize("micro", [0, 2])
def test_batches_in_parts_are_explained(micro, made):
    folder, request, rows = made(*two_arms())
    request = replace(request, settings={**request.settings, "train.micro_batch": micro})
    text = "\n".join(
        setup_section(folder, request, rows, folder.read_json("environment.json"), None)
    )
    assert (
        ("Batches of more than 2 lines were run in parts" in text)
        == ("batch norm takes its statistics" in text)
        == bool(micro)
    )


def test_an_empty_environment_is_no_error(made):
    folder, request, rows = made(*two_arms())
    text = "\n".join(setup_section(folder, request, rows, {}, None))
    assert "unknown processor, unknown CPUs, no GPU" in text and "- (guide), - (judge)" in text
