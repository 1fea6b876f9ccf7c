"""The searcher without Ray: who is proposed when, and what Optuna's journal says afterwards."""

import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tune.arm import OFF, ON
from tune.searcher.proposer import STARTUP_TRIALS
from tune.searcher.searcher import OptunaSearcher


def opened(space, tmp_path, trials=8, seed=0):
    searcher = OptunaSearcher(space, tmp_path / "study.journal", trials, seed)
    searcher.open()
    return searcher


def result(value, epoch=1, status="running"):
    return {
        "value": value,
        "best_value": value,
        "best_so_far": value,
        "epoch": epoch,
        "best_epoch": epoch,
        "status": status,
    }


def run_one(searcher, name, value=None, status="complete"):
    """One trial of three epochs from ask to tell; its proposal."""
    proposal = searcher.suggest(name)
    value = proposal["values"].get("contrastive.weight", 0.0) if value is None else value
    for epoch in (1, 2):
        searcher.on_trial_result(name, result(value - 1, epoch))
    searcher.on_trial_complete(name, result(value, 3, status))
    return proposal


def journal(searcher):
    return list(searcher.all_trials())


def test_off_starts_first_and_alone_has_no_parameters(space, tmp_path):
    searcher = opened(space, tmp_path)
    first, second = searcher.suggest("a"), searcher.suggest("b")
    assert (first["id"], first["arm"], first["proposed_by"]) == ("off-000", OFF, "baseline")
    assert first["values"] == {"contrastive.formulation": "none"}
    assert (second["id"], second["arm"]) == ("on-000", ON)
    assert [trial.params for arm, trial in journal(searcher) if arm == OFF] == [{}]


def test_the_sampler_never_sees_off(space, tmp_path):
    searcher = opened(space, tmp_path)
    for i in range(8):
        run_one(searcher, f"t{i}")
    assert len(searcher.arms[ON].study.trials) == 7
    assert all(t.params for t in searcher.arms[ON].study.trials)


def test_the_model_proposes_all_but_the_start(space, tmp_path):
    searcher = opened(space, tmp_path, trials=10)
    by = [run_one(searcher, f"t{i}")["proposed_by"] for i in range(10)]
    assert by == ["baseline"] + ["random"] * STARTUP_TRIALS + ["tpe"] * 5 and STARTUP_TRIALS <= 4


def test_the_model_takes_over_at_the_fifth_trial_also_with_several_slots(space, tmp_path):
    searcher = opened(space, tmp_path, trials=9)
    by = []
    for i in range(9):  # two at a time: each trial ends after the next was asked for
        by.append(searcher.suggest(f"t{i}")["proposed_by"])
        if i:
            searcher.on_trial_complete(f"t{i - 1}", result(float(i), 1, "complete"))
    assert by == ["baseline"] + ["random"] * 4 + ["tpe"] * 4


def test_on_a_wide_machine_a_fifth_trial_waits_for_a_first_result(space, tmp_path):
    searcher = opened(space, tmp_path, trials=9)
    asked = [searcher.suggest(f"t{i}") for i in range(6)]
    assert [p["proposed_by"] for p in asked[:5]] == ["baseline"] + ["random"] * 4 and asked[
        5
    ] is None
    searcher.on_trial_complete("t0", result(1.0, 1, "complete"))
    assert searcher.suggest("t6") is None, "OFF tells the model nothing"
    searcher.on_trial_complete("t1", result(1.0, 1, "complete"))
    assert searcher.suggest("t7")["proposed_by"] == "tpe"


def test_inactive_parameters_are_left_out(space, tmp_path):
    searcher = opened(space, tmp_path, trials=20)
    seen = {}
    for i in range(20):
        values = run_one(searcher, f"t{i}")["values"]
        if values.get("head.kind"):
            seen[values["head.kind"]] = "head.layers" in values
    assert seen == {"none": False, "mlp": True}


def test_ends_after_the_asked_number(space, tmp_path):
    searcher = opened(space, tmp_path, trials=3)
    for i in range(3):
        run_one(searcher, f"t{i}")
    assert searcher.suggest("more") == Searcher.FINISHED and searcher.remaining == 0


