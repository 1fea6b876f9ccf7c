"""Pruners: each must give up, and must not, in scripted studies; their decisions are those of Optuna's and of plain recomputations."""

import json
import random

import numpy as np
import optuna
import pytest
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from optuna.pruners import MedianPruner as OptunasMedian
from optuna.trial import TrialState
from scipy.stats import wilcoxon

from tune.searcher.pruners import LINE_VALUES, MEDIAN_AFTER, REDUCTION, build_pruner
from tune.study.journal import open_journal

WARMUP, EPOCHS = 2, 20


def study_of(pruner, storage=None):
    return optuna.create_study(
        storage=storage, study_name="on", direction="maximize", pruner=pruner, load_if_exists=True
    )


def named(name, folder=None, objective="score", warmup=WARMUP, epochs=EPOCHS):
    return build_pruner(name, warmup, epochs, folder, objective)


def start(study):
    trial = study.ask()
    trial.set_user_attr("proposal", json.dumps({"id": f"on-{trial.number:03d}"}))
    return trial


def curve(study, values, first=1):
    """Reports a trial's curve until it is given up: the trial, and the epoch it was given up at or None."""
    trial = start(study)
    for epoch, value in enumerate(values, first):
        trial.report(value, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return trial, epoch
    study.tell(trial, max(values))
    return trial, None


def climbing(count, rng):
    """Curves that never fall, where Optuna's rules (values of an epoch) and ours (best so far) are the same."""
    return [
        (rng.gauss(0, 1) + np.cumsum([abs(rng.gauss(0, 0.3)) for _ in range(EPOCHS)])).tolist()
        for _ in range(count)
    ]


def interleaved(study, curves, rng, slots=5):
    """Runs curves as a search with several slots does, one epoch here and one there; trial -> epoch at which it was given up."""
    waiting, running, ended = list(enumerate(curves)), [], {}
    while waiting or running:
        while waiting and len(running) < slots:
            number, values = waiting.pop(0)
            running.append([start(study), number, values, 0])
        turn = rng.choice(running)
        trial, number, values, epoch = turn
        trial.report(values[epoch], epoch + 1)
        turn[3] += 1
        pruned = trial.should_prune()
        if pruned or turn[3] == len(values):
            running.remove(turn)
            ended[number] = epoch + 1 if pruned else None
            study.tell(
                trial,
                None if pruned else max(values[: turn[3]]),
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
            )
    return ended


# --- the same decisions as Optuna's ---


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("asha", lambda: SuccessiveHalvingPruner(min_resource=WARMUP, reduction_factor=REDUCTION)),
        (
            "hyperband",
            lambda: HyperbandPruner(
                min_resource=WARMUP, max_resource=EPOCHS - 1, reduction_factor=REDUCTION
            ),
        ),
        (
            "median",
            lambda: OptunasMedian(
                n_startup_trials=MEDIAN_AFTER, n_warmup_steps=WARMUP, n_min_trials=MEDIAN_AFTER
            ),
        ),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decisions_are_optunas_where_curves_never_fall(name, theirs, seed):
    curves = climbing(80, random.Random(seed))
    ours = interleaved(study_of(named(name)), curves, random.Random(seed))
    assert ours == interleaved(study_of(theirs()), curves, random.Random(seed))
    assert None in ours.values() and sum(epoch is not None for epoch in ours.values()) > 10


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_pruner_made_anew_at_any_moment_decides_the_same(name, tmp_path):
    rng = random.Random(3)
    curves = [[rng.gauss(0, 1) for _ in range(EPOCHS)] for _ in range(50)]
    whole = interleaved(study_of(named(name)), curves, random.Random(0))
    other = random.Random(0)
    study, parts = study_of(named(name), open_journal(tmp_path / "journal")), {}
    waiting, running = list(enumerate(curves)), []
    while (
        waiting or running
    ):  # the same order, with study and pruner opened again before every decision
        while waiting and len(running) < 5:
            number, values = waiting.pop(0)
            running.append([start(study), number, values, 0])
        turn = other.choice(running)
        turn[0].report(turn[2][turn[3]], turn[3] + 1)
        turn[3] += 1
        pruned = named(name).prune(study, study.trials[turn[0].number])
        if pruned or turn[3] == EPOCHS:
            running.remove(turn)
            parts[turn[1]] = turn[3] if pruned else None
            study.tell(
                turn[0],
                None if pruned else max(turn[2]),
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
            )
    assert parts == whole and None in whole.values() and any(whole.values())


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "wilcoxon", "none"])
def test_nothing_is_given_up_in_the_warm_up(name, tmp_path):
    study = study_of(named(name, tmp_path, warmup=6))
    for number in range(20):
        trial, epoch = curve(study, [10.0 - number] * EPOCHS)
        write_lines(tmp_path, trial, 10.0 - number)
        assert epoch is None or epoch >= 6


# --- ASHA and Hyperband ---


