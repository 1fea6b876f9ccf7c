"""Faults 8 to 10 of the original experiment: one seed, incomparable totals, a useless search.

A check is a function that asserts. It holds on the code; `caught` runs it on the fault, which a
small twin or a patch puts back, and wants it to fail there.
"""

import math
from contextlib import nullcontext
from dataclasses import replace
from itertools import accumulate
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from optuna.trial import TrialState
from ray.tune.search import Searcher
from scipy import stats

import tune.reporting.training_curves
from ganhtr.train import fit as fit_module
from ganhtr.train import state as state_module
from ganhtr.train.fit import fit
from ganhtr.train.state import build_state
from tests.faults.conftest import epochs_of
from tests.tune.runner.test_trainable import drive, trial_class
from tune.metric import objective_value
from tune.reporting.study_report import write_report
from tune.runner.preparation import plan_of
from tune.searcher.searcher import OptunaSearcher
from tune.space.load import space_from_plain
from tune.space.source import SpaceError
from tune.study.trial_table import best_row, collect

CPU = torch.device("cpu")
OFF = {"contrastive.formulation": "none"}
EXPERIMENT = {
    "budget": {"seeds": 3, "epochs": 3, "steps_per_epoch": 2},
    "fixed": {"contrastive.formulation": "infonce", "contrastive.weight": 5.0},
}
SEARCH = {
    "budget": {"trials": 3},
    "space": {"contrastive.weight": {"float": [0.01, 30], "log": True}},
}


@pytest.fixture(scope="module")
def run(new_study, inputs):
    """run(space, searcher, seed): run a study as Tune and the driver do, but without Ray."""

    def make(plain, searcher=OptunaSearcher, seed=0):
        request, folder = new_study(space_from_plain(plain), seed)
        proposer = searcher(request.space, folder.journal, request.trials, request.seed)
        proposer.open()
        trial, proposals = trial_class(plan_of(request, folder, "score"), inputs), []
        while (proposal := proposer.suggest("now")) != Searcher.FINISHED:
            proposals.append(proposal)
            *running, last = drive(trial(proposal))
            for result in running:
                proposer.on_trial_result("now", result)
            proposer.on_trial_complete("now", last)
        journal = [trial for _, trial in proposer.all_trials()]
        rows = collect(folder, proposer.all_trials())
        write_report(folder, request, rows)
        return SimpleNamespace(
            folder=folder,
            request=request,
            rows=rows,
            journal=journal,
            proposals=proposals,
            report=report_of(folder),
        )

    return make


@pytest.fixture(scope="module")
def experiment(run):
    """OFF and ON, three seeds, three epochs of two steps."""
    return run(EXPERIMENT)


def report_of(folder):
    return (folder.path / "report.md").read_text(encoding="utf-8")


def table_of(report, heading):
    """The rows of a part of a report: first cell -> the other cells."""
    part = report.split(f"### {heading}\n")[1].split("\n### ")[0]
    return {
        row[1].strip(): [word.strip() for word in row[2:-1]]
        for row in (line.split("|") for line in part.splitlines())
        if len(row) > 2
    }


def by_arm(study, figure):
    """A figure of every trial: those of OFF, those of ON, by seed."""
    return [
        [figure(row, epochs_of(study.folder, row.id)) for row in study.rows if row.arm == arm]
        for arm in ("off", "on")
    ]


# --- 8: one seed and one run an arm, so that what was told of the arms may have been the seed's ---


