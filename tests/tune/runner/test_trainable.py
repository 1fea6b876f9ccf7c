"""The trainable without Ray: epochs, folder, patience, failure, resume, reuse."""

import gc
import json
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

import tune.runner.trainable
from ganhtr.train.evaluate import by_generator, evaluate
from ganhtr.train.fit import Bench
from ganhtr.train.model_folder import read_generator
from tune.runner.preparation import plan_of
from tune.runner.trainable import GanHtrTrial

CPU = torch.device("cpu")


def trial_class(plan, inputs, script=None):
    """The real trainable on these inputs; `script` replaces the objective value of each epoch."""

    class Trial(GanHtrTrial):
        def setup(self, config):
            super().setup(config, plan, inputs)

        def value_of(self, metrics):
            return super().value_of(metrics) if script is None else script[self.state.epoch - 1]

    return Trial


def config_of(name="on-000", **values):
    return {"id": name, "arm": "on", "proposed_by": "test", "values": values}


def drive(trial, epochs=1000):
    """Results up to the end, or for some epochs."""
    results = []
    while len(results) < epochs:
        results.append(trial.train())
        if results[-1]["done"]:
            break
    return results


def metrics_of(folder, name="on-000"):
    return json.loads(
        (folder.path / "trials" / name / "metrics/training_metrics_fp32.json").read_text()
    )


def weights(folder, name="on-000"):
    checkpoint = torch.load(folder.path / "trials" / name / "last.pt", weights_only=True)
    return {
        f"{part}.{key}": tensor
        for part, state in checkpoint["modules"].items()
        for key, tensor in state.items()
    }


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


PLATEAU = [1.0, 2.0, 3.0, *[3.005] * 40]


def test_a_scripted_plateau_stops_after_fifteen_epochs(study, inputs):
    folder, request = study(epochs=40)
    results = drive(trial_class(plan_of(request, folder, "score"), inputs, PLATEAU)(config_of()))
    last = results[-1]
    assert (
        len(results) == 18
        and last["status"] == "stopped"
        and (last["best_epoch"], last["best_value"]) == (3, 3.0)
    )
    metrics = metrics_of(folder)
    assert (
        metrics["early_stopped"]
        and metrics["final_patience_counter"] == 15
        and metrics["total_epochs_completed"] == 18
    )


@pytest.mark.parametrize("cuts", [[5], [3, 10, 17]])
def test_patience_survives_restarts(study, inputs, cuts):
    folder, request = study(epochs=40)
    make = trial_class(plan_of(request, folder, "score"), inputs, PLATEAU)
    done = 0
    for cut in cuts:
        drive(make(config_of()), cut - done)
        done = cut
    results = drive(make(config_of()))
    assert (
        results[-1]["epoch"] == 18
        and results[-1]["status"] == "stopped"
        and len(metrics_of(folder)["epochs"]) == 18
    )


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_kept_weights_are_measured_on_all_lines(study, inputs, schedule):
    """With a schedule that ends, the last epoch counts; else the best of the epochs."""
    folder, request = study(
        epochs=4, **{"data.epoch_lines": 2, "train.schedule": schedule, "train.ema": 0.5}
    )
    plan = plan_of(request, folder, "psnr")
    results = drive(trial_class(plan, inputs)(config_of()))
    best = max(results, key=lambda result: result["value"])["epoch"]
    last = results[-1]
    assert last["best_epoch"] == (4 if schedule == "cosine" else best)
    kept = read_generator(folder.path / "trials/on-000/best.safetensors", plan.config, CPU)
    bench = Bench.of(inputs, CPU)
    all_lines = evaluate(by_generator(kept), bench.validation, bench.guide, bench.judge).metrics()
    assert last["best_value"] == last["best_metrics"]["psnr"] == all_lines["psnr"]
    assert all(last["best_metrics"][name] == value for name, value in all_lines.items())
    assert results[0]["best_value"] == results[0]["value"] != last["best_value"]


def test_a_trial_ends_with_its_retrieval_on_search_validation_lines(study, inputs):
    folder, request = study(epochs=2)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    *earlier, last = drive(make(config_of()))
    names = {"validation_top1", "clean_top1"}
    assert names <= set(last["metrics"]) and all(0 <= last["metrics"][name] <= 1 for name in names)
    assert not any(names & set(result["metrics"]) for result in earlier)
    *_, off = drive(make(config_of("off-000", **{"contrastive.formulation": "none"})))
    assert not names & set(off["metrics"])