@pytest.mark.parametrize(
    "status, error, state",
    [
        ("complete", False, TrialState.COMPLETE),
        ("stopped", False, TrialState.COMPLETE),
        ("running", False, TrialState.PRUNED),
        ("failed", False, TrialState.FAIL),
        ("running", True, TrialState.FAIL),
    ],
)
def test_how_a_trial_ends_in_optuna(space, tmp_path, status, error, state):
    searcher = opened(space, tmp_path)
    searcher.suggest("a")
    searcher.on_trial_result("a", result(5.0, 1))
    best = {"best_value": 5.0, "best_so_far": 5.0, "best_epoch": 1}
    ended = {**result(4.0, 2, status), **best}
    searcher.on_trial_complete("a", ended, error)
    ((_, trial),) = journal(searcher)
    assert trial.state == state and trial.intermediate_values == {1: 5.0, 2: 5.0}
    assert state != TrialState.COMPLETE or trial.value == 5.0


@pytest.mark.parametrize("given", [None, {"status": "failed", "error": "boom"}])
def test_a_trial_that_never_reported_fails(space, tmp_path, given):
    searcher = opened(space, tmp_path)
    searcher.suggest("a")
    searcher.on_trial_complete("a", given, error=given is None)
    assert [trial.state for _, trial in journal(searcher)] == [TrialState.FAIL]


def test_telling_twice_changes_nothing(space, tmp_path):
    searcher = opened(space, tmp_path)
    run_one(searcher, "a", 1.0)
    searcher.on_trial_complete("a", result(9.0, 3, "complete"))
    assert [trial.value for _, trial in journal(searcher)] == [1.0]


@pytest.mark.parametrize("orderly", [True, False])
def test_what_was_running_is_continued_first_and_once(space, tmp_path, orderly):
    searcher = opened(space, tmp_path)
    run_one(searcher, "a")
    cut = searcher.suggest("b")
    searcher.on_trial_result("b", result(3.0, 1))
    if orderly:
        searcher.open()
        assert TrialState.RUNNING not in [trial.state for _, trial in journal(searcher)]
    again = opened(space, tmp_path)
    assert again.remaining == 7
    continued = again.suggest("c")
    assert continued == cut
    again.on_trial_result("c", result(3.0, 1))  # the epoch that was reported before
    again.on_trial_complete("c", result(4.0, 2, "complete"))
    assert again.suggest("d")["id"] == "on-001"
    trials = dict(enumerate(trial for _, trial in journal(again)))
    assert trials[1].state == TrialState.COMPLETE and trials[1].intermediate_values == {
        1: 3.0,
        2: 4.0,
    }


