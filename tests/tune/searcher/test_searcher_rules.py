"""Tests of the searcher's rules.

Budgets, duplicates, first points, objectives, constraints, an OFF arm that searches, pruning,
warm start.
"""

import itertools
import json

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tune.arm import OFF, ON
from tune.searcher.searcher import OptunaSearcher
from tune.space.load import space_from_plain
from tune.study.folder import StudyFolder
from tune.study.trial_table import collect

WEIGHT = {"contrastive.weight": {"float": [0.01, 30], "log": True}}


def space_of(space=WEIGHT, **sections):
    return space_from_plain(
        {"budget": {"epochs": 9, **sections.pop("budget", {})}, "space": space, **sections}, "test"
    )


def opened(space, tmp_path, trials=8, seed=0, name="study.journal"):
    searcher = OptunaSearcher(space, tmp_path / name, trials, seed)
    searcher.open()
    return searcher


def report(value, epoch=1, status="running", **metrics):
    return {
        "value": value,
        "best_value": value,
        "best_so_far": value,
        "epoch": epoch,
        "best_epoch": epoch,
        "status": status,
        "best_metrics": metrics,
    }


NAMES = itertools.count()


def run(searcher, value=0.0, epochs=1, status="complete", **metrics):
    """One trial to its end; its proposal, or what the searcher says instead."""
    name = f"t{next(NAMES)}"
    proposal = searcher.suggest(name)
    if isinstance(proposal, dict):
        searcher.on_trial_complete(name, report(value, epochs, status, **metrics))
    return proposal


def run_all(searcher, value=lambda proposal: 0.0, epochs=1):
    """Every trial until the searcher is finished."""
    asked, names = [], itertools.count()
    while isinstance(proposal := searcher.suggest(name := f"r{next(names)}"), dict):
        asked.append(proposal)
        searcher.on_trial_complete(name, report(value(proposal), epochs, "complete"))
    assert proposal == Searcher.FINISHED and searcher.remaining == 0
    return asked


# --- budgets ---


def test_a_search_ends_at_its_epochs(tmp_path):
    searcher = opened(space_of(budget={"total_epochs": 20}), tmp_path, trials=50)
    assert len(run_all(searcher, epochs=6)) == 4 and "24 epochs" in searcher.spent()
    assert opened(searcher.space, tmp_path, trials=50).remaining == 0, (
        "it is still spent when it is opened again"
    )


@pytest.mark.parametrize("spent, over", [(3590, False), (3610, True)])
def test_a_search_ends_when_its_sessions_took_its_time(tmp_path, spent, over):
    space = space_of(budget={"wall_hours": 1})
    searcher = OptunaSearcher(space, tmp_path / "study.journal", 8, 0, spent_seconds=spent)
    searcher.open()
    if over:
        assert (
            searcher.suggest("t") == Searcher.FINISHED
            and "wall_hours 1" in searcher.spent()
            and searcher.remaining == 0
        )
    else:
        assert isinstance(searcher.suggest("t"), dict) and searcher.spent() is None


def test_a_trial_that_runs_may_be_the_improvement_that_the_search_waits_for(tmp_path):
    searcher = opened(space_of(budget={"no_improvement": 2}), tmp_path, trials=50)
    run(searcher)
    run(searcher, 5.0)
    assert (
        isinstance(searcher.suggest("a"), dict)
        and isinstance(searcher.suggest("b"), dict)
        and isinstance(searcher.suggest("c"), dict)
    )
    for name in "ab":
        searcher.on_trial_complete(name, report(1.0, status="complete"))
    assert searcher.spent() and searcher.suggest("d") is None, "c runs"
    searcher.on_trial_complete("c", report(9.0, status="complete"))
    assert not searcher.spent() and isinstance(searcher.suggest("d"), dict)


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_a_finite_space_stays_finished_when_it_is_opened_again(sampler, tmp_path):
    space = space_of(
        {"head.kind": {"choice": ["none", "linear", "mlp"]}}, search={"sampler": sampler}
    )
    searcher = opened(space, tmp_path, trials=50)
    assert len(run_all(searcher)) == 4
    searcher.open()
    assert (
        searcher.remaining == 0
        and "was run" in searcher.spent()
        and searcher.suggest("more") == Searcher.FINISHED
    )


