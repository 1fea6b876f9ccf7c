"""What a report calls a problem."""

from dataclasses import replace

import pytest

from tests.tune.made_study import Made, make_study, two_arms
from tune.reporting.pair import default_pair
from tune.reporting.problems import problems

FINE = {"cer": 0.02, "judge_cer": 0.03}


@pytest.fixture
def met(tmp_path, request_of):
    """Problems of made trials: title -> text. `change` may alter the rows."""

    def build(trials, change=lambda row: row, **study):
        folder, _, rows = make_study(tmp_path, request_of(), trials, **study)
        rows = [change(row) for row in rows]
        pair = default_pair(folder, rows)
        compared = [trial.row for side in pair.compared for trial in side]
        listed = problems(
            rows, pair, compared, folder.read_json("environment.json"), {"clean": FINE}, "score"
        )
        return {problem.title: problem.text for problem in listed}

    return build


def test_there_are_none(met):
    assert met(two_arms()) == {}


def test_a_failed_trial_is_named_with_its_error_and_its_lost_seed(met):
    trials = two_arms()
    trials[4].status, trials[4].error = "failed", "Diverged: ctc <b>|\nx" + "y" * 1000
    texts = met(trials)
    assert texts["failed trials"].startswith(
        "1 trial failed and cannot win: on-001 (Diverged: ctc &lt;b>\\| [...]"
    )
    assert "on-001 (seed 1, failed) and off-001" not in texts["trials without a partner"]
    assert (
        "off-001 (seed 1, complete) and on-001 (seed 1, failed)"
        in texts["trials without a partner"]
    )


def test_many_failures_are_counted_and_those_of_the_pair_named(met):
    others = [
        Made(f"on-{n:03d}", 0, [], [], values={"contrastive.weight": float(n)}, status="failed")
        for n in range(10, 30)
    ]
    pair = two_arms()
    pair[3].status = "failed"
    text = met([*others, *pair])["failed trials"]
    assert text.startswith(
        "21 trials failed and cannot win: on-000 (the worker died"
    ) and text.endswith("; 13 more are in trials.csv.")


def test_recognizers(met):
    text = met(two_arms(), recognizers=(0.02, 0.45))["weak recognizers"]
    assert "0.02 (guide) and 0.45 (judge), above 0.30" in text and "maximised score" in text


def test_an_overfitted_guide(met):
    def overfit(row):
        return (
            replace(row, metrics={**row.metrics, "judge_cer": row.metrics["cer"] + 0.12})
            if row.id == "on-001"
            else row
        )

    assert list(met(two_arms(), overfit)) == ["an overfitted guide in on-001"]


def test_figures_that_are_null_are_no_overfitting(met):
    assert (
        met(two_arms(), lambda row: replace(row, metrics={**row.metrics, "judge_cer": None})) == {}
    )


def test_discriminators(met):
    def worse(row):
        last = {"accuracy_swapped": 0.3, "accuracy_real": 0.8, "accuracy_fake": 0.9}
        return (
            replace(row, peak_accuracy=0.5)
            if row.id == "off-000"
            else replace(row, last_metrics=last)
            if row.id == "on-000"
            else row
        )

    texts = met(two_arms(), worse)
    assert "1 of 6 trials (off-000)" in texts["a discriminator at chance"]
    assert "In on-000 " in texts["a discriminator that decides by the text"]


def test_infeasible_lines_and_values_that_are_no_number(met):
    trials = two_arms()
    for trial in trials:
        trial.diagnostics = {
            "train_infeasible": 0.01 if trial.arm == "on" else 0.03,
            "infeasible": 0.25,
        }
    trials[0].steps = {"feature": [[None, 0.1], [0.2, None]]}
    texts = met(trials)
    assert (
        "2.00 % of the training lines seen and in 25.00 % of the search-validation lines"
        in texts["infeasible lines"]
    )
    assert "2 in off-000." in texts["losses that are not finite"]


def test_notes_and_an_unfinished_study(met):
    trials = [
        *two_arms(),
        Made("on-003", 3, [], [], status="waiting"),
        Made("off-003", 3, [10.0], [0.5], status="running"),
    ]
    texts = met(trials, notes=["7 lines were squeezed"])
    assert "1 note (" in texts["notes on the data"]
    assert all(name in texts["an unfinished study"] for name in ("off-003", "on-003"))
