"""Tests of samplers: repeatable proposals, no forbidden ones, and a bounded history."""

import json
import math
import random
import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from tune.searcher.arm_study import values_key
from tune.searcher.distributions import distribution_of
from tune.searcher.proposer import suggest_value
from tune.searcher.samplers import (
    HISTORY,
    POPULATION,
    SAMPLERS,
    build_sampler,
    grid_point,
    shuffled_grid,
)
from tune.searcher.shown_trials import BEST, LATEST, History, all_complete, best_first, generations
from tune.space.load import space_from_plain
from tune.space.settings import SAMPLERS as CHOICES
from tune.study.journal import open_journal

SEARCHED = {
    "contrastive.formulation": {"choice": ["infonce", "clip"]},
    "contrastive.weight": {"float": [0.01, 30], "log": True},
    "head.kind": {"choice": ["none", "mlp"]},
    "head.layers": {"int": [1, 3], "when": {"head.kind": ["mlp"]}},
    "loss.ctc": {"float": [0.5, 5], "step": 0.5},
}
FORBIDDEN = [
    {"contrastive.formulation": "infonce", "head.kind": "none"},
    {"head.layers": 3, "contrastive.formulation": "clip"},
    {"head.layers": 1, "contrastive.formulation": "infonce"},
]
NAMES = ("tpe", "gp", "nsga2", "nsga3", "qmc", "random")
STARTUP = 4


def space_of(searched=SEARCHED, forbidden=()):
    return space_from_plain(
        {"space": searched, **({"forbidden": list(forbidden)} if forbidden else {})}, "test"
    )


def value_of(values):
    """The best weight is 0.3, the best loss.ctc 2; layers cost."""
    return (
        -abs(math.log10(values["contrastive.weight"] / 0.3))
        - abs(values["loss.ctc"] - 2) / 3
        - 0.1 * values.get("head.layers", 0)
    )


def ask(study, space, name, **settings):
    """A new trial of the study, proposed as the searcher does it, and its values."""
    number = len(study.get_trials(deepcopy=False))
    proposer = "random" if name in ("tpe", "gp") and number < STARTUP else name
    study.sampler = build_sampler(
        space, proposer, space.parameters, 1000 + number, study_seed=7, number=number, **settings
    )
    trial = study.ask()
    return trial, values_of(trial, space)


def values_of(trial, space):
    values = space.sample(lambda parameter: suggest_value(trial, parameter))
    trial.set_user_attr("proposal", json.dumps({"id": f"on-{trial.number:03d}"}))
    return values


def tell(study, trial, values):
    """Told: every fifth fails, every third is pruned, else its value (and a second objective)."""
    objectives = len(study.directions)
    if trial.number % 5 == 4:
        study.tell(trial, state=TrialState.FAIL)
    elif trial.number % 3 == 2 and objectives == 1:
        trial.report(value_of(values) - 1, 5)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, [value_of(values), -values["contrastive.weight"]][:objectives])


def run(study, space, name, trials, **settings):
    proposals = []
    for _ in range(trials):
        trial, values = ask(study, space, name, **settings)
        tell(study, trial, values)
        proposals.append(values)
    return proposals


def journal(path, objectives=1):
    return optuna.create_study(
        storage=open_journal(path),
        study_name="on",
        load_if_exists=True,
        directions=["maximize"] * objectives,
    )


def memory(objectives=1):
    return optuna.create_study(study_name="on", directions=["maximize"] * objectives)


def past(space, count, rng, objectives=1, pruned=0.5):
    """Trials at random, as a study would hold them."""
    trials = []
    for number in range(count):
        values = space.random_values(rng)
        gone = rng.random() < pruned and objectives == 1
        value = value_of(values) + rng.gauss(0, 0.1)
        trials.append(
            create_trial(
                params=values,
                distributions={
                    p.key: distribution_of(p) for p in space.parameters if p.key in values
                },
                state=TrialState.PRUNED if gone else TrialState.COMPLETE,
                intermediate_values={5: value - 1} if objectives == 1 else {},
                values=None if gone else [value, -values["contrastive.weight"]][:objectives],
                user_attrs={"proposal": json.dumps({"id": f"on-{number:03d}"})},
            )
        )
    return trials


def test_the_samplers_are_those_that_a_space_file_may_name():
    space = space_of()
    assert tuple(SAMPLERS) == CHOICES
    with pytest.raises(KeyError, match="tpee"):
        build_sampler(space, "tpee", space.parameters, 0, study_seed=0, number=0)