@pytest.mark.parametrize("cut", [False, True])
def test_a_first_point_that_was_run_before_is_passed_over(tmp_path, cut):
    """Also if no other point is left, and if the search is reopened after each trial."""
    space = space_of(
        {"head.kind": {"choice": ["none", "linear", "mlp"]}, **WEIGHT},
        first={
            "a": {"head.kind": "mlp", "contrastive.weight": 1.0},
            "b": {"contrastive.weight": 2.0},
        },
    )
    searcher = opened(space, tmp_path, trials=9)
    searcher.arms[ON].study.set_user_attr(
        "points",
        [
            {"name": str(number), "values": {"head.kind": "mlp", "contrastive.weight": weight}}
            for number, weight in enumerate([1.0, 3.0])
        ],
    )
    searcher.open()
    asked = []
    while isinstance(proposal := run(searcher), dict):
        asked.append(proposal)
        if cut:
            searcher = opened(space, tmp_path, trials=9)
    assert [proposal["proposed_by"] for proposal in asked][1:4] == [
        "first: a",
        "first: b",
        "first: 1",
    ] and len(asked) == 9


def test_what_cannot_be_derived_is_no_point_of_the_grid(tmp_path):
    """Spaces of so many points are not looked through when they are read."""
    space = space_of(
        {"head.dim": {"int": [1700, 2300]}, "head.kind": {"choice": ["linear"]}},
        search={"sampler": "grid"},
        derived={"loss.pixel": "1 / (head.dim - 1703)**2"},
    )
    asked = run_all(opened(space, tmp_path, trials=700))
    assert sorted(p["values"]["head.dim"] for p in asked[1:]) == [
        dim for dim in range(1700, 2301) if dim != 1703
    ]


def test_what_was_left_over_goes_on_in_the_order_of_its_proposals(tmp_path):
    """Unfinished trials continue in the order of their proposals where OFF searches too.

    Otherwise the next proposal would follow from another history than in an uninterrupted search.
    """
    searcher = opened(
        space_of({**WEIGHT, "loss.ctc": {"float": [0.1, 10], "log": True}}), tmp_path, trials=50
    )
    begun = [run(searcher)["id"] for _ in range(5)] + [
        searcher.suggest(name)["id"] for name in ("a", "b")
    ]
    assert begun[-2:] == ["on-002", "off-003"]
    again = opened(searcher.space, tmp_path, trials=50)
    assert [again.suggest(name)["id"] for name in "ab"] == ["on-002", "off-003"]


def test_nothing_stays_running_when_a_killed_study_is_opened(tmp_path):
    searcher = opened(space_of(), tmp_path)
    run(searcher)
    searcher.suggest("a")
    again = opened(searcher.space, tmp_path)
    assert [trial.state for _, trial in again.all_trials()] == [
        TrialState.COMPLETE,
        TrialState.WAITING,
    ]
    assert (
        again.suggest("b")["id"] == "on-000"
        and [trial.state for _, trial in again.all_trials()][-1] == TrialState.RUNNING
    )


def test_a_search_ends_at_its_target_of_the_on_arm(tmp_path):
    values = iter([9.0, 1.0, 3.0, 5.0, 9.0])  # OFF reaches it first, which does not count
    searcher = opened(space_of(budget={"target": 5.0}), tmp_path, trials=50)
    assert [p["id"] for p in run_all(searcher, lambda _: next(values))] == [
        "off-000",
        "on-000",
        "on-001",
        "on-002",
    ]


def test_the_target_of_an_error_rate_is_one_to_fall_to(tmp_path):
    values = iter([-0.9, -0.5, -0.2, -0.1])
    searcher = opened(space_of(objective="cer", budget={"target": 0.2}), tmp_path, trials=50)
    assert len(run_all(searcher, lambda _: next(values))) == 3


@pytest.mark.parametrize("cut", [False, True])
def test_a_search_ends_without_improvement(tmp_path, cut):
    values = iter([0.0, 1.0, 3.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 9.0])
    space, count = space_of(budget={"no_improvement": 3}), 0
    searcher = opened(space, tmp_path, trials=50)
    while isinstance(run(searcher, next(values)), dict):
        count += 1
        searcher = opened(space, tmp_path, trials=50) if cut else searcher
    assert count == 9, (
        "OFF, three that rise or not, the best, and three in a row that are no better"
    )


def test_what_was_cut_off_is_finished_although_the_budget_is_spent(tmp_path):
    searcher = opened(space_of(budget={"total_epochs": 5}), tmp_path, trials=50)
    run(searcher)
    cut = searcher.suggest("cut")
    run(searcher, epochs=9)
    again = opened(searcher.space, tmp_path, trials=50)
    assert again.remaining == 1 and again.suggest("again") == cut and again.suggest("more") is None
    again.on_trial_complete("again", report(0.0, 6, "complete"))
    assert again.suggest("more") == Searcher.FINISHED


