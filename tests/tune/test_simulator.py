"""Tests of the benchmark simulator: it replays trained curves and drives searchers as Ray does."""

import gzip
import inspect
import math
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tune.runner.trainable import GanHtrTrial
from tune.searcher.searcher import OptunaSearcher

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from landscapes import NUMBERS, TABLE, Curves, Synthetic, score
from rivals import Random, StockRay, flat
from simulator import Run, SimulatedTrial, Trace, replay

POINT = {
    "train.generator_lr": 0.032,
    "contrastive.weight": 100.0,
    "loss.pixel": 10_000.0,
    "generator.bn_momentum": 0.1,
}


@pytest.fixture(scope="module")
def curves():
    return Curves()


@pytest.fixture
def ours(tmp_path):
    """Builds the project's searcher for a space."""

    def build(space, trials=100, seed=0):
        searcher = OptunaSearcher(space, tmp_path / "study.journal", trials, seed)
        searcher.open()
        return searcher

    return build


def plain(*psnr):
    """Epochs of a run whose score is its PSNR."""
    return [{"psnr": float(value), "ssim": 0.0, "cer": 0.0, "judge_cer": 0.0} for value in psnr]


class Line:
    """A landscape of five epochs whose value is the distance of the weight from 2.

    It is the same for every seed. With a weight above 5 a run diverges in epoch 3.
    """

    epochs, best = 5, 0.0

    def truth(self, values):
        return -abs(values["contrastive.weight"] - 2)

    def run(self, values, seed):
        return plain(*(self.truth(values) - 5 + epoch for epoch in range(1, 6)))[
            : 2 if values["contrastive.weight"] > 5 else 5
        ]


class Asked:
    """Proposes what it is given, then nothing; notes every call."""

    def __init__(self, *weights, stop_at=None):
        self.left, self.stop_at, self.calls = list(weights), stop_at, []

    def suggest(self, name):
        weight = self.left.pop(0) if self.left else None
        self.calls.append(("suggest", name, weight))
        return None if weight is None else {"values": {"contrastive.weight": weight}}

    def should_stop(self, name, result):
        self.calls.append(("asked", name, result["epoch"]))
        return result["epoch"] == self.stop_at

    def on_trial_complete(self, name, result):
        self.calls.append(("ended", name, result["epoch"], result["status"]))


# --- the table ---


def test_the_table_is_whole(curves):
    assert len(curves.runs) == 240 and curves.epochs == 18
    assert all(len(seeds) == 4 for seeds in curves.runs.values())
    assert sum(worth >= curves.top for worth in curves.worth.values()) == 3  # 1 % of 240


def test_a_run_is_the_tables(curves):
    """A second reading of one configuration, by hand."""
    with gzip.open(TABLE, "rt") as file:
        rows = [line.split(",") for line in file if line.startswith("0.032,100.0,10000.0,0.1,")]
    for seed in range(4):
        psnr = [float(row[6]) for row in rows if row[4] == str(seed)]
        assert [metrics["psnr"] for metrics in curves.run(POINT, 4 + seed)] == psnr and len(
            psnr
        ) == 18
    best = [
        max(float(row[6]) - 50 * float(row[8]) for row in rows if row[4] == seed) for seed in "0123"
    ]
    assert (
        curves.truth(POINT) == pytest.approx(sum(best) / 4) and curves.truth(POINT) <= curves.best
    )


@pytest.mark.parametrize(
    "change, same",
    [
        ({"train.generator_lr": 0.0161}, True),
        ({"train.generator_lr": 0.0159}, False),
        ({"train.generator_lr": 0.063}, True),
        ({"contrastive.weight": 32.0}, True),
        ({"contrastive.weight": 31.0}, False),
        ({"contrastive.weight": 310.0}, True),
        ({"contrastive.weight": 320.0}, False),
        ({"loss.pixel": 3100.0}, False),
        ({"generator.bn_momentum": 0.04}, False),
    ],
)
def test_a_value_counts_as_the_nearest_in_the_logarithm(curves, change, same):
    assert (curves.point({**POINT, **change}) == curves.point(POINT)) is same


def test_every_value_of_the_grid_has_its_share_of_the_space(curves):
    """The first and the last value have the same share as their neighbours.

    Half a step beyond each end of the grid belongs to the end.
    """
    low, high = next(
        (p.low, p.high) for p in curves.space().parameters if p.key == "train.generator_lr"
    )
    inner = [math.sqrt(a * b) for a, b in pairwise(curves.grid[0])]
    widths = [math.log(b / a) for a, b in pairwise([low, *inner, high])]
    assert widths == pytest.approx([math.log(4)] * 5)