# --- the same history, the same proposal ---


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_study_rebuilt_in_the_middle_goes_on_as_an_unbroken_one(name, objectives, tmp_path):
    space, trials = (
        space_of(forbidden=FORBIDDEN),
        2 * POPULATION + 12 if name.startswith("nsga") else 12,
    )  # NSGA: to the third generation
    trials = 8 if name == "gp" else trials  # half a second each
    whole = run(journal(tmp_path / "whole", objectives), space, name, trials)
    assert len({values_key(values) for values in whole}) > trials // 2
    parts = [trials // 2, trials // 4, trials - trials // 2 - trials // 4]
    assert [
        values
        for part in parts
        for values in run(journal(tmp_path / "parts", objectives), space, name, part)
    ] == whole


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_cut_off_while_its_values_were_written_down_is_proposed_as_it_was(name, tmp_path):
    space, trials, objectives = space_of(), 7, 1
    if name.startswith(
        "nsga"
    ):  # of 39 trials 7 failed, the second generation is full: the next trial selects its parents
        trials, objectives = 39, 2
    whole, cut = journal(tmp_path / "whole", objectives), journal(tmp_path / "cut", objectives)
    for study in (whole, cut):
        run(study, space, name, trials)
    expected = ask(whole, space, name)[1]
    cut.sampler = build_sampler(
        space, name, space.parameters, 1000 + trials, study_seed=7, number=trials
    )
    trial = cut.ask()
    for parameter in space.parameters[:2]:
        suggest_value(trial, parameter)
    again = journal(tmp_path / "cut", objectives)
    again.sampler = build_sampler(
        space, name, space.parameters, 1000 + trials, study_seed=7, number=trials
    )
    assert values_of(optuna.trial.Trial(again, trial._trial_id), space) == expected


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_proposes_other_values(name):
    space, weights = space_of(), []
    for seed in (1, 2):
        study = memory()
        study.add_trials(past(space, 40, random.Random(0)))
        study.sampler = build_sampler(
            space, name, space.parameters, seed, study_seed=seed, number=40
        )
        weights.append(values_of(study.ask(), space)["contrastive.weight"])
    assert weights[0] != weights[1]


# --- the rules of the space ---


@pytest.mark.parametrize("name", NAMES)
def test_nothing_forbidden_is_ever_proposed(name):
    space, study = space_of(forbidden=FORBIDDEN), memory()
    proposals = run(study, space, name, 9 if name == "gp" else 60)
    assert not any(space.forbids(values) for values in proposals)
    assert all(set(values) == {each.key for each in space.active(values)} for values in proposals)
    assert {values["head.kind"] for values in proposals} == {"none", "mlp"}


def test_where_the_model_wants_what_is_forbidden_it_takes_the_next_best():
    searched = {
        "contrastive.formulation": {"choice": ["infonce", "clip", "frame"]},
        "loss.ctc": SEARCHED["loss.ctc"],
        "contrastive.weight": SEARCHED["contrastive.weight"],
    }
    free = space_of(searched)
    space = space_of(
        searched,
        [
            {"contrastive.formulation": "infonce", "loss.ctc": 2.0},
            {"contrastive.formulation": ["clip", "frame"]},
        ],
    )
    study = memory()
    study.add_trials(
        [each for each in past(free, 300, random.Random(0)) if each.params["loss.ctc"] == 2.0]
    )
    for _ in range(20):
        trial, values = ask(study, space, "tpe")
        assert values["contrastive.formulation"] == "infonce" and values["loss.ctc"] != 2.0
        study.tell(trial, value_of(values))


@pytest.mark.parametrize("name", ["tpe", "nsga2", "qmc", "random"])
def test_steps_are_written_as_in_the_space(name):
    """A stepped value has the digits of the space.

    Optuna computes 0.1 + 2 x 0.1 = 0.30000000000000004, which no constraint or trial would match.
    """
    space = space_of(
        {"loss.ctc": {"float": [0.1, 0.7], "step": 0.1}, "head.layers": {"int": [1, 3]}},
        [{"loss.ctc": 0.3}, {"loss.ctc": 0.6, "head.layers": [1, 2]}],
    )
    study, proposed = memory(), set()
    for _ in range(60):
        trial, values = ask(study, space, name)
        study.tell(trial, -abs(values["loss.ctc"] - 0.3))
        proposed.add((values["loss.ctc"], values["head.layers"]))
    assert proposed <= {(point["loss.ctc"], point["head.layers"]) for point in space.grid()}
    assert {loss for loss, _ in proposed} >= {0.2, 0.4}


@pytest.mark.parametrize("name", NAMES)
def test_settled_values_are_kept_and_the_rest_is_filled_in(name):
    space, study = space_of(forbidden=FORBIDDEN), memory()
    study.add_trials(past(space, 30, random.Random(0)))
    fixed = {
        "loss.ctc": 3,
        "head.layers": 3,
        "head.kind": "mlp",
    }  # leaves only infonce; a whole number for a float
    for _ in range(5):
        trial, values = ask(study, space, name, fixed=fixed)
        assert {key: values[key] for key in fixed} == fixed and values[
            "contrastive.formulation"
        ] == "infonce"
        assert isinstance(values["loss.ctc"], float)
        tell(study, trial, values)


def test_a_settled_value_of_an_inactive_parameter_is_passed_over():
    space = space_of()
    assert (
        "head.layers"
        not in ask(memory(), space, "random", fixed={"head.kind": "none", "head.layers": 2})[1]
    )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_clauses_that_leave_something_are_kept(data):
    keys = {
        "contrastive.formulation": ["infonce", "clip"],
        "head.kind": ["none", "mlp"],
        "head.layers": [1, 2, 3],
        "loss.ctc": [0.5, 1.0],
    }
    clause = st.dictionaries(
        st.sampled_from(list(keys)), st.none(), min_size=1, max_size=3
    ).flatmap(
        lambda chosen: st.fixed_dictionaries({key: st.sampled_from(keys[key]) for key in chosen})
    )
    clauses = data.draw(st.lists(clause, min_size=1, max_size=5))
    try:
        space = space_of({**SEARCHED, "loss.ctc": {"float": [0.5, 1.0], "step": 0.5}}, clauses)
    except ValueError:
        return  # the loader refuses what leaves nothing
    study = memory()
    study.add_trials(past(space, 10, random.Random(0)))
    name = data.draw(st.sampled_from(("tpe", "nsga2", "qmc", "random")))
    assert not space.forbids(ask(study, space, name)[1])


# --- what they learn ---


def test_without_rules_it_is_optunas_tpe():
    space = space_of()
    ours, plain = memory(), memory()
    for study in (ours, plain):
        study.add_trials(past(space, 60, random.Random(0)))
    for seed in range(8):
        ours.sampler = build_sampler(space, "tpe", space.parameters, seed, study_seed=0, number=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            plain.sampler = TPESampler(seed=seed, n_startup_trials=1, multivariate=True, group=True)
        pair = [study.ask() for study in (ours, plain)]
        values = [values_of(trial, space) for trial in pair]
        assert values[0] == values[1]
        for study, trial in zip((ours, plain), pair, strict=True):
            study.tell(trial, value_of(values[0]))


@pytest.mark.parametrize("name", ["tpe", "gp", "nsga2", "nsga3"])
def test_the_models_come_nearer_to_the_best_than_chance(name):
    space = space_of()
    means = {}
    for kind in (name, "random"):
        means[kind] = np.mean(
            [
                value_of(values)
                for values in run(memory(), space, kind, 20 if name == "gp" else 100)[-12:]
            ]
        )
    assert means[name] > means["random"] + 0.15


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_model_keeps_away_from_where_training_fails(name):
    """Weights above 3 diverge, and 30 would be best but for that."""
    space, study, high = space_of(), memory(), []
    for _ in range(16 if name == "gp" else 30):
        trial, values = ask(study, space, name)
        high.append(values["contrastive.weight"] > 3)
        study.tell(trial, math.log10(values["contrastive.weight"])) if not high[-1] else study.tell(
            trial, state=TrialState.FAIL
        )
    assert sum(high[-10:]) <= 5


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("name", ["tpe", "gp", "nsga2", "nsga3"])
def test_a_constraint_is_learned(name, objectives):
    """The best values break it: weights above 0.1."""

    def violations(frozen):
        return frozen.user_attrs.get("constraints", [0.0])

    space, shares = space_of(), []
    for used in (violations, None):
        study, broken = memory(objectives), []
        for number in range({1: 16, 2: 12}[objectives] if name == "gp" else 80):
            trial, values = ask(study, space, name, constraints_func=used)
            broken.append(values["contrastive.weight"] > 0.1)
            trial.set_user_attr("constraints", [math.log10(values["contrastive.weight"] / 0.1)])
            values["loss.ctc"] = 2.0
            study.tell(
                trial,
                [value_of(values), math.log10(values["contrastive.weight"])][:objectives]
                if number % 7
                else None,
                state=TrialState.COMPLETE if number % 7 else TrialState.FAIL,
            )
        shares.append(np.mean(broken[len(broken) // 2 :]))
    assert shares[0] < shares[1] - 0.15


@pytest.mark.parametrize("name", NAMES)
def test_samplers_warn_of_nothing(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(memory(), space_of(), name, STARTUP + 2, constraints_func=lambda frozen: [0.0])
        run(memory(2), space_of(), name, STARTUP + 2, constraints_func=lambda frozen: [0.0])
    assert not caught


def test_a_first_point_joins_the_first_generation():
    space, study = space_of(), memory()
    best = {
        "contrastive.formulation": "clip",
        "contrastive.weight": 0.3,
        "head.kind": "none",
        "loss.ctc": 2.0,
    }
    trial, values = ask(study, space, "random", fixed=best)
    study.tell(trial, value_of(values))
    proposals = []
    while len(proposals) < POPULATION + 20:
        trial, values = ask(study, space, "nsga2")
        study.tell(trial, value_of(values))
        proposals.append(values)
    assert not any(values["contrastive.weight"] == 0.3 for values in proposals[: POPULATION - 1])
    assert any(values["contrastive.weight"] == 0.3 for values in proposals[POPULATION - 1 :]), (
        "no child has anything of the best point"
    )


# --- the bounded history ---


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_long_history_is_shown_in_part(objectives):
    space, study = space_of(), memory(objectives)
    study.add_trials(past(space, 1000, random.Random(0), objectives))
    running = [study.ask().number for _ in range(3)]
    shown = History().shown(study, -1, 200)
    numbers = [trial.number for trial in shown]
    assert numbers == sorted(numbers) and len(numbers) == 203 and numbers[-3:] == running
    latest = set(range(1000 - (200 - BEST), 1000))
    assert latest <= set(numbers)
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if objectives == 1:
        assert {
            trial.number for trial in sorted(complete, key=lambda trial: -trial.value)[:BEST]
        } <= set(numbers)
    else:
        front = {trial.number for trial in study.best_trials}
        assert len(front & set(numbers)) == min(len(front), BEST) or front <= set(numbers)


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_history_read_as_it_grows_is_that_of_the_whole_study(objectives):
    """Trials end in another order than they began; a failure and a duplicate are among them."""
    space, study, rng, growing = space_of(), memory(objectives), random.Random(2), History()
    running = []
    for number in range(300):
        trial = study.ask()
        values = values_of(trial, space)
        if number % 50 == 7:
            study.tell(study.ask(), state=TrialState.FAIL)
        running.append((trial, values))
        if len(running) == 4:
            tell(study, *running.pop(rng.randrange(4)))
        shown, again = (history.shown(study, trial.number, 100) for history in (growing, History()))
        assert [each.number for each in shown] == [each.number for each in again]
    assert len(growing.shown(study, -1, 100)) == 100 + len(running)
    assert len(growing.shown(study, -1)) == 300, "all of ours, and no duplicate"


@pytest.mark.parametrize("complete", [0, 20, 300])
def test_the_best_are_the_ones_that_tpe_takes_for_good(complete):
    """TPE's own division of all trials is the oracle."""
    from optuna.samplers._tpe.sampler import _split_trials

    rng, space = random.Random(1), space_of()
    trials = past(space, 400, rng, pruned=0)
    for trial in trials[complete:]:
        trial.state, trial.values, trial.intermediate_values = (
            TrialState.PRUNED,
            None,
            {rng.choice([5, 15]): rng.gauss(0, 1)},
        )
    study = memory()
    study.add_trials(trials)
    violations = {
        trial.number: rng.choice([-1.0, 0.5, 2.0]) if trial.number % 3 == 0 else -1.0
        for trial in study.trials
    }
    for trial in study.get_trials(deepcopy=False):
        trial.system_attrs["constraints"] = [violations[trial.number]]
    below, _ = _split_trials(study, study.get_trials(deepcopy=False), 25)
    best = best_first(
        study.get_trials(deepcopy=False), 25, lambda trial: [violations[trial.number]]
    )
    assert {trial.number for trial in best} == {trial.number for trial in below}


def test_parents_are_shown_however_old_they_are():
    space, study = space_of(), memory()
    study.add_trials(past(space, 1000, random.Random(0)))
    complete = [trial.number for trial in study.trials if trial.state == TrialState.COMPLETE]
    for generation, parents in enumerate([complete[:2], complete[2:4], complete[4:6]], 9):
        study._storage.set_study_system_attr(study._study_id, f"parents:{generation}", parents)
    running = study.ask().number
    shown = [
        trial.number
        for trial in generations(study, History().shown(study, -1), "generation", "parents:")
    ]
    assert shown == [*complete[2:6], *complete[1 - LATEST :], running]


def test_tpe_proposes_as_well_from_a_part_as_from_all(monkeypatch):
    space, means = space_of(), {}
    for limit in (HISTORY["tpe"], None):
        monkeypatch.setitem(HISTORY, "tpe", limit)
        study = memory()
        study.add_trials(past(space, 1000, random.Random(0)))
        values = []
        for number in range(25):
            study.sampler = build_sampler(
                space, "tpe", space.parameters, number, study_seed=0, number=0
            )
            trial = study.ask()
            values.append(value_of(values_of(trial, space)))
            study.tell(trial, values[-1])
        means[limit] = np.mean(values)
    chance = np.mean([value_of(space.random_values(seed)) for seed in range(200)])
    assert means[HISTORY["tpe"]] > means[None] - 0.1 * (means[None] - chance)


def test_a_pruned_trial_counts_with_its_best_value_for_the_gp_and_a_failed_one_as_the_worst():
    study = memory()
    for state, value, curve in [
        (TrialState.COMPLETE, 3.0, {1: 3.0}),
        (TrialState.COMPLETE, 2.0, {}),
        (TrialState.PRUNED, None, {}),
        (TrialState.PRUNED, None, {1: 0.5, 2: 0.4}),
        (TrialState.FAIL, None, {1: 9.0}),
    ]:
        study.add_trial(
            create_trial(
                state=state, value=value, intermediate_values=curve, user_attrs={"proposal": "{}"}
            )
        )
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"duplicate": True}))
    assert [trial.values for trial in all_complete(History().shown(study, -1))] == [
        [3.0],
        [2.0],
        [2.0],
        [0.5],
        [2.0],
    ]
    assert [trial.state for trial in study.trials][2:] == [TrialState.PRUNED] * 2 + [
        TrialState.FAIL
    ] * 2, "the study itself is as it was"
    assert all_complete([]) == []


# --- the sequence of qmc ---


def test_qmc_spreads_more_evenly_than_chance_also_where_parameters_are_conditional():
    space, spread = space_of(), {}
    for name in ("qmc", "random"):
        proposals = run(memory(), space, name, 128)
        shares = np.sort(
            [math.log(values["contrastive.weight"] / 0.01) / math.log(3000) for values in proposals]
        )
        spread[name] = np.abs(shares - (np.arange(128) + 0.5) / 128).max()  # the discrepancy
        layers = [values["head.layers"] for values in proposals if values["head.kind"] == "mlp"]
    assert spread["qmc"] < 0.02 < spread["random"] and sorted(set(layers)) == [1, 2, 3]


def test_the_nth_point_of_qmc_is_scipys():
    from scipy.stats.qmc import Sobol

    from ganhtr.seeds import derive_seed
    from tune.searcher.samplers import SobolSampler

    keys = ["a", "b", "c"]
    whole = Sobol(3, scramble=True, seed=derive_seed(5, "sobol", 0)).random(16)
    assert np.array_equal(
        np.stack([SobolSampler(keys, 5, number).point(0) for number in range(16)]), whole
    )


# --- the grid ---


def test_the_grid_is_visited_once_in_an_order_of_the_seed():
    space = space_of(
        {key: parameter for key, parameter in SEARCHED.items() if key != "contrastive.weight"},
        FORBIDDEN,
    )
    orders = []
    for seed in (0, 1):
        taken, order = {}, []
        while (
            point := grid_point(shuffled_grid(space, space.parameters, seed), taken)
        ) is not None:
            assert not space.forbids(point)
            order.append(values_key(point))
            taken[frozenset({*values_key(point), ("loss.gan", "1.0")})] = 1  # with a derived value
        orders.append(order)
    assert (
        set(orders[0]) == {values_key(point) for point in space.grid()}
        and len(orders[0]) == len(set(orders[0])) == 5 * 10
    )
    assert orders[0] != orders[1] and sorted(map(sorted, orders[0])) == sorted(
        map(sorted, orders[1])
    )


def test_a_point_of_the_grid_is_proposed_as_it_is():
    space = space_of(
        {key: parameter for key, parameter in SEARCHED.items() if key != "contrastive.weight"}
    )
    study = memory()
    for number, point in enumerate(space.grid()[:20]):
        study.sampler = build_sampler(
            space, "grid", space.parameters, number, study_seed=0, number=number, fixed=point
        )
        assert values_of(study.ask(), space) == point
