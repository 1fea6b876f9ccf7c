"""The part of report.md on the search: trials, importance, region, front; in a long search too."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.tune.made_search import SPACE, made_search
from tests.tune.made_study import Made, make_study
from tune.reporting.pair import default_pair
from tune.reporting.problems import problems
from tune.reporting.study_report import write_report
from tune.reporting.trial_section import MAX_SHOWN, in_order, trial_section
from tune.space.constraint import Constraint


@pytest.fixture
def searched(tmp_path, request_of):
    """searched(rows): text and study folder of a report on an OFF trial and these rows.

    Only the best of the rows has a folder.
    """

    def write(rows, space=SPACE):
        folder, request, made = make_study(
            tmp_path,
            request_of(of=space),
            [Made("off-000", 0), Made("on-000", 0)],
            experiment=False,
        )
        best = max(
            (row for row in rows if row.finished and row.feasible), key=lambda row: row.value
        )
        if best.id != "on-000":
            shutil.copytree(folder.path / "trials/on-000", folder.path / "trials" / best.id)
        write_report(folder, request, [made[0], *rows], images=False)
        return (folder.path / "report.md").read_text(), folder

    return write


def test_a_search_of_ten_thousand_is_reported_and_stays_readable(searched):
    """Of 10,000 trials one has a folder: the others' files are not read."""
    rows = made_search(10_000, pruned=0.6)
    text, folder = searched(rows)
    assert len(text) < 60_000 and f"{MAX_SHOWN + 1} of 10,001 trials are shown" in text
    counts = {
        status: sum(row.status == status for row in rows) for status in ("pruned", "complete")
    }
    assert f"{counts['pruned']:,} pruned, {counts['complete'] + 1:,} complete" in text
    assert (
        "`contrastive.weight`" in text
        and "![the expected score over the space](region.png)" in text
    )
    assert (folder.path / "region.png").stat().st_size < 200_000


def test_the_sections_come_in_order(searched):
    headings = [
        line[3:]
        for line in searched(made_search(60, 0.5))[0].splitlines()
        if line.startswith("## ")
    ]
    assert headings[:4] == [
        "Verdict",
        "Trials",
        "Parameter importance",
        "Good region",
    ] and headings[4].startswith("OFF against on-")


def test_an_old_image_of_a_region_does_not_outlive_it(tmp_path, request_of):
    folder, request, made = make_study(
        tmp_path, request_of(of=SPACE), [Made("off-000", 0), Made("on-000", 0)], experiment=False
    )
    (folder.path / "region.png").write_bytes(b"old")
    write_report(folder, request, made, images=False)
    assert not (folder.path / "region.png").exists()


def test_several_objectives_have_a_front(searched):
    space = replace(SPACE, objectives=("psnr", "cer"))
    text, _ = searched(made_search(30), space)
    assert (
        "## Pareto front" in text and "not dominated by another in score and cer" in text
    )  # environment.json says score


def test_trials_are_ordered_by_what_can_win():
    one = made_search(1)[0]
    trials = {
        "a": ("complete", 1.0, True),
        "b": ("complete", 9.0, False),
        "c": ("pruned", 8.0, True),
        "d": ("stopped", 2.0, True),
        "e": ("failed", None, True),
        "f": ("waiting", 3.0, True),
        "g": ("pruned", 8.5, True),
        "h": ("halted", 7.0, True),
    }
    rows = [
        replace(one, id=name, status=status, value=value, feasible=kept)
        for name, (status, value, kept) in trials.items()
    ]
    assert "".join(row.id for row in in_order(rows)) == "dabgchef"
    text = "\n".join(trial_section(rows, "psnr", [Constraint("psnr", "below_off", 0.5)]))
    assert (
        "| complete, breaks a constraint |" in text.replace("  ", "")
        and "PSNR at most 0.5 dB below OFF" in text
    )
    assert (
        "*pruned*: stopped by the pruner" in text
        and "*halted*: stopped by the user" in text
        and "*waiting*: continues" in text
    )
    plain = "\n".join(trial_section(rows[:1], "psnr"))
    assert "pruned" not in plain and "must meet" not in plain and "are shown" not in plain


def test_the_best_of_off_is_shown_wherever_it_ranks():
    rows = [*made_search(200), replace(made_search(1)[0], id="off-000", arm="off", value=-99.0)]
    text = "\n".join(trial_section(rows, "psnr"))
    assert (
        text.count("| on-") == MAX_SHOWN
        and "| off-000 |" in text
        and f"{MAX_SHOWN + 1} of 201 trials" in text
    )


def test_an_off_arm_that_searches_is_compared_at_its_best_configuration(tmp_path, request_of):
    trials = [
        Made("off-000", 0, [10.0, 20.0], values={"loss.ctc": 1.0}),
        Made("off-001", 0, [10.0, 22.0], values={"loss.ctc": 2.0}),
        Made("off-002", 1, [10.0, 21.0], values={"loss.ctc": 2.0}),
        Made("on-000", 0, [10.0, 19.0]),
    ]
    folder, _, rows = make_study(tmp_path, request_of(), trials, experiment=False)
    pair = default_pair(folder, rows)
    assert [trial.row.id for trial in pair.first.trials] == [
        "off-001",
        "off-002",
    ] and pair.first.config["loss.ctc"] == 2.0


def test_a_long_list_of_trials_that_wait_is_cut():
    rows = [replace(row, status="waiting") for row in made_search(30)]
    text = next(
        problem.text
        for problem in problems(rows, None, [], {}, {}, "score")
        if "unfinished" in problem.title
    )
    assert "on-007 and 22 more." in text and len(text) < 200


def test_a_search_without_enough_trials_says_so(searched):
    text, _ = searched(made_search(5))
    assert (
        "parameter importance needs 10 finished contrastive trials" in text
        and "No region stands out" in text
    )


def test_weak_recognizers_leave_one_objective_of_two_that_are_the_same(searched, tmp_path):
    space = replace(
        SPACE, objectives=("cer", "score")
    )  # environment.json: the search maximised score instead of cer
    text, folder = searched(made_search(20), space)
    assert (
        json.loads((folder.path / "environment.json").read_text())["objective"] == "score"
        and "## Pareto front" not in text
    )