# --- duplicates and first points ---

FINITE = {"head.kind": {"choice": ["none", "linear"]}, "contrastive.symmetric": {"bool": True}}


def test_a_finite_space_is_run_once_and_the_search_ends(tmp_path):
    searcher = opened(space_of(FINITE), tmp_path, trials=50)
    asked = [p for p in run_all(searcher) if p["arm"] == ON]
    assert len(asked) == 4 and len({json.dumps(p["values"]) for p in asked}) == 4
    assert [p["id"] for p in asked] == [f"on-00{n}" for n in range(4)], "duplicates leave no gap"
    assert searcher.spent() == "every configuration was run, or cannot be run"


def test_repeats_on_purpose_have_another_seed(tmp_path):
    searcher = opened(
        space_of(FINITE, search={"duplicates": "repeat"}), tmp_path, trials=20, seed=5
    )
    runs = {}
    for p in run_all(searcher):
        if p["arm"] == ON:
            values = {key: value for key, value in p["values"].items() if key != "train.seed"}
            runs.setdefault(json.dumps(values), []).append(p["values"].get("train.seed", 5))
    assert sum(map(len, runs.values())) == 19 and max(map(len, runs.values())) > 1
    assert all(seeds == list(range(5, 5 + len(seeds))) for seeds in runs.values())


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_duplicates_after_a_crash_are_those_of_an_unbroken_search(tmp_path, sampler):
    space = space_of(FINITE, search={"sampler": sampler})
    expected = run_all(opened(space, tmp_path, trials=5, name="whole.journal"))
    got = []
    while isinstance(proposal := run(opened(space, tmp_path, trials=5)), dict):
        got.append(proposal)
    assert got == expected


def test_named_points_come_first_and_what_they_leave_open_is_drawn(tmp_path):
    first = {
        "simclr": {"contrastive.weight": 1.0, "head.kind": "linear"},
        "heavy": {"contrastive.weight": 30},
    }
    space = space_of({**WEIGHT, **FINITE}, first=first)
    asked = [p for p in run_all(opened(space, tmp_path, trials=4)) if p["arm"] == ON]
    assert [p["proposed_by"] for p in asked] == ["first: simclr", "first: heavy", "random"]
    assert (
        asked[0]["values"]["contrastive.weight"] == 1.0
        and asked[0]["values"]["head.kind"] == "linear"
    )
    assert asked[1]["values"]["contrastive.weight"] == 30 and asked[0]["values"].keys() == {
        *WEIGHT,
        *FINITE,
    }


def test_a_grid_is_gone_through_once(tmp_path):
    space = space_of({**FINITE, "head.layers": {"int": [1, 3]}}, search={"sampler": "grid"})
    asked = [p for p in run_all(opened(space, tmp_path, trials=50)) if p["arm"] == ON]
    assert len(asked) == len({json.dumps(p["values"], sort_keys=True) for p in asked}) == 12
    assert {p["proposed_by"] for p in asked} == {"grid"}
    assert [p["values"]["head.layers"] for p in asked] != sorted(
        p["values"]["head.layers"] for p in asked
    ), "in a drawn order"


# --- rules between parameters ---


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "qmc", "random", "grid"])
def test_no_sampler_proposes_what_is_forbidden(tmp_path, sampler):
    space = space_of(
        {
            "head.kind": {"choice": ["none", "linear", "mlp"]},
            "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
            "contrastive.formulation": {"choice": ["infonce", "clip"]},
        },
        forbidden=[
            {"head.kind": "mlp", "head.layers": {"min": 2}},
            {"contrastive.formulation": "clip", "head.kind": "none"},
        ],
        search={"sampler": sampler},
    )
    asked = [p["values"] for p in run_all(opened(space, tmp_path, trials=20)) if p["arm"] == ON]
    assert len(asked) == 5, "all that is allowed, once"
    assert not any(
        v.get("head.layers", 1) > 1
        or (v["contrastive.formulation"], v["head.kind"]) == ("clip", "none")
        for v in asked
    )


def test_derived_values_are_part_of_the_proposal(tmp_path):
    space = space_of(
        {"head.kind": {"choice": ["mlp"]}, "head.dim": {"choice": [64, 128]}},
        derived={"head.width": "2 * head.dim"},
    )
    asked = [p["values"] for p in run_all(opened(space, tmp_path, trials=3)) if p["arm"] == ON]
    assert asked and all(v["head.width"] == 2 * v["head.dim"] for v in asked)