def test_a_trial_cut_and_set_up_again_ends_with_the_same_bits(study, inputs):
    whole, request = study("whole", epochs=4)
    drive(trial_class(plan_of(request, whole, "score"), inputs)(config_of()))
    cut, request = study("cut", epochs=4)
    make = trial_class(plan_of(request, cut, "score"), inputs)
    drive(make(config_of()), 2)
    drive(make(config_of()))
    assert same(weights(whole), weights(cut))
    first, second = metrics_of(whole), metrics_of(cut)
    assert [e["losses"] for e in first["epochs"]] == [e["losses"] for e in second["epochs"]]
    assert [e["validation"] for e in first["epochs"]] == [e["validation"] for e in second["epochs"]]


def test_an_epoch_written_without_its_checkpoint_is_done_again(study, inputs):
    folder, request = study(epochs=4)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    trial = make(config_of())
    drive(trial, 2)
    kept = (folder.path / "trials/on-000/last.pt").read_bytes()
    drive(trial, 1)
    (folder.path / "trials/on-000/last.pt").write_bytes(
        kept
    )  # as if killed between the metrics and the checkpoint
    results = drive(make(config_of()))
    assert [r["epoch"] for r in results] == [2, 3, 4], (
        "what the checkpoint holds is told once more: the search may not have heard of it"
    )
    assert [e["epoch"] for e in metrics_of(folder)["epochs"]] == [1, 2, 3, 4]


def test_a_trial_that_had_ended_says_so_again_and_trains_nothing(study, inputs):
    folder, request = study(epochs=2)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    ended = drive(make(config_of()))[-1]
    before = weights(folder)
    again = make(config_of()).train()
    assert (
        again["done"]
        and again["status"] == ended["status"] == "complete"
        and again["best_value"] == ended["best_value"]
    )
    assert same(before, weights(folder))


def test_a_reused_worker_trains_as_a_fresh_one(study, inputs):
    folder, request = study("fresh")
    make = trial_class(plan_of(request, folder, "score"), inputs)
    drive(make(config_of("on-001", **{"head.kind": "linear"})))
    reused, request = study("reused")
    trial = trial_class(plan_of(request, reused, "score"), inputs)(
        config_of("on-000", **{"contrastive.weight": 30.0})
    )
    drive(trial)
    assert trial.reset(config_of("on-001", **{"head.kind": "linear"}))
    results = drive(trial)
    assert [r["epoch"] for r in results] == [1, 2, 3] and same(
        weights(folder, "on-001"), weights(reused, "on-001")
    )


def test_a_trial_is_released_before_the_next_is_built(study, inputs, monkeypatch):
    """Two trials at once may not fit into the memory of a device."""
    folder, request = study(epochs=2)
    trial = trial_class(plan_of(request, folder, "score"), inputs)(config_of("on-000"))
    trial.train()
    before = weakref.ref(trial.state.generator)
    build = tune.runner.trainable.build_state

    def build_next(*arguments):
        gc.collect()
        assert before() is None
        return build(*arguments)

    monkeypatch.setattr(tune.runner.trainable, "build_state", build_next)
    assert trial.reset_config(config_of("on-001")) and trial.error is None
    assert [result["status"] for result in drive(trial)] == ["running", "complete"]


def test_a_diverging_trial_fails_alone_and_keeps_why(study, inputs):
    folder, request = study()
    trial = trial_class(plan_of(request, folder, "score"), inputs)(config_of())
    drive(trial, 1)
    with torch.no_grad():
        next(trial.state.generator.parameters()).fill_(math.nan)
    last = drive(trial)[-1]
    assert (
        last["status"] == "failed"
        and last["done"]
        and "Diverged" in last["error"]
        and "epoch 2" in last["error"]
    )
    assert "diverged" in (folder.path / "trials/on-000/traceback.txt").read_text()
    assert trial.reset(config_of("on-001")) and drive(trial)[-1]["status"] == "complete"


@pytest.mark.parametrize(
    "values, words",
    [({"train.batch_size": 400}, "train.batch_size"), ({"head.kind": "deep"}, "head.kind")],
)
def test_a_trial_that_cannot_be_built_fails_alone(study, inputs, values, words):
    folder, request = study()
    trial = trial_class(plan_of(request, folder, "score"), inputs)(config_of(**values))
    last = drive(trial)[-1]
    assert (
        last["status"] == "failed"
        and words in last["error"]
        and (folder.path / "trials/on-000/traceback.txt").exists()
    )
    assert trial.reset(config_of("on-001")) and drive(trial)[-1]["status"] == "complete"