def test_off_has_nothing_to_search_in_the_table(curves):
    assert not curves.space().off_searches and {p.key for p in curves.space().parameters} == set(
        POINT
    )


def test_a_table_may_have_words_and_parameters_that_not_all_formulations_have(tmp_path):
    head = "train.generator_lr,contrastive.formulation,contrastive.temperature,seed,epoch,"
    rows = [
        f"{rate},{words},0,1,{psnr},0.5,0.1,0.1"
        for rate, more in ((0.01, 0), (0.04, 2))
        for words, psnr in (("frame,0.1", 1 + more), ("frame,0.4", 2 + more), ("ratio,", 9 + more))
    ]
    with gzip.open(tmp_path / "table.csv.gz", "wt") as file:
        file.write("\n".join([head + "psnr,ssim,cer,judge_cer", *rows]) + "\n")
    table = Curves(tmp_path / "table.csv.gz")
    space = table.space()
    rate, formulation, temperature = space.parameters
    assert formulation.choices == ("frame", "ratio") and rate.low == pytest.approx(0.005)
    assert temperature.when == {"contrastive.formulation": ("frame",)}
    values = {"train.generator_lr": 0.019, "contrastive.formulation": "ratio"}
    assert table.point(values) == (0.01, "ratio", None)
    framed = {**values, "contrastive.formulation": "frame", "contrastive.temperature": 0.3}
    assert table.point(framed) == (0.01, "frame", 0.4)
    assert table.run(framed, 3) == [{"psnr": 2.0, "ssim": 0.5, "cer": 0.1, "judge_cer": 0.1}]
    assert table.truth({**values, "train.generator_lr": 0.021}) == table.best == 6.0
    assert {len(space.random_values(number)) for number in range(20)} == {2, 3}


# --- the made-up function ---


def test_nothing_beats_the_known_best():
    land = Synthetic()
    best = {
        "contrastive.formulation": "infonce",
        "head.kind": "mlp",
        **{key: each[2] for key, each in NUMBERS.items()},
    }
    assert land.truth(best) == land.best == 0
    assert all(land.truth(land.space().random_values(n)) < 0 for n in range(200))


def test_a_synthetic_run_rises_and_repeats_with_its_seed_alone():
    land, values = Synthetic(), Synthetic().space().random_values(1)
    run = land.run(values, 3)
    assert len(run) == land.epochs and run == land.run(values, 3) != land.run(values, 4)
    assert abs(score(run[-1]) - land.truth(values)) < 0.6 and score(run[-1]) > score(run[0])


# --- a trial ---


def test_results_have_the_form_of_a_real_trials(curves):
    run = Run(curves.run(POINT, 0), 18)
    results = [run.step() for _ in range(18)]
    assert [r["epoch"] for r in results] == list(range(1, 19)) and [
        r["status"] for r in results
    ] == ["running"] * 17 + ["complete"]
    last = results[-1]
    assert (
        last["best_value"]
        == max(r["value"] for r in results)
        == results[last["best_epoch"] - 1]["value"]
    )
    assert (
        last["best_metrics"] == results[last["best_epoch"] - 1]["metrics"]
        and last["metrics"] == curves.run(POINT, 0)[-1]
    )
    written = set(re.findall(r'"(\w+)": ', inspect.getsource(GanHtrTrial._epoch)))
    assert len(written) > 8 and written - {"peak_accuracy", "peak_memory_mb"} == last.keys()


def test_patience_stops_a_flat_run():
    run = Run(plain(*[1.0] * 30), 30)
    results = [run.step() for _ in range(16)]
    assert [r["status"] for r in results] == ["running"] * 15 + ["stopped"] and results[-1][
        "best_epoch"
    ] == 1


def test_a_run_that_diverged_fails_behind_its_last_epoch():
    run = Run(plain(1.0, 2.0), 5)
    assert [run.step()["status"] for _ in range(3)] == ["running", "running", "failed"]
    assert run.last["epoch"] == 2 and run.last["best_value"] == 2.0