def test_a_crash_between_ask_and_values_loses_nothing(space, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    whole = opened(space, tmp_path / "whole")
    expected = [run_one(whole, f"t{i}") for i in range(7)]
    searcher = opened(space, tmp_path)
    got = [run_one(searcher, f"t{i}") for i in range(6)]
    with (
        monkeypatch.context() as patch,
        pytest.raises(ZeroDivisionError),
    ):  # it dies after the formulation, before the weight
        patch.setattr(optuna.trial.Trial, "suggest_float", lambda *_, **__: 1 / 0)
        searcher.suggest("cut")
    got.append(run_one(opened(space, tmp_path), "again"))
    assert got == expected


def test_a_study_cut_after_every_trial_ends_as_an_unbroken_one(space, tmp_path):
    (tmp_path / "whole").mkdir()
    whole = opened(space, tmp_path / "whole")
    expected = [run_one(whole, f"t{i}") for i in range(8)]
    got = []
    for i in range(8):
        got.append(run_one(opened(space, tmp_path), f"t{i}"))
    assert got == expected


def test_another_seed_proposes_other_values(space, tmp_path):
    values = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        searcher = opened(space, tmp_path / str(seed), seed=seed)
        values.append([run_one(searcher, f"t{i}")["values"] for i in range(3)])
    assert values[0] != values[1]


def test_the_model_goes_where_the_best_weights_are(space, tmp_path):
    """The last proposals are near the best weight of a known landscape, which is 0.1.

    Evenly spread proposals would be 1.03 decades away on average.
    """
    searcher = opened(space, tmp_path, trials=41)
    off = []
    for i in range(41):
        weight = searcher.suggest(f"t{i}")["values"].get("contrastive.weight", 1e3)
        off.append(abs(math.log10(weight / 0.1)))
        searcher.on_trial_complete(f"t{i}", result(-off[-1], 1, "complete"))
    assert np.mean(off[-20:]) < 0.7


def test_ray_may_pickle_it(space, tmp_path):
    import ray.cloudpickle as cloudpickle

    searcher = opened(space, tmp_path)
    searcher.suggest("a")
    copy = cloudpickle.loads(cloudpickle.dumps(searcher))
    copy.open()
    assert copy.remaining == 8 and copy.suggest("b")["id"] == "off-000"


# --- an experiment: both arms for every seed ---


def asked_in_full(searcher):
    """Every trial that is left, one after the other."""
    return [run_one(searcher, f"{searcher.remaining} left", 1.0) for _ in range(searcher.remaining)]


def test_the_arms_of_an_experiment_take_turns_seed_by_seed(experiment, tmp_path):
    searcher = opened(experiment, tmp_path, experiment.trials, seed=7)
    asked = asked_in_full(searcher)
    assert [p["id"] for p in asked] == [
        "off-000",
        "on-000",
        "off-001",
        "on-001",
        "off-002",
        "on-002",
    ]
    assert [p["arm"] for p in asked] == [OFF, ON] * 3 and {p["proposed_by"] for p in asked} == {
        "experiment"
    }
    off = {"contrastive.formulation": "none", "loss.ctc": 2.0}
    assert [p["values"] for p in asked] == [
        {"train.seed": 7 + n, **arm} for n in range(3) for arm in (off, {})
    ]
    assert searcher.suggest("more") == Searcher.FINISHED and searcher.remaining == 0
    trials = journal(searcher)
    assert [arm for arm, _ in trials] == [OFF] * 3 + [ON] * 3
    assert all(trial.state == TrialState.COMPLETE and trial.params == {} for _, trial in trials)


def test_an_experiment_cut_anywhere_has_pairs_and_ends_as_an_unbroken_one(experiment, tmp_path):
    (tmp_path / "whole").mkdir()
    expected = asked_in_full(opened(experiment, tmp_path / "whole", experiment.trials))
    got = []
    for number in range(experiment.trials):
        got.append(run_one(opened(experiment, tmp_path, experiment.trials), f"t{number}"))
        arms = [arm for arm, _ in journal(opened(experiment, tmp_path, experiment.trials))]
        assert arms.count(OFF) - arms.count(ON) in (0, 1)
    assert got == expected


@pytest.mark.parametrize("orderly", [True, False])
def test_a_pair_that_was_running_is_continued_before_the_next(experiment, tmp_path, orderly):
    searcher = opened(experiment, tmp_path, experiment.trials)
    cut = [searcher.suggest("a"), searcher.suggest("b")]
    searcher.on_trial_result("b", result(3.0, 1))
    if orderly:
        searcher.open()
    again = opened(experiment, tmp_path, experiment.trials)
    assert again.remaining == 6
    assert [again.suggest("c"), again.suggest("d")] == cut
    assert again.suggest("e")["id"] == "off-001" and again.remaining == 3
    again.on_trial_complete("d", result(4.0, 2, "complete"))
    assert [trial.intermediate_values for arm, trial in journal(again) if arm == ON] == [
        {1: 3.0, 2: 4.0}
    ]


def test_a_crash_before_the_proposal_was_written_keeps_the_seed(experiment, tmp_path, monkeypatch):
    searcher = opened(experiment, tmp_path, experiment.trials)
    before = [run_one(searcher, f"t{i}") for i in range(3)]
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(optuna.trial.Trial, "set_user_attr", lambda *_: 1 / 0)
        searcher.suggest("cut")
    after = asked_in_full(opened(experiment, tmp_path, experiment.trials))
    assert [p["id"] for p in before + after] == [
        "off-000",
        "on-000",
        "off-001",
        "on-001",
        "off-002",
        "on-002",
    ]
    assert [p["values"]["train.seed"] for p in before + after] == [0, 0, 1, 1, 2, 2]


def test_a_failed_trial_of_an_experiment_is_not_run_again(experiment, tmp_path):
    searcher = opened(experiment, tmp_path, experiment.trials)
    run_one(searcher, "a", status="failed")
    assert [p["id"] for p in asked_in_full(opened(experiment, tmp_path, experiment.trials))] == [
        "on-000",
        "off-001",
        "on-001",
        "off-002",
        "on-002",
    ]


def test_a_wide_machine_gets_every_trial_of_an_experiment_at_once(experiment, tmp_path):
    searcher = opened(experiment, tmp_path, trials=16)
    assert [searcher.suggest(f"t{i}")["id"] for i in range(16)] == [
        f"{arm}-{n:03d}" for n in range(8) for arm in (OFF, ON)
    ]


def test_an_experiment_of_many_seeds_resumes(experiment, tmp_path):
    searcher = opened(experiment, tmp_path, trials=14)
    for i in range(11):
        run_one(searcher, f"t{i}")
    cut = searcher.suggest("cut")
    assert cut["id"] == "on-005"
    assert asked_in_full(opened(experiment, tmp_path, trials=14))[0] == cut