def test_a_damaged_checkpoint_fails_the_trial_and_names_the_file(study, inputs):
    folder, request = study()
    make = trial_class(plan_of(request, folder, "score"), inputs)
    drive(make(config_of()), 1)
    (folder.path / "trials/on-000/last.pt").write_bytes(b"nothing of the kind")
    last = drive(make(config_of()))[-1]
    assert last["status"] == "failed" and "last.pt" in last["error"]


def test_what_a_trial_folder_holds(study, inputs):
    folder, request = study(epochs=6)
    drive(trial_class(plan_of(request, folder, "score"), inputs)(config_of()))
    path = folder.path / "trials/on-000"
    metrics = metrics_of(folder)
    epoch = metrics["epochs"][0]
    assert len(epoch["losses"]["pixel"]) == 2
    assert metrics["best_val_psnr"] == max(e["validation"]["psnr"] for e in metrics["epochs"])
    assert (path / "samples/comparison_epoch_0005_sample_0.png").exists() and (
        path / "samples/epoch_0006_sample_3.png"
    ).exists()
    lines = np.load(path / "lines/epoch_0001.npz")
    assert len(lines["psnr"]) == len(inputs.pairs.validation) and lines[
        "psnr"
    ].mean() == pytest.approx(epoch["validation"]["psnr"])
    assert lines["judge_char_edits"].sum() / lines["judge_char_lengths"].sum() == pytest.approx(
        epoch["diagnostics"]["judge_cer"]
    )
    last = torch.load(path / "last.pt", weights_only=True)
    assert last["optimizers"] == {} and not list(path.rglob(".*writing"))


@pytest.mark.parametrize("formulation", ["none", "infonce"])
def test_the_metrics_file_has_the_layout_of_the_original(study, inputs, formulation):
    """Key for key and in that order; only `diagnostics` is ours."""
    folder, request = study(epochs=2)
    drive(
        trial_class(plan_of(request, folder, "score"), inputs)(
            config_of(**{"contrastive.formulation": formulation})
        )
    )
    metrics = metrics_of(folder)
    assert list(metrics) == [
        "start_time",
        "hyperparameters",
        "epochs",
        "end_time",
        "best_val_psnr",
        "best_epoch",
        "total_epochs_completed",
        "early_stopped",
        "final_patience_counter",
    ]
    assert [type(value) for value in metrics.values()] == [
        str,
        dict,
        list,
        str,
        float,
        int,
        int,
        bool,
        int,
    ]
    assert (
        metrics["hyperparameters"]["contrastive.formulation"] == formulation
        and metrics["total_epochs_completed"] == 2
    )
    for number, epoch in enumerate(metrics["epochs"], start=1):
        assert list(epoch) == [
            "epoch",
            "phase",
            "current_ctc_weight",
            "losses",
            "training_losses",
            "validation",
            "diagnostics",
            "best_model_saved",
            "patience_counter",
            "epoch_time_seconds",
        ]
        assert (epoch["epoch"], epoch["phase"], epoch["current_ctc_weight"]) == (
            number,
            "train",
            1.0,
        )
        terms = {
            "total",
            "pixel",
            "feature",
            "ctc",
            "adversarial",
            "discriminator",
            *(["contrastive"] if formulation != "none" else []),
        }
        assert set(epoch["losses"]) == terms
        assert all(len(values) == 2 for values in epoch["losses"].values())
        means = dict(epoch["training_losses"])
        assert list(means.pop("gradient_norm")) == [
            "generator_mean",
            "generator_max",
            "discriminator_mean",
        ]
        assert means == {
            name: pytest.approx(np.mean(values)) for name, values in epoch["losses"].items()
        }
        assert list(epoch["validation"]) == ["psnr", "ssim", "cer", "wer"]


def test_the_peak_of_memory_is_that_of_the_hungriest_epoch_also_after_a_restart(study, inputs):
    folder, request = study(epochs=4)
    make = trial_class(plan_of(request, folder, "score"), inputs)

    def hungry(peaks):
        trial = make(config_of())
        trial.epochs = (
            replace(report, peak_memory_mb=peak)
            for report, peak in zip(trial.epochs, peaks, strict=False)
        )
        return trial

    assert [r["peak_memory_mb"] for r in drive(hungry([5.0, 9.0]), 2)] == [5.0, 9.0]
    assert [r["peak_memory_mb"] for r in drive(hungry([7.0, 11.0]))] == [9.0, 9.0, 11.0]
    assert (
        json.loads((folder.path / "trials/on-000/result.json").read_text())["peak_memory_mb"]
        == 11.0
    )
