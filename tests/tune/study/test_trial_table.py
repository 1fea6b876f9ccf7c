"""The rows of a study, trials.csv, and best/ with all that is needed to restore lines."""

import csv
import json
from dataclasses import replace

import optuna
import pytest
import torch
from optuna.trial import TrialState

from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.train.model_folder import load_model
from tests.tune.runner.test_trainable import config_of, drive, trial_class
from tune.runner.preparation import plan_of, write_start
from tune.study.folder import StudyError
from tune.study.trial_table import best_row, collect, write_best, write_csv

CPU = torch.device("cpu")


def frozen(name, **values):
    """A finished trial as the journal has it."""
    proposal = {
        "id": name,
        "arm": name.split("-")[0],
        "proposed_by": "experiment",
        "values": values,
    }
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        user_attrs={"proposal": json.dumps(proposal), "status": "complete"},
    )


@pytest.fixture
def trained(study, inputs):
    """A study with one trial run to its end, and its rows."""
    folder, request = study(epochs=1)
    write_start(folder, inputs, "score", "cpu")
    drive(trial_class(plan_of(request, folder, "score"), inputs)(config_of(**{"train.seed": 5})))
    return folder, collect(folder, [("on", frozen("on-000", **{"train.seed": 5}))])


@pytest.mark.parametrize(
    "peak, row_has, cell", [(0.0, None, ""), (1234.56, 1234.56, "1234.6"), (None, None, "")]
)
def test_memory_stands_in_the_table_where_it_was_measured(trained, peak, row_has, cell):
    folder, _ = trained
    path = folder.path / "trials/on-000/result.json"
    result = json.loads(path.read_text())
    assert result.pop("peak_memory_mb") == 0.0
    path.write_text(
        json.dumps(result if peak is None else {**result, "peak_memory_mb": peak})
    )  # an older version wrote none
    rows = collect(folder, [("on", frozen("on-000"))])
    write_csv(folder, rows)
    (read,) = csv.DictReader((folder.path / "trials.csv").open(encoding="utf-8"))
    assert rows[0].peak_memory_mb == row_has and read["peak_memory_mb"] == cell
    assert (
        float(read["psnr"]) == rows[0].metrics["psnr"]
        and read["seconds"] == f"{rows[0].seconds:.1f}"
    )


def test_a_study_keeps_the_recognizers_that_it_used(trained, inputs):
    folder, _ = trained
    for role, used in (("guide", inputs.guide), ("judge", inputs.judge)):
        kept = RecognizerWeights.load(folder.path / "recognizers" / f"{role}.safetensors")
        assert (kept.config, kept.charset, kept.cer, kept.digest) == (
            used.config,
            used.charset,
            used.cer,
            used.digest,
        )
        assert all((kept.arrays[name] == array).all() for name, array in used.arrays.items())


def test_best_can_be_restored_with_from_the_folder_alone(trained, inputs, tmp_path):
    folder, rows = trained
    write_best(folder, best_row(rows))
    moved = (folder.path / "best").rename(tmp_path / "elsewhere")
    assert sorted(path.name for path in moved.iterdir()) == [
        "config.json",
        "generator.safetensors",
        "guide.safetensors",
    ]
    description = json.loads((moved / "config.json").read_text(encoding="utf-8"))
    assert (
        description["charset"] == inputs.guide.charset
        and description["config"]["train.seed"] == 5
        and description["best_epoch"] == 1
    )
    model = load_model(moved, CPU)
    assert model.charset == inputs.pairs.charset and model.config.train.seed == 5
    image = torch.rand(1, 1, 16, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.recognizer(image)[1], inputs.guide.build(CPU)(image)[1])


def test_best_of_an_older_study_has_no_guide(trained):
    folder, rows = trained
    for role in ("guide", "judge"):
        (folder.path / "recognizers" / f"{role}.safetensors").unlink()
    write_best(folder, best_row(rows))
    assert sorted(path.name for path in (folder.path / "best").iterdir()) == [
        "config.json",
        "generator.safetensors",
    ]


def test_an_older_study_gets_its_recognizers_when_it_goes_on_but_never_others(trained, inputs):
    folder, _ = trained
    guide = folder.path / "recognizers/guide.safetensors"
    before = guide.read_bytes()
    guide.unlink()
    with pytest.raises(StudyError, match="recognizers differ from those the study began with"):
        write_start(
            folder, replace(inputs, guide=replace(inputs.guide, digest="another")), "score", "cpu"
        )
    assert not guide.exists()
    write_start(folder, inputs, "score", "cpu")
    assert guide.read_bytes() == before


def test_the_seed_of_a_proposal_is_the_seed_of_its_trial(study, inputs):
    """The values of an experiment reach the training.

    Other seeds give other weights; OFF and ON with one seed start from the same weights.
    """
    folder, request = study(epochs=1)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    off = {"contrastive.formulation": "none"}
    first = {
        name: next(make(config_of(name, **values)).state.generator.parameters())
        for name, values in (
            ("off-000", {"train.seed": 0, **off}),
            ("on-000", {"train.seed": 0}),
            ("off-001", {"train.seed": 1, **off}),
        )
    }
    assert torch.equal(first["off-000"], first["on-000"]) and not torch.equal(
        first["off-000"], first["off-001"]
    )
    assert (
        json.loads((folder.path / "trials/off-001/config.json").read_text())["config"]["train.seed"]
        == 1
    )
