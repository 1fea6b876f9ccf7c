"""The metrics file has the layout of the original experiment's."""

import io
import json

import pytest

from tests.tune.made_study import Made
from tune.runner.single import run_single

TOP = {
    "start_time",
    "hyperparameters",
    "epochs",
    "end_time",
    "best_val_psnr",
    "best_epoch",
    "total_epochs_completed",
    "early_stopped",
    "final_patience_counter",
}
EPOCH = {
    "epoch",
    "phase",
    "current_ctc_weight",
    "losses",
    "training_losses",
    "validation",
    "best_model_saved",
    "patience_counter",
    "epoch_time_seconds",
}
OURS = {"diagnostics"}
PARTS = {"total", "pixel", "feature", "ctc", "adversarial", "discriminator"}


@pytest.fixture(params=["none", "infonce"])
def written(request, study, inputs):
    """The metrics file of a single trial of three epochs of two steps, OFF and ON."""
    folder, asked = study(epochs=3, **{"contrastive.formulation": request.param})
    result = run_single(folder, asked, inputs.pairs, io.StringIO())
    assert result["status"] == "complete", result
    return json.loads(
        (folder.path / "trials/single/metrics/training_metrics_fp32.json").read_text()
    ), request.param == "infonce"


def test_the_layout(written):
    metrics, on = written
    parts = PARTS | ({"contrastive"} if on else set())
    assert metrics.keys() == TOP
    assert (
        metrics["hyperparameters"]["loss.pixel"] == 200
        and metrics["hyperparameters"]["train.seed"] == 0
    )
    assert (
        metrics["start_time"]
        and metrics["end_time"]
        and metrics["total_epochs_completed"] == 3 == len(metrics["epochs"])
    )
    assert metrics["early_stopped"] is False and 1 <= metrics["best_epoch"] <= 3
    assert metrics["best_val_psnr"] == max(
        entry["validation"]["psnr"] for entry in metrics["epochs"]
    )
    for number, entry in enumerate(metrics["epochs"], start=1):
        assert (
            entry.keys() == EPOCH | OURS
            and entry["epoch"] == number
            and entry["current_ctc_weight"] == 1
        )
        assert entry["losses"].keys() == parts and all(
            len(values) == 2 for values in entry["losses"].values()
        )
        assert entry["training_losses"].keys() == parts | {"gradient_norm"}
        assert entry["training_losses"]["gradient_norm"].keys() == {
            "generator_mean",
            "generator_max",
            "discriminator_mean",
        }
        assert entry["validation"].keys() == {"psnr", "ssim", "cer", "wer"}
        for name in parts:
            assert entry["training_losses"][name] == pytest.approx(sum(entry["losses"][name]) / 2)
        weights = {
            "pixel": 200,
            "feature": 5,
            "ctc": 1,
            "adversarial": 3,
            "contrastive": metrics["hyperparameters"]["contrastive.weight"],
        }
        assert entry["training_losses"]["total"] == pytest.approx(
            sum(
                weight * entry["training_losses"][name]
                for name, weight in weights.items()
                if name in parts
            ),
            rel=1e-4,
        )


def test_the_made_study_of_these_tests_has_it_too(written):
    """What the report's tests read is what a trial writes."""
    metrics, on = written
    real, made = metrics["epochs"][0], Made("on-000" if on else "off-000", 0).entry(0)
    for part in (
        lambda entry: entry,
        lambda entry: entry["losses"],
        lambda entry: entry["training_losses"],
        lambda entry: entry["training_losses"]["gradient_norm"],
        lambda entry: entry["validation"],
    ):
        assert part(real).keys() == part(made).keys()
    assert made["diagnostics"].keys() <= real["diagnostics"].keys()
    assert len(real["diagnostics"]["steps"]["generator_norm"]) == 2
