"""Tests of pruners in scripted studies; decisions are compared with plain recomputations."""

import json
import random

import numpy as np
import optuna
import pytest
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState
from scipy.stats import wilcoxon

from tune.metric import OBJECTIVES
from tune.searcher.pruners import MEDIAN_AFTER, PRUNERS, REDUCTION, build_pruner
from tune.space.settings import PRUNERS as NAMES
from tune.study.journal import open_journal

WARMUP, EPOCHS = 2, 20
RUNGS = (2, 6, 18)


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


def curve(study, values):
    """Report a trial's best value so far, epoch by epoch, until it is stopped.

    Returns the trial, and the epoch of the stop or None.
    """
    trial = start(study)
    for epoch in range(1, len(values) + 1):
        trial.report(max(values[:epoch]), epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return trial, epoch
    study.tell(trial, max(values))
    return trial, None


def noisy(count, rng):
    """Curves about a level of their own, with noise."""
    levels = [rng.gauss(0, 1) for _ in range(count)]
    return [[level + rng.gauss(0, 0.5) for _ in range(EPOCHS)] for level in levels]


def interleaved(study, curves, rng, prune=lambda study, trial: trial.should_prune(), slots=5):
    """Run curves as a search with several slots does, with their epochs interleaved.

    Returns the epoch of the stop by trial number.
    """
    waiting, running, ended = list(enumerate(curves)), [], {}
    while waiting or running:
        while waiting and len(running) < slots:
            number, values = waiting.pop(0)
            running.append([start(study), number, values, 0])
        turn = rng.choice(running)
        turn[3] += 1
        trial, number, values, epoch = turn
        best = max(values[:epoch])
        trial.report(best, epoch)
        pruned = prune(study, trial)
        if pruned or epoch == len(values):
            running.remove(turn)
            ended[number] = epoch if pruned else None
            study.tell(
                trial,
                None if pruned else best,
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
            )
    return ended


def test_the_pruners_are_those_that_a_space_file_may_name():
    assert tuple(PRUNERS) == NAMES
    with pytest.raises(KeyError, match="ahsa"):
        named("ahsa")


# --- decisions and interruptions ---


@pytest.mark.parametrize(
    "name, optunas",
    [
        ("asha", lambda: SuccessiveHalvingPruner(min_resource=WARMUP, reduction_factor=REDUCTION)),
        (
            "hyperband",
            lambda: HyperbandPruner(
                min_resource=WARMUP, max_resource=EPOCHS - 1, reduction_factor=REDUCTION
            ),
        ),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_interruptions_decisions_are_optunas(name, optunas, seed):
    curves = noisy(80, random.Random(seed))
    ours = interleaved(study_of(named(name)), curves, random.Random(seed))
    assert ours == interleaved(study_of(optunas()), curves, random.Random(seed))
    assert None in ours.values() and sum(epoch is not None for epoch in ours.values()) > 10


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_pruner_made_anew_at_any_moment_decides_the_same(name, tmp_path):
    curves = noisy(50, random.Random(3))
    whole = interleaved(study_of(named(name)), curves, random.Random(0))
    parts = interleaved(
        study_of(named(name), open_journal(tmp_path / "journal")),
        curves,
        random.Random(0),
        lambda study, trial: named(name).prune(study, study.trials[trial.number]),
    )
    assert parts == whole and None in whole.values() and any(whole.values())


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_decision_that_a_kill_swallowed_is_made_again(name, tmp_path):
    """The process dies after the decision, at every rung.

    At that moment the trial has neither continued nor been recorded as pruned.
    """
    path, answers = tmp_path / "journal", []

    def decide_three_times(study, trial):
        pruned = trial.should_prune()
        for _ in range(2 if trial._cached_frozen_trial.last_step in RUNGS else 0):
            again = study_of(named(name), open_journal(path))
            answers.append((pruned, again.pruner.prune(again, again.trials[trial.number])))
        return pruned

    curves = noisy(60, random.Random(4))
    killed = interleaved(
        study_of(named(name), open_journal(path)), curves, random.Random(0), decide_three_times
    )
    assert {first for first, _ in answers} == {True, False} and all(
        first == second for first, second in answers
    )
    assert killed == interleaved(study_of(named(name)), curves, random.Random(0))


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_trials_that_were_interrupted_at_a_rung_count_once_there(name, tmp_path):
    """Every trial is interrupted after its value is written at the rung and before the decision."""
    curves = noisy(60, random.Random(6))
    whole = interleaved(study_of(named(name)), curves, random.Random(1), slots=1)
    path = tmp_path / "journal"

    def interrupted(study, trial):
        if trial._cached_frozen_trial.last_step in RUNGS:
            lost = study_of(
                named(name).pruner, open_journal(path)
            )  # writes the value; the decision is lost
            lost.pruner.prune(lost, lost.trials[trial.number])
        return trial.should_prune()

    assert (
        interleaved(
            study_of(named(name), open_journal(path)),
            curves,
            random.Random(1),
            interrupted,
            slots=1,
        )
        == whole
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_stopped_in_the_warm_up(name, tmp_path):
    study, stopped = study_of(named(name, tmp_path, warmup=6)), []
    for number in range(20):
        trial, epoch = curve(study, [10.0 - number] * EPOCHS)
        write_lines(tmp_path, trial, 10.0 - number)
        stopped.append(epoch)
    assert all(epoch is None or epoch >= 6 for epoch in stopped)


# --- ASHA and Hyperband ---


def test_asha_keeps_the_best_third_at_each_rung():
    """Recomputed with plain lists."""
    rng, study, rungs, same = (
        random.Random(5),
        study_of(named("asha")),
        {rung: [] for rung in RUNGS},
        [],
    )
    for _ in range(60):
        values = [rng.gauss(0, 1) for _ in range(EPOCHS)]
        expected = None
        for rung, reached in rungs.items():
            reached.append(max(values[:rung]))
            if reached[-1] < sorted(reached, reverse=True)[max(1, len(reached) // 3) - 1]:
                expected = rung
                break
        same.append(curve(study, values)[1] == expected)
    assert all(same) and len(rungs[18]) >= 3


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
    curve(study, [1.0, 1.0, *[5.0] * 18])
    assert curve(study, [2.0] * EPOCHS)[1] == 6, "worse than the first trial from epoch 3 on"


def test_trials_of_earlier_studies_do_not_count(tmp_path):
    for name in ("asha", "hyperband", "median", "wilcoxon"):
        study = study_of(named(name, tmp_path))
        for _ in range(9):
            study.add_trial(optuna.trial.create_trial(value=9.0, user_attrs={"warm_start": "x"}))
        assert [curve(study, [level] * EPOCHS)[1] for level in (1.0, 2.0)] == [None, None]


def test_hyperband_compares_within_a_bracket():
    study = study_of(named("hyperband"))
    brackets = {}
    for _ in range(120):
        trial, epoch = curve(
            study, [-float(len(study.trials))] * EPOCHS
        )  # each is worse than all before
        brackets.setdefault(study.pruner.pruner._get_bracket_id(study, trial), []).append(epoch)
    assert [set(brackets[s]) - {None} for s in sorted(brackets)] == [{2}, {6}, {18}], (
        "bracket s starts at 2 x 3^s"
    )
    assert all(epochs[0] is None and None not in epochs[1:] for epochs in brackets.values()), (
        "the first of each bracket has no rival"
    )
    counts = [len(brackets[s]) for s in sorted(brackets)]
    assert counts[0] > counts[1] and sum(counts) == 120  # shares 9 : 5 : 3


def test_hyperband_samples_from_all_trials():
    """Optuna's samplers learn from one bracket alone where they find a `HyperbandPruner`."""
    study = study_of(named("hyperband"))
    assert optuna.pruners._filter_study(study, start(study)) is study


@pytest.mark.parametrize("name", ["asha", "hyperband"])
@pytest.mark.parametrize("epochs", [1, 2, 6])
def test_trials_that_end_at_the_first_rung_are_never_stopped(name, epochs):
    """Nobody asks at the last epoch, and no bracket starts there."""
    study = study_of(named(name, warmup=epochs, epochs=epochs))
    for number in range(9):
        trial = start(study)
        for epoch in range(1, epochs):
            trial.report(-float(number), epoch)
            assert not trial.should_prune()
        study.tell(trial, -float(number))
    assert name == "asha" or study.pruner.pruner._n_brackets in (None, 1)


# --- the median ---


def test_the_median_recomputed_with_numpy():
    rng, study, finished, stopped = random.Random(7), study_of(named("median")), [], []
    for _ in range(60):
        level = rng.gauss(0, 1)
        values = [level + rng.gauss(0, 0.3) for _ in range(rng.choice([6, EPOCHS]))]
        best = np.maximum.accumulate(values)
        expected = None
        for epoch in range(WARMUP, len(values) + 1):
            reached = [other[epoch - 1] for other in finished if len(other) >= epoch]
            if len(reached) >= MEDIAN_AFTER and best[epoch - 1] < np.median(reached):
                expected = epoch
                break
        stopped.append(curve(study, values)[1])
        assert stopped[-1] == expected
        if expected is None:
            finished.append(best)
    assert None in stopped and len(set(stopped)) > 3, stopped


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
    residual = np.random.default_rng([seed, trial.number]).normal(0, noise, count)
    lengths = np.random.default_rng(98).integers(0, 30, count)
    path = folder / json.loads(trial.user_attrs["proposal"])["id"] / "lines"
    path.mkdir(parents=True, exist_ok=True)
    edits = np.random.default_rng([seed, trial.number, 1]).integers(0, 10, count)
    arrays = {
        "psnr": level + easy + residual,
        "ssim": (level + easy + residual) / 100,
        "guide_char_edits": edits,
        "guide_char_lengths": lengths,
        "guide_word_edits": edits // 3,
        "guide_word_lengths": lengths // 5,
        "judge_char_edits": edits * 0,
    }
    for epoch in epochs:
        np.savez_compressed(path / f"epoch_{epoch:04d}.npz", **arrays)
    return arrays


def reported(study, value, epochs=5, state=TrialState.COMPLETE, **attributes):
    trial = start(study)
    for key, attribute in attributes.items():
        trial.set_user_attr(key, attribute)
    for epoch in range(1, epochs + 1):
        trial.report(value, epoch)
    if state != TrialState.RUNNING:
        study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
    return trial


def test_wilcoxon_gives_up_what_is_worse_line_by_line(tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    best = write_lines(tmp_path, reported(study, 20.0), 20.0)["psnr"]
    one_line = np.zeros(60)
    one_line[0] = -30  # then the mean is worse for a single line's sake, or better
    for change, gone in [
        (np.full(60, -0.1), True),
        (np.full(60, 0.1), False),
        (one_line + 0.1, False),
        (-one_line - 0.1, False),
        (np.zeros(60), False),
    ]:
        trial = reported(study, 19.0, state=TrialState.RUNNING)
        write_lines(tmp_path, trial, 0.0)
        np.savez_compressed(
            tmp_path / f"on-{trial.number:03d}/lines/epoch_0005.npz", psnr=best + change
        )
        assert trial.should_prune() == gone
        study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize("objective", list(OBJECTIVES))
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

    stopped = []
    for seed in range(40):
        study = study_of(named("wilcoxon", tmp_path / str(seed), objective))
        best = write_lines(tmp_path / str(seed), reported(study, 20.0), 20.0, seed=seed)
        trial = reported(study, 19.0, state=TrialState.RUNNING)
        arrays = write_lines(tmp_path / str(seed), trial, 19.8, seed=seed)
        difference = lines(arrays) - lines(best)
        expected = wilcoxon(difference, alternative="less").pvalue < 0.05 and difference.mean() < 0
        stopped.append(trial.should_prune())
        assert stopped[-1] == expected
    assert {True, False} == set(stopped)


def test_the_best_trial_is_never_compared_with_itself_but_with_the_next(tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    low, high = (reported(study, level, state=TrialState.RUNNING) for level in (10.0, 20.0))
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
    write_lines(tmp_path, reported(study, 20.0, state=state, **attributes), 20.0)
    trial = reported(study, 10.0, state=TrialState.RUNNING)
    write_lines(tmp_path, trial, 10.0)
    assert not trial.should_prune()
    write_lines(tmp_path, reported(study, 15.0, constraints=[-0.1]), 15.0)
    assert trial.should_prune()


@pytest.mark.parametrize("fault", ["missing", "torn", "pickle", "other lines", "no array"])
def test_without_the_same_lines_of_that_epoch_nothing_is_given_up(fault, tmp_path):
    study = study_of(named("wilcoxon", tmp_path, "psnr"))
    best = reported(study, 20.0)
    write_lines(tmp_path, best, 20.0)
    trial = reported(study, 10.0, state=TrialState.RUNNING)
    write_lines(tmp_path, trial, 10.0)
    path = tmp_path / "on-000/lines/epoch_0005.npz"
    whole = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif fault == "pickle":
        np.savez_compressed(path, psnr=np.array([object()] * 60))
    elif fault == "no array":
        np.savez_compressed(path, ssim=np.zeros(60))
    else:
        np.savez_compressed(path, psnr=np.full(61, 20.0))
    assert not trial.should_prune()
    path.write_bytes(whole)
    assert trial.should_prune()


def test_none_gives_nothing_up():
    study = study_of(named("none"))
    for number in range(12):
        assert curve(study, [-float(number)] * EPOCHS)[1] is None