# --- several objectives, constraints ---


def test_several_objectives_are_recorded_at_the_best_epoch(tmp_path):
    searcher = opened(space_of(objective=["psnr", "cer"]), tmp_path)
    for value in (10.0, 12.0):
        run(searcher, value, psnr=value, cer=value / 100)
    (_, off), (_, on) = searcher.all_trials()
    assert (
        off.values == [10.0, -0.1] and on.values == [12.0, -0.12] and on.intermediate_values == {}
    )


def test_constraints_are_measured_against_off(tmp_path):
    searcher = opened(
        space_of(constraints={"psnr": {"below_off": 0.5}, "cer": {"max": 0.3}}), tmp_path
    )
    for psnr, cer in ((20.0, 0.2), (19.6, 0.2), (19.0, 0.4)):
        run(searcher, psnr, psnr=psnr, cer=cer)
    on = [trial.user_attrs["constraints"] for arm, trial in searcher.all_trials() if arm == ON]
    assert on == [pytest.approx([-0.1, -0.1]), pytest.approx([0.5, 0.1])]
    again = opened(searcher.space, tmp_path)
    assert again.off_metrics == {"psnr": 20.0, "cer": 0.2}


def test_a_trial_that_ended_before_off_is_compared_with_off_in_the_end(tmp_path):
    """With two slots ON may end first.

    The journal then has no violation, and the table computes it from the metrics.
    """
    space = space_of(constraints={"psnr": {"below_off": 0.5}})
    searcher = opened(space, tmp_path)
    names = [searcher.suggest(name)["id"] for name in "ab"]
    for name, trial, psnr in (("b", names[1], 19.0), ("a", names[0], 20.0)):
        searcher.on_trial_complete(name, report(psnr, 1, "complete", psnr=psnr))
        (tmp_path / "trials" / trial).mkdir(parents=True)
        (tmp_path / "trials" / trial / "result.json").write_text(
            json.dumps(report(psnr, 1, "complete", psnr=psnr))
        )
    rows = {
        row.id: row
        for row in collect(StudyFolder(tmp_path), searcher.all_trials(), space.constraints)
    }
    assert rows["off-000"].feasible and not rows["on-000"].feasible


def test_brackets_reach_to_the_last_epoch_of_a_trial(tmp_path):
    """`--epochs` is no part of the space."""
    space = space_from_plain(
        {"space": WEIGHT, "search": {"pruner": "hyperband", "warmup": 2}}, "test"
    )
    searcher = OptunaSearcher(space.bound({"train.epochs": 60}), tmp_path / "study.journal", 3, 0)
    searcher.open()
    assert searcher.arms[ON].study.pruner.pruner._max_resource == 59


# --- an OFF arm that searches ---


def test_off_gets_as_many_trials_over_what_both_arms_share(tmp_path):
    space = space_of(
        {
            **WEIGHT,
            "train.generator_lr": {"float": [1e-4, 1e-2], "log": True},
            "head.kind": {"choice": ["none", "mlp"]},
        }
    )
    asked = run_all(opened(space, tmp_path, trials=10), lambda p: p["values"]["train.generator_lr"])
    off, on = ([p for p in asked if p["arm"] == arm] for arm in (OFF, ON))
    assert len(off) == len(on) == 5 and asked[0]["arm"] == OFF
    assert all(p["values"].keys() == {"train.generator_lr", "contrastive.formulation"} for p in off)
    assert (
        all(p["values"]["contrastive.formulation"] == "none" for p in off)
        and len({p["values"]["train.generator_lr"] for p in off}) == 5
    )
    assert [p["proposed_by"] for p in off] == ["random"] * 4 + ["tpe"]


def test_what_hangs_on_contrast_is_not_searched_without_it(tmp_path):
    space = space_of(
        {
            "head.kind": {"choice": ["none", "mlp"]},
            "loss.pixel": {"float": [1, 100], "when": {"head.kind": "mlp"}},
            "train.contrastive_lr": {"float": [1e-4, 1e-2]},
        }
    )
    assert not space.off_searches and [
        p["arm"] for p in run_all(opened(space, tmp_path, trials=4))
    ] == [OFF, ON, ON, ON]


# --- pruning ---


