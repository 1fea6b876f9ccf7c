"""Tests of the confirmation and the verdict, with real trials and without Ray.

They check which candidates run with which seeds, which one is chosen, and what is measured on
the test lines.
"""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ganhtr.train.rehearsal import random_lines
from tune.runner.confirmation import CHOOSING_SEEDS, Candidate, Confirmation, candidates
from tune.runner.trainable import TrialPlan, local_trial
from tune.study.trial_folder import METRICS_FILE
from tune.study.trial_table import Row

OFF_VALUES = {"contrastive.formulation": "none"}


def row(name, value, status="complete", feasible=True, **values):
    return Row(
        name,
        name.split("-")[0],
        "test",
        status,
        value,
        1,
        3,
        1.0,
        {},
        {},
        values,
        None,
        None,
        feasible=feasible,
    )


class InProcess:
    """Runs what a searcher proposes, here and now; `cut` of them at most."""

    def __init__(self, plan, inputs, cut=10**6):
        self.plan, self.inputs, self.cut, self.ran, self.notes = plan, inputs, cut, [], []

    def __call__(self, searcher, total, note):
        self.notes.append(note)
        while searcher.remaining:
            if len(self.ran) >= self.cut:
                return False
            proposal = searcher.suggest("x")
            self.ran.append(proposal)
            trial = local_trial(proposal, self.plan, self.inputs)
            while not trial.train()["done"]:
                pass
        return True


@pytest.fixture
def work(study, inputs):
    """work(cut): a confirmation of a study of three epochs."""
    folder, request = study()
    plan = TrialPlan(request.config(), "score", 15, 0.01, folder.path, 1, "cpu")

    def make(cut=10**6):
        messages = []
        return Confirmation(
            folder, request.space, plan, inputs, 0, InProcess(plan, inputs, cut), messages.append
        ), messages

    return make


@pytest.fixture
def unseen(request_of):
    return random_lines(request_of().config(), 7)


FOUND = {
    "off": [Candidate("off-000", "off", OFF_VALUES, -30.0)],
    "on": [
        Candidate("on-002", "on", {"contrastive.weight": 1.0}, -29.0),
        Candidate("on-001", "on", {"contrastive.weight": 25.0}, -29.5),
    ],
}


def test_candidates_are_the_best_that_can_win_each_configuration_once(space):
    rows = [
        row("off-000", 1.0, **OFF_VALUES),
        row("on-000", 9.0, "pruned", a=0),
        row("on-001", 8.0, feasible=False, a=1),
        row("on-002", 3.0, a=2),
        row("on-003", 7.0, a=3),
        row("on-004", 5.0, a=3, **{"train.seed": 4}),
        row("on-005", 4.0, a=5),
    ]
    by_arm = candidates(space, rows, 2)
    assert [each.id for each in by_arm["on"]] == ["on-003", "on-005"] and [
        each.id for each in by_arm["off"]
    ] == ["off-000"]
    assert by_arm["on"][0].values == {"a": 3} and by_arm["on"][0].search_value == 7.0


def test_seeds_of_search_choice_and_judgement_are_disjoint_and_common_to_the_arms(work, unseen):
    confirmation, _ = work()
    chosen = confirmation.choose(FOUND)
    asked = confirmation.run.ran
    choosing = {run["values"]["train.seed"] for run in asked}
    assert len(asked) == 2 * CHOOSING_SEEDS and {run["arm"] for run in asked} == {"on"}, (
        "OFF has nothing to choose from"
    )
    confirmation.judge(chosen, 2, False, lambda: unseen)
    judging = [(run["arm"], run["values"]["train.seed"]) for run in asked[2 * CHOOSING_SEEDS :]]
    seeds = {seed for _, seed in judging}
    assert (
        sorted(judging) == sorted((arm, seed) for arm in ("off", "on") for seed in seeds)
        and len(seeds) == 2
    )
    assert not choosing & seeds and 0 not in choosing | seeds