def test_the_trainable_replays_and_takes_on_another_trial(curves):
    class Local(SimulatedTrial):
        def setup(self, config):
            super().setup(config, landscape=curves)

    trial = Local({"id": "on-000", "arm": "on", "values": POINT})
    results = [trial.train() for _ in range(18)]
    assert [r["done"] for r in results] == [False] * 17 + [True] and results[-1][
        "trial"
    ] == "on-000"
    assert [r["metrics"] for r in results] in ([run for run in curves.runs[curves.point(POINT)]])
    assert trial.reset_config(
        {"id": "on-001", "arm": "on", "values": {**POINT, "contrastive.weight": 30.0}}
    )
    assert trial.step()["epoch"] == 1


# --- replay ---


def test_workers_are_asynchronous_and_every_call_comes_as_from_ray():
    searcher = Asked(1.0, 2.0, 3.0)
    trace = replay(searcher, Line(), 100, 0, workers=2)
    assert [call for call in searcher.calls if call[0] == "ended"] == [
        ("ended", n, 5, "complete") for n in "012"
    ]
    assert [call[2] for call in searcher.calls if call[:2] == ("asked", "0")] == [
        1,
        2,
        3,
        4,
    ]  # never of the last epoch
    assert searcher.calls[:5] == [
        ("suggest", "0", 1.0),
        ("suggest", "1", 2.0),
        ("asked", "0", 1),
        ("asked", "1", 1),
        ("asked", "0", 2),
    ]
    assert trace.trials == 3


def test_a_stop_frees_the_worker_and_the_budget_ends_the_search():
    searcher = Asked(*[4.0] * 50, stop_at=2)
    trace = replay(searcher, Line(), 20, 0, workers=1)
    assert (
        trace.trials == 10
        and [call[2:] for call in searcher.calls if call[0] == "ended"] == [(2, "running")] * 10
    )


def test_a_diverged_run_is_reported_as_failed_and_costs_its_epochs():
    searcher = Asked(7.0, 2.0)
    trace = replay(searcher, Line(), 7, 0, workers=1)
    assert ("ended", "0", 2, "failed") in searcher.calls and (
        "ended",
        "1",
        5,
        "complete",
    ) in searcher.calls
    assert trace.spent[-1] == 7


def test_the_incumbent_is_the_best_seen_and_its_worth_the_true_one():
    trace = Trace()
    for spent, name, seen, truth in (
        (1, "a", 1.0, 0.5),
        (2, "b", 3.0, 0.2),
        (3, "a", 2.0, 0.5),
        (4, "c", 2.5, 0.9),
        (5, "d", 0.1, 5.0),
    ):
        trace.note(spent, name, seen, truth)
    assert [trace.at(n) for n in (0, 1, 2, 3, 4, 5)] == [-math.inf, 0.5, 0.2, 0.2, 0.2, 0.2]
    assert trace.first(0.5) == 1 and trace.first(0.9) == math.inf
    assert trace.first(0.9, shortlist=True) == 4 and trace.first(5.0, shortlist=True) == math.inf


def test_our_searcher_gets_every_report_and_off_costs_nothing(ours):
    searcher = ours(Synthetic().space(trials=12, warmup=2), 12)
    trace = replay(searcher, Synthetic(), 10**6, 0)
    trials = list(searcher.all_trials())
    assert [arm for arm, _ in trials] == ["off"] + ["on"] * 11 and trace.trials == 11
    assert searcher.remaining == 0 and searcher.suggest("more") == Searcher.FINISHED
    assert {trial.state for _, trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(
        len(trial.intermediate_values) == 9
        for arm, trial in trials
        if arm == "on" and trial.state == TrialState.COMPLETE
    )


def test_a_trials_seed_is_drawn_for_each_replay(curves, tmp_path):
    """The lucky seed of one search is not that of another."""

    class Seeds(Curves):
        def run(self, values, seed):
            drawn.append(seed)
            return super().run(values, seed)

    seeds = []
    for seed in (0, 0, 1):
        drawn = []
        replay(Random(curves.space(), 0), Seeds(), 90, seed)
        seeds.append(drawn)
    assert seeds[0] == seeds[1] != seeds[2] and len({each % 2 for each in seeds[0]}) == 2


def test_a_search_on_the_table_is_the_same_again(curves):
    traces = [replay(StockRay(curves.space(), 5), curves, 150, 5) for _ in range(2)]
    assert traces[0] == traces[1] and traces[0].trials > 9


def test_nested_values_are_flattened():
    assert flat({"head": {"kind": "mlp"}, "train": {"generator_lr": 1.0}}) == {
        "head.kind": "mlp",
        "train.generator_lr": 1.0,
    }