def test_asha_keeps_the_best_third_at_each_rung():
    """Recomputed with plain lists: rungs at 2, 6 and 18."""
    rng, study, rungs, found = random.Random(5), study_of(named("asha")), {2: [], 6: [], 18: []}, []
    for _ in range(60):
        values = [rng.gauss(0, 1) for _ in range(EPOCHS)]
        expected = None
        for rung, held in rungs.items():
            held.append(max(values[:rung]))
            if held[-1] < sorted(held, reverse=True)[max(1, len(held) // 3) - 1]:
                expected = rung
                break
        found.append(curve(study, values)[1] == expected)
    assert all(found) and len(rungs[18]) >= 3


def test_asha_in_a_script():
    study = study_of(named("asha"))
    assert curve(study, [1.0] * EPOCHS)[1] is None, "the first has no rival"
    assert curve(study, [2.0] * EPOCHS)[1] is None, "better than all"
    assert curve(study, [1.5] * EPOCHS)[1] == 2, "of three the best goes on"
    assert curve(study, [3.0, 0.0, *[0.0] * 18])[1] is None, "its best epoch counts"
    assert curve(study, [2.0, 2.0, 9.0])[1] == 2


def test_equal_trials_go_on():
    study = study_of(named("asha"))
    assert [curve(study, [1.0] * EPOCHS)[1] for _ in range(7)] == [None] * 7
    assert [curve(study, [0.9] * EPOCHS)[1], curve(study, [1.0] * EPOCHS)[1]] == [2, None]


def test_a_trial_is_compared_at_rungs_alone():
    study = study_of(named("asha"))
    curve(study, [1.0] * EPOCHS)
    assert curve(study, [2.0, 2.0, *[-9.0] * 18])[1] is None


def test_trials_of_earlier_studies_do_not_count():
    for name in ("asha", "median"):
        study = study_of(named(name))
        for _ in range(9):
            study.add_trial(
                optuna.trial.create_trial(
                    value=9.0,
                    intermediate_values=dict.fromkeys(range(1, 21), 9.0),
                    user_attrs={"warm_start": "x"},
                )
            )
        assert curve(study, [1.0] * EPOCHS)[1] is None


def test_hyperband_compares_within_a_bracket():
    study = study_of(named("hyperband"))
    pruner, given = study.pruner, {}
    for _ in range(120):
        trial, epoch = curve(
            study, [-float(len(study.trials))] * EPOCHS
        )  # each is worse than all before
        given.setdefault(pruner.bracket(study, trial), []).append(epoch)
    assert [set(given[s]) - {None} for s in sorted(given)] == [{2}, {6}, {18}], (
        "bracket s starts at 2 x 3^s"
    )
    assert all(epochs[0] is None and None not in epochs[1:] for epochs in given.values()), (
        "the first of each bracket has no rival"
    )
    counts = [len(given[s]) for s in sorted(given)]
    assert counts[0] > counts[1] and sum(counts) == 120  # shares 9 : 5 : 3


@pytest.mark.parametrize("epochs", [1, 2])
def test_short_trials_are_never_given_up(epochs):
    for name in ("asha", "hyperband"):
        study = study_of(named(name, warmup=2, epochs=epochs))
        assert all(curve(study, [-float(number)] * epochs)[1] is None for number in range(9))


# --- the median ---


def test_the_median_recomputed_with_numpy():
    rng, study, finished, found = random.Random(7), study_of(named("median")), [], []
    for _ in range(60):
        level = rng.gauss(0, 1)
        values = [level + rng.gauss(0, 0.3) for _ in range(rng.choice([6, EPOCHS]))]
        best = np.maximum.accumulate(values)
        expected = None
        for epoch in range(WARMUP, len(values) + 1):
            held = [other[epoch - 1] for other in finished if len(other) >= epoch]
            if len(held) >= MEDIAN_AFTER and best[epoch - 1] < np.median(held):
                expected = epoch
                break
        found.append(curve(study, values)[1])
        assert found[-1] == expected
        if expected is None:
            finished.append(best)
    assert None in found and len(set(found)) > 3, found


def test_the_median_counts_finished_trials_alone():
    study = study_of(named("median"))
    for _ in range(MEDIAN_AFTER - 1):
        curve(study, [5.0] * EPOCHS)
    halted = start(study)
    halted.report(9.0, 2)
    study.tell(halted, state=TrialState.PRUNED)
    assert curve(study, [1.0] * 2)[1] is None
    curve(study, [5.0] * EPOCHS)
    assert curve(study, [1.0] * EPOCHS)[1] == 2 and curve(study, [5.0] * EPOCHS)[1] is None


# --- Wilcoxon ---


def write_lines(folder, trial, level, epochs=range(1, EPOCHS + 1), seed=0, count=60, noise=1.0):
    """Per-line values about `level`: lines differ more from each other than trials do."""
    easy = np.random.default_rng(99).normal(0, 5, count)
    own = np.random.default_rng([seed, trial.number]).normal(0, noise, count)
    lengths = np.random.default_rng(98).integers(0, 30, count)
    path = folder / json.loads(trial.user_attrs["proposal"])["id"] / "lines"
    path.mkdir(parents=True, exist_ok=True)
    edits = np.random.default_rng([seed, trial.number, 1]).integers(0, 10, count)
    arrays = {
        "psnr": level + easy + own,
        "ssim": (level + easy + own) / 100,
        "guide_char_edits": edits,
        "guide_char_lengths": lengths,
        "guide_word_edits": edits // 3,
        "guide_word_lengths": lengths // 5,
        "judge_char_edits": edits * 0,
    }
    for epoch in epochs:
        np.savez_compressed(path / f"epoch_{epoch:04d}.npz", **arrays)
    return arrays


def told(study, value, epochs=5, state=TrialState.COMPLETE, **attributes):
    trial = start(study)
    for key, held in attributes.items():
        trial.set_user_attr(key, held)
    for epoch in range(1, epochs + 1):
        trial.report(value, epoch)
    if state != TrialState.RUNNING:
        study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
    return trial


def test_wilcoxon_gives_up_what_is_worse_line_by_line(tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    best = write_lines(tmp_path, told(study, 20.0), 20.0)["psnr"]
    one_line = np.zeros(60)
    one_line[0] = -30  # then the mean is worse for a single line's sake, or better
    for change, gone in [
        (np.full(60, -0.1), True),
        (np.full(60, 0.1), False),
        (one_line + 0.1, False),
        (-one_line - 0.1, False),
        (np.zeros(60), False),
    ]:
        trial = told(study, 19.0, state=TrialState.RUNNING)
        write_lines(tmp_path, trial, 0.0)
        np.savez_compressed(
            tmp_path / f"on-{trial.number:03d}/lines/epoch_0005.npz", psnr=best + change
        )
        assert trial.should_prune() == gone
        study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize("objective", list(LINE_VALUES))
def test_wilcoxon_is_scipys_on_the_lines_of_the_objective(objective, tmp_path):
    def lines(arrays):
        rates = {
            unit: np.array(
                [
                    edits / (length or 1)
                    for edits, length in zip(
                        arrays[f"guide_{unit}_edits"], arrays[f"guide_{unit}_lengths"], strict=True
                    )
                ]
            )
            for unit in ("char", "word")
        }
        return {
            "score": arrays["psnr"] - 50 * rates["char"],
            "psnr": arrays["psnr"],
            "ssim": arrays["ssim"],
            "cer": -rates["char"],
            "wer": -rates["word"],
        }[objective]

    found = []
    for seed in range(40):
        study = study_of(named("wilcoxon", tmp_path / str(seed), objective))
        best = write_lines(tmp_path / str(seed), told(study, 20.0), 20.0, seed=seed)
        trial = told(study, 19.0, state=TrialState.RUNNING)
        own = write_lines(tmp_path / str(seed), trial, 19.8, seed=seed)
        difference = lines(own) - lines(best)
        expected = wilcoxon(difference, alternative="less").pvalue < 0.05 and difference.mean() < 0
        found.append(trial.should_prune())
        assert found[-1] == expected
    assert {True, False} == set(found)


def test_the_best_trial_is_never_compared_with_itself_but_with_the_next(tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    low, high = (told(study, level, state=TrialState.RUNNING) for level in (10.0, 20.0))
    for trial, level in ((low, 10.0), (high, 20.0)):
        write_lines(tmp_path, trial, level)
    assert low.should_prune() and not high.should_prune(), "a trial that runs can be the best"
    write_lines(tmp_path, high, 5.0)
    assert high.should_prune(), "it was the best once, but its lines are worse now"


@pytest.mark.parametrize(
    "state, attributes",
    [(TrialState.PRUNED, {}), (TrialState.FAIL, {}), (TrialState.COMPLETE, {"constraints": [0.1]})],
)
def test_what_cannot_win_is_no_measure(state, attributes, tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    write_lines(tmp_path, told(study, 20.0, state=state, **attributes), 20.0)
    trial = told(study, 10.0, state=TrialState.RUNNING)
    write_lines(tmp_path, trial, 10.0)
    assert not trial.should_prune()
    write_lines(tmp_path, told(study, 15.0, constraints=[-0.1]), 15.0)
    assert trial.should_prune()


@pytest.mark.parametrize("fault", ["missing", "torn", "pickle", "other lines", "no array"])
def test_without_the_same_lines_of_that_epoch_nothing_is_given_up(fault, tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    best = told(study, 20.0)
    write_lines(tmp_path, best, 20.0)
    trial = told(study, 10.0, state=TrialState.RUNNING)
    write_lines(tmp_path, trial, 10.0)
    path = tmp_path / "on-000/lines/epoch_0005.npz"
    held = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        path.write_bytes(held[: len(held) // 2])
    elif fault == "pickle":
        np.savez_compressed(path, psnr=np.array([object()] * 60))
    elif fault == "no array":
        np.savez_compressed(path, ssim=np.zeros(60))
    else:
        np.savez_compressed(path, psnr=np.full(61, 20.0))
    assert not trial.should_prune()
    path.write_bytes(held)
    assert trial.should_prune()


def test_none_gives_nothing_up():
    study = study_of(named("none"))
    for number in range(12):
        assert curve(study, [-float(number)] * EPOCHS)[1] is None