def test_the_one_with_the_best_mean_over_the_fresh_seeds_is_chosen(work):
    confirmation, _ = work()
    chosen = confirmation.choose(FOUND)
    choice = json.loads((confirmation.path / "choice.json").read_text())
    means = {each["id"]: each["mean"] for each in choice["arms"]["on"]}
    trials = {each["id"]: list(each["values_by_seed"].values()) for each in choice["arms"]["on"]}
    assert (
        chosen["on"].id == choice["chosen"]["on"] == max(means, key=means.get)
        and chosen["off"].id == "off-000"
    )
    for name, values in trials.items():
        runs = [confirmation.path / "trials" / f"{name}-s{seed}" for seed in choice["seeds"]]
        recorded = [json.loads((run / "result.json").read_text())["best_value"] for run in runs]
        assert (
            values == recorded
            and means[name] == pytest.approx(np.mean(recorded))
            and len(set(recorded)) == 3
        )


def test_a_candidate_that_fails_with_a_seed_ranks_last(work):
    confirmation, _ = work()
    broken = Candidate("on-003", "on", {"head.kind": "nonsense"}, 99.0)  # its runs cannot be built
    chosen = confirmation.choose({**FOUND, "on": [broken, *FOUND["on"]]})
    assert chosen["on"].id != "on-003"


def test_the_lines_measured_are_those_of_the_chosen_epoch(work, unseen, inputs):
    """Corpus values of lines.csv equal an evaluation of the best weights on the same lines."""
    import torch

    from ganhtr.data.batches import LineBatches
    from ganhtr.train.evaluate import by_generator, evaluate
    from ganhtr.train.model_folder import read_generator

    confirmation, messages = work()
    chosen = {arm: side[0] for arm, side in FOUND.items()}
    confirmation.judge(chosen, 1, False, lambda: unseen)
    rows = list(csv.DictReader((confirmation.path / "lines.csv").read_text().splitlines()))
    device = torch.device("cpu")
    for arm, seed in {(each["arm"], each["seed"]) for each in rows}:
        run = chosen[arm].run(int(seed))
        config = confirmation.plan.config.replace(run.values)
        best = read_generator(
            confirmation.path / "trials" / run.id / "best.safetensors", config, device
        )
        figures = evaluate(
            by_generator(best),
            LineBatches(unseen, inputs.pairs.charset, device),
            inputs.guide.build(device),
            inputs.judge.build(device),
        ).metrics()
        for metric in ("psnr", "ssim", "judge_cer", "judge_wer"):
            pairs = [
                (float(each["value"]), float(each["weight"]))
                for each in rows
                if (each["arm"], each["metric"]) == (arm, metric)
            ]
            values, weights = np.array(pairs).T
            assert len(pairs) == 7
            assert np.average(values, weights=weights) == pytest.approx(figures[metric], rel=1e-6)
    assert "opens the 7 test lines for the first time" in messages[0]


def test_every_opening_is_written_down_before_the_lines_are_opened(work, unseen):
    confirmation, _ = work()
    chosen = {arm: side[0] for arm, side in FOUND.items()}
    confirmation.judge(chosen, 1, False, lambda: unseen)
    confirmation.judge(chosen, 2, True, lambda: unseen)
    openings = json.loads((confirmation.path / "openings.json").read_text())["openings"]
    assert [(each["runs"], each["lines"]) for each in openings] == [
        (2, 7),
        (6, 7),
    ] and "shuffled" in openings[1]["why"]


def test_interrupted_it_goes_on_where_it_was_and_opens_nothing_before(work, unseen):
    first, _ = work(cut=3)
    assert first.choose(FOUND) is None and not (first.path / "choice.json").exists()
    second, _ = work(cut=4)
    chosen = second.choose(FOUND)
    assert chosen is not None and len(second.run.ran) == 2 * CHOOSING_SEEDS - 3
    assert (
        second.judge(chosen, 3, False, lambda: pytest.fail("the test lines were opened too early"))
        is None
    )
    third, _ = work()
    assert third.choose(FOUND) == chosen
    assert third.judge(chosen, 3, False, lambda: unseen) is not None and len(third.run.ran) == 5