def test_8_the_arms_of_a_seed_start_alike_and_see_the_same_lines(
    bench, pairs, small, same_tensors, monkeypatch, caught
):
    def start(values):
        """First weights of generator and discriminator, and the lines of every step of an epoch."""
        seen, state = (
            [],
            build_state(
                small(**{"train.epochs": 1, **values}), pairs.charset, bench.guide.widths, CPU
            ),
        )
        weights = [
            {name: tensor.clone() for name, tensor in part.state_dict().items()}
            for part in (state.generator, state.discriminator)
        ]

        batches = fit_module.training_batches

        def watched(*arguments):
            for indices, batch in batches(*arguments):
                seen.append(indices.tolist())
                yield indices, batch

        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "training_batches", watched)
            return weights, seen if list(fit(state, bench)) else None

    def check():
        (off, off_lines), (on, on_lines) = start(OFF), start({"contrastive.weight": 5.0})
        assert same_tensors(off, on) and off_lines == on_lines and len(off_lines) == 3

    check()
    for module, name, fault in (
        (state_module, "torch_stream", lambda *_: nullcontext()),
        (
            fit_module,
            "step_indices",
            lambda count, size, *_: np.random.default_rng().permutation(count)[:size],
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fault)
            caught(check)


def test_8_an_experiment_runs_both_arms_for_several_seeds_and_tells_paired_differences(
    experiment, caught
):
    assert [(row.arm, row.values["train.seed"]) for row in experiment.rows] == [
        (arm, seed) for arm in ("off", "on") for seed in range(3)
    ]
    off, on = by_arm(
        experiment, lambda row, epochs: epochs[row.best_epoch - 1]["validation"]["psnr"]
    )
    interval = stats.ttest_rel(on, off).confidence_interval(0.95)

    def check(report):
        row = table_of(report, "Summary")["PSNR, dB"]
        assert (
            row[3] == f"{np.mean(on) - np.mean(off):+.3f}"
            and row[-1] == f"{interval.low:+.3f} to {interval.high:+.3f}"
        )
        assert ", 3 seeds); the interval" in report.split("### Conclusion")[1]

    check(experiment.report)
    write_report(experiment.folder, experiment.request, experiment.rows, (["off-000"], ["on-000"]))
    one_run = report_of(experiment.folder)
    assert "One seed cannot tell" in one_run and "95 % interval" not in one_run
    caught(check, one_run)


# --- 9: a total that holds the added term was compared with one that does not ---


def test_9_the_total_is_the_sum_of_its_weighted_parts(experiment, caught):
    weights = {"pixel": 200.0, "feature": 5.0, "ctc": 1.0, "adversarial": 3.0, "contrastive": 5.0}

    def check(losses):
        parts = [
            weights[name] * np.array(values) for name, values in losses.items() if name in weights
        ]
        assert losses["total"] == pytest.approx(np.sum(parts, axis=0), rel=1e-5)

    for row in experiment.rows:
        for losses in (epoch["losses"] for epoch in epochs_of(experiment.folder, row.id)):
            check(losses)
            assert ("contrastive" in losses) == (row.arm == "on")
    caught(
        check, {**losses, "total": np.array(losses["total"]) - 5 * np.array(losses["contrastive"])}
    )  # the added term left out


def test_9_components_are_compared_one_by_one(experiment, monkeypatch, caught):
    titles = {
        "pixel (L1)": "pixel",
        "recognition feature": "feature",
        "CTC, nats a line": "ctc",
        "contrastive": "contrastive",
        "adversarial (generator)": "adversarial",
        "total": "total",
    }
    without = "total without the contrastive term"
    last = by_arm(experiment, lambda _, epochs: epochs[-1]["training_losses"])

    def check():
        write_report(experiment.folder, experiment.request, experiment.rows)
        rows = table_of(report_of(experiment.folder), "Loss components at the end")
        assert {*titles, without} <= rows.keys()
        for title, name in titles.items():
            means = [np.mean([losses.get(name, math.nan) for losses in arm]) for arm in last]
            assert rows[title][:2] == [
                "-" if math.isnan(value) else f"{value:#.4g}" for value in means
            ]
        (off, on), (off_total, on_total) = (
            map(float, rows[title][:2]) for title in (without, "total")
        )
        assert off == off_total and on < on_total
        assert (
            "not comparable"
            in report_of(experiment.folder)
            .split("### Loss components at the end")[1]
            .split("###")[0]
        )

    check()
    monkeypatch.setattr(tune.reporting.training_curves, "components", lambda pair: ["total"])
    caught(check)


# --- 10: of forty trials none was complete, the pruner got no report, and a failed trial won ---


class Deaf(OptunaSearcher):
    """The faulty searcher: hears of no epoch."""

    def on_trial_result(self, trial_id, result):
        pass


def test_10_the_search_hears_every_epoch_of_its_own_trials(experiment, run, caught):
    def check(study, name_of=lambda row: row.id):
        for trial, row in zip(study.journal, study.rows, strict=True):
            values = [
                objective_value("score", epoch["validation"])
                for epoch in epochs_of(study.folder, name_of(row))
            ]
            assert trial.state == TrialState.COMPLETE and trial.value == max(values) == row.value
            assert trial.intermediate_values == dict(enumerate(accumulate(values, max), start=1)), (
                "the last one too"
            )
            assert len(values) == study.request.space.budget.epochs

    check(experiment)
    caught(check, experiment, lambda _: "off-000")  # metrics of another run
    caught(
        check, run({**EXPERIMENT, "budget": {"seeds": 1, "epochs": 2, "steps_per_epoch": 1}}, Deaf)
    )


def test_10_only_a_finished_trial_can_win(experiment, caught):
    good = replace(experiment.rows[0], value=-40.0)
    failed, pruned = (
        replace(good, id=status, status=status, value=99.0) for status in ("failed", "pruned")
    )

    def check(best):
        assert best([failed, good, pruned]) is good

    check(best_row)
    caught(check, lambda rows: max(rows, key=lambda row: row.value))


def test_10_a_search_without_a_finished_trial_has_no_best(run, caught):
    too_large = {"train.batch_size": {"choice": [400, 500]}}  # for ten training lines
    failed = run(
        {
            **SEARCH,
            "baseline": {**OFF, "train.batch_size": 400},
            "space": {**SEARCH["space"], **too_large},
        }
    )

    def check(best):
        assert best(failed.rows) is None

    assert [row.status for row in failed.rows] == ["failed"] * 3 and {
        trial.state for trial in failed.journal
    } == {TrialState.FAIL}
    assert "3 trials failed and cannot win" in failed.report
    check(best_row)
    caught(check, lambda rows: max(rows, key=lambda row: row.value or -math.inf))


def test_10_a_search_has_one_seed(run, caught):
    searched = run({**SEARCH, "budget": {"trials": 3, "epochs": 1, "steps_per_epoch": 1}}, seed=7)

    def check(seeds):
        assert seeds == [7, 7, 7]

    check(
        [
            searched.folder.read_json(f"trials/{row.id}/config.json")["config"]["train.seed"]
            for row in searched.rows
        ]
    )
    caught(check, [7 + number for number in range(3)])
    with pytest.raises(SpaceError, match="train.seed: can only be set under fixed"):
        space_from_plain({"space": {"train.seed": {"int": [0, 9]}}})