def epochs_of(searcher, name, values, start=1):
    """Report epochs until the pruner stops the trial; return the epoch of the stop, or None."""
    for epoch, value in enumerate(values, start):
        best = max(values[: epoch - start + 1])
        result = {**report(value, epoch), "best_value": best, "best_so_far": best}
        if searcher.should_stop(name, result):
            searcher.on_trial_complete(name, result)
            return epoch
    searcher.on_trial_complete(
        name,
        {
            **report(values[-1], start + len(values) - 1, "complete"),
            "best_value": max(values),
            "best_so_far": max(values),
        },
    )
    return None


@pytest.fixture
def pruned_search(tmp_path):
    space = space_of(search={"pruner": "asha", "warmup": 2})
    searcher = opened(space, tmp_path, trials=20)
    searcher.suggest("off")
    assert epochs_of(searcher, "off", [-100.0] * 9) is None, "OFF is never pruned"
    for number, level in enumerate((5.0, 6.0, 7.0, 8.0)):
        searcher.suggest(f"good{number}")
        epochs_of(searcher, f"good{number}", [level] * 9)
    return searcher


def test_a_bad_trial_is_pruned_after_the_warmup_and_recorded_so(pruned_search):
    pruned_search.suggest("bad")
    assert epochs_of(pruned_search, "bad", [-50.0] * 9) == 2
    (_, trial) = list(pruned_search.all_trials())[-1]
    assert (
        trial.state == TrialState.PRUNED
        and trial.user_attrs["status"] == "pruned"
        and trial.user_attrs["epochs"] == 2
    )


def test_a_decision_that_a_crash_swallowed_is_taken_again(pruned_search, tmp_path):
    """The process died after an epoch was reported and before the trial was recorded as pruned.

    The same epoch, reported again, ends the trial.
    """
    pruned_search.suggest("bad")
    pruned_search.on_trial_result("bad", report(-50.0, 1))
    pruned_search.on_trial_result("bad", report(-50.0, 2))
    again = opened(pruned_search.space, tmp_path, trials=20)
    assert again.suggest("again")["id"] == "on-004"
    assert again.should_stop("again", report(-50.0, 2))


def test_a_trial_that_was_pruned_but_not_recorded_so_is_pruned_again(pruned_search, tmp_path):
    pruned_search.suggest("bad")
    assert not pruned_search.should_stop("bad", report(-50.0, 1))
    assert pruned_search.should_stop("bad", report(-50.0, 2))
    again = opened(pruned_search.space, tmp_path, trials=20)
    assert again.suggest("again")["id"] == "on-004"
    assert again.should_stop("again", report(-50.0, 2))


def test_a_trial_that_a_person_stops_is_halted_and_cannot_win(tmp_path):
    searcher = opened(space_of(), tmp_path)
    run(searcher)
    searcher.suggest("a")
    searcher.on_trial_result("a", report(9.0, 1))
    searcher.halt("a")
    searcher.on_trial_complete("a", report(9.0, 2))
    (_, trial) = list(searcher.all_trials())[-1]
    assert (
        trial.state == TrialState.PRUNED
        and trial.user_attrs["status"] == "halted"
        and searcher.arms[ON].best is None
    )


# --- warm start ---


def test_an_earlier_study_is_learned_from_but_is_no_trial_of_this_one(tmp_path):
    from tune.warm_start.history import read_history

    space = space_of()
    (tmp_path / "old").mkdir()
    old = opened(space, tmp_path / "old", trials=12)
    run_all(old, lambda p: -abs(p["values"].get("contrastive.weight", 0) - 3))
    source = f"{tmp_path / 'old/study.journal'}::on"
    before = (tmp_path / "old/study.journal").read_bytes()
    new = opened(space, tmp_path, trials=4)
    history = read_history(source, space, ("score",), {})
    new.learn_from(source, history.trials, history.points)
    new.learn_from(source, history.trials, history.points)  # as after a crash in between
    recorded = [trial.intermediate_values or trial.system_attrs for trial in history.trials]
    assert not any(recorded), "no rivals to a pruner"
    assert len(history.trials) == 11 and new.remaining == 4 and new.learned_from == [source, source]
    assert sum("warm_start" in trial.user_attrs for _, trial in new.all_trials()) == 11
    asked = run_all(new)
    assert [p["id"] for p in asked] == ["off-000", "on-000", "on-001", "on-002"]
    assert {p["proposed_by"] for p in asked[1:]} == {"tpe"}, "it has learned already"
    assert new.arms[ON].best == 0.0, "an earlier study's value is no result of this one"
    assert (tmp_path / "old/study.journal").read_bytes() == before