def test_a_run_that_fails_counts_in_every_metric(work, unseen):
    confirmation, _ = work()
    chosen = {
        "off": FOUND["off"][0],
        "on": Candidate("on-009", "on", {"head.kind": "nonsense"}, 1.0),
    }
    values = confirmation.judge(chosen, 1, False, lambda: unseen)
    lost = [value for value in values if value.arm == "on"]
    metrics = {"score", "psnr", "ssim", "judge_cer", "judge_wer"}
    assert {value.metric for value in lost} == metrics and all(
        np.isnan(value.value) for value in lost
    )
    assert json.loads((confirmation.path / "judged.json").read_text())["on"] == {"2000": None}


def test_the_shuffled_arm_is_the_chosen_one_with_other_texts(work, unseen):
    confirmation, _ = work()
    chosen = {arm: side[0] for arm, side in FOUND.items()}
    confirmation.judge(chosen, 1, True, lambda: unseen)
    runs = {run["arm"]: run["values"] for run in confirmation.run.ran}
    assert runs["shuffled"] == {**runs["on"], "contrastive.shuffled": True}


def test_off_is_chosen_too_where_it_searches(request_of):
    space = replace(request_of().space)
    rows = [row("off-000", 1.0, **OFF_VALUES), row("off-001", 2.0, a=1), row("on-000", 3.0, a=2)]
    assert [each.id for each in candidates(space, rows, 3)["off"]] == ["off-001"]


def times(confirmation, name, pretraining, *seconds):
    """A trial of the search whose epochs took these times."""
    path = confirmation.folder.path / "trials" / name / METRICS_FILE
    path.parent.mkdir(parents=True)
    entries = [
        {"diagnostics": {"seconds": each, "pretraining_seconds": pretraining}} for each in seconds
    ]
    path.write_text(json.dumps({"epochs": entries}))


def test_off_may_have_the_time_of_on(work, unseen):
    """In the search an epoch of ON took 1.5 times as long as one of OFF."""
    confirmation, messages = work()
    space = confirmation.space
    by_arm = {"off": FOUND["off"], "on": FOUND["on"][:1]}
    times(confirmation, "off-000", 0.0, 9.0, 2.0, 2.0)
    times(confirmation, "on-002", 2.0, 9.0, 3.0, 3.0)
    assert confirmation.choose(by_arm)["off"] == FOUND["off"][0], "steps are matched by default"
    confirmation.space = replace(space, budget=replace(space.budget, match="seconds"))
    chosen = confirmation.choose(by_arm)
    assert confirmation.plan.config.train.epochs == 3, "11 seconds of ON are 5.5 epochs of OFF"
    assert chosen["off"].values == {**OFF_VALUES, "train.epochs": 6}
    assert chosen["on"] == FOUND["on"][0] and "OFF trains for 6 epochs" in messages[-1]
    choice = json.loads((confirmation.path / "choice.json").read_text())
    assert choice["off_epochs"] == 6 and choice["chosen"]["off"] == "off-000"
    confirmation.judge(chosen, 1, False, lambda: unseen)
    seconds = json.loads((confirmation.path / "seconds.json").read_text())
    assert seconds["off"] > 0 and seconds["on"] > 0
    times(confirmation, "on-001", 0.0, 1.0, 1.0)
    faster = confirmation.choose({"off": FOUND["off"], "on": FOUND["on"][1:]})
    confirmation.judge(faster, 1, False, lambda: unseen)
    epochs = {
        path.parent.name: json.loads(path.read_text())["epoch"]
        for path in (confirmation.path / "trials").glob("*/result.json")
    }
    assert epochs == {
        "off-000-e6-s2000": 6,
        "on-002-s2000": 3,
        "off-000-e3-s2000": 3,  # never fewer than ON, and not the runs of the other length
        "on-001-s2000": 3,
    }
