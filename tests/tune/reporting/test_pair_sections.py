"""report.md, whole: of made studies with known numbers, and of a true one."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import tune.driver
from tests.tune.made_study import Made, make_study, two_arms
from tune.commands.report import report
from tune.reporting.study_report import write_report
from tune.study.folder import StudyError

ROOT = Path(__file__).resolve().parents[3]
SECTIONS = [
    "Summary",
    "Set-up",
    "The arms",
    "Kept epoch",
    "Loss components at the end",
    "Stability",
    "Convergence",
    "Problems met",
    "Sample images",
    "Conclusion",
    "Files",
]


def sections_of(text):
    """Heading -> text of the parts under the pair's heading, in order."""
    parts = re.split(r"^### (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(text):
    """The rows of the tables in a text, each as its cells."""
    return [
        [word.strip() for word in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def row(text, *start):
    """The first table row that begins so."""
    return next(each for each in cells(text) if each[: len(start)] == list(start))


def well_formed(text):
    """Each table has as many cells in every row, and every image that is shown is there."""
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(each) for each in cells(block)}) == 1, block
    return True


@pytest.fixture
def report_of(tmp_path, request_of):
    """Writes the report of made trials: its text, what the terminal shows, the study's folder."""

    def build(trials, arms=None, images=True, draw=True, **study):
        folder, request, rows = make_study(tmp_path, request_of(), trials, **study)
        for trial in trials if draw else ():
            trial.draw(folder.path)
        terminal = write_report(folder, request, rows, arms, images)
        return (folder.path / "report.md").read_text(encoding="utf-8"), terminal, folder

    return build


def test_an_experiment_has_every_part_in_the_originals_order(report_of):
    text, terminal, folder = report_of(two_arms())
    parts = sections_of(text)
    assert list(parts) == SECTIONS and "## OFF against ON\n" in text and well_formed(text)
    assert (
        row(text, "OFF (mean of 3)")[1] == "21.000" and row(text, "ON (mean of 3)")[1] == "20.000"
    )
    assert row(parts["Summary"], "PSNR, dB")[2:] == [
        "21.000",
        "20.000",
        "-1.000",
        "-4.76 %",
        "OFF",
        "0.289",
        "-2.242 to +0.242",
    ]
    assert (
        row(parts["Summary"], "WER guide")[6] == "neither"
        and "Means over the seeds 0, 1 and 2, paired" in parts["Summary"]
    )
    assert row(parts["The arms"], "ON", "on-002") == [
        "ON",
        "on-002",
        "2",
        "complete",
        "2",
        "2",
        "4.0",
        "2.00",
        "-",
    ]
    assert row(parts["Kept epoch"], "OFF", "off-001") == [
        "OFF",
        "off-001",
        "1",
        "2",
        "21.000",
        "0.9000",
        "0.2000",
        "0.4000",
        "0.2100",
        "0.4100",
        "11.00",
    ]
    assert row(parts["Convergence"], "ON", "mean")[3:] == ["2.0", "2.0", "2.0"]
    assert parts["Problems met"].strip() == "None." and "Problems met, explained" not in text
    assert "the interval contains 0" in parts["Conclusion"] and "20.265" in parts["Conclusion"]
    assert (
        "PSNR: ON is lower (worse) by 1.000 ± 0.289 dB" in terminal
        and "shows where to look" not in text + terminal
    )
    assert str(folder.path) not in text


def test_a_search_has_the_parts_below_its_own(report_of):
    search = [
        Made("off-000", 0, [10.0, 20.0]),
        Made("on-000", 0, [10.0, 19.0], values={"contrastive.weight": 5.0}),
        Made("on-001", 0, [10.0, 21.5], values={"contrastive.weight": 1.0}),
    ]
    text, terminal, _ = report_of(search, experiment=False)
    parts = sections_of(text)
    assert list(parts) == SECTIONS and "## OFF against on-001\n" in text and well_formed(text)
    assert text.count("Set-up\n") == text.count("## Trials") == 1 and "20.265" not in text
    assert row(text, "best (on-001)")[1] == "21.500" and row(text, "OFF (off-000)")[1] == "20.000"
    assert row(parts["Summary"], "metric") == [
        "metric",
        "better if",
        "OFF",
        "on-001",
        "difference",
        "relative",
        "better here",
    ]
    assert row(parts["Summary"], "PSNR, dB")[4:] == ["+1.500", "+7.50 %", "on-001"]
    assert row(parts["Set-up"], "contrastive.weight") == ["contrastive.weight", "-", "1"]
    assert "One seed cannot tell" in parts["Conclusion"] and "±" not in parts["Conclusion"]
    assert (
        "The best contrastive trial, on-001, is better than OFF in score: 11.50 against 10.00."
        in text
        and "shows where to look" in terminal
    )


def test_the_arms_can_be_chosen(report_of):
    text, _, _ = report_of(two_arms(), arms=(["off-000", "off-002"], ["on-002", "on-000"]))
    assert row(sections_of(text)["Summary"], "PSNR, dB")[2:5] == ["21.000", "20.250", "-0.750"]
    assert (
        "Two seeds cannot tell" in sections_of(text)["Conclusion"]
        and "off-001" not in sections_of(text)["Summary"]
    )
    with pytest.raises(StudyError, match="names off-9, which is no trial of the study"):
        report_of(two_arms(), arms=(["off-9"], ["on-000"]), name="other")


def test_a_failed_trial_is_not_dropped_in_silence(report_of):
    trials = two_arms()
    trials[4] = Made(
        "on-001",
        1,
        [],
        [],
        status="failed",
        error="Diverged: pixel was not finite in epoch 1, step 1",
    )
    text, terminal, _ = report_of(trials, draw=False)
    parts = sections_of(text)
    assert (
        "on-001 (Diverged: pixel was not finite" in parts["Problems met"] and "Diverged" in terminal
    )
    assert row(parts["The arms"], "ON", "on-001") == [
        "ON",
        "on-001",
        "1",
        "failed",
        "0",
        "-",
        "0.0",
        "-",
        "-",
    ]
    assert (
        "Means over the seeds 0 and 2" in parts["Summary"]
        and "Two seeds cannot tell" in parts["Conclusion"]
    )
    assert (
        "Problems met, explained below: failed trials; trials without a partner." in text
        and well_formed(text)
    )


def test_nulls_are_no_error(report_of):
    trials = two_arms()
    trials[0].psnr, trials[0].steps = [None, 20.0], {"feature": [[None, 0.1], [None, None]]}
    trials[3].cer = [None, 0.2]
    text, _, _ = report_of(trials)
    assert (
        list(sections_of(text)) == SECTIONS
        and "not finite" in text
        and "nan" not in text.lower()
        and well_formed(text)
    )


def test_names_neither_break_a_table_nor_become_html(report_of):
    trials = [
        Made("off-000", 0),
        Made(
            "on-000",
            0,
            status="failed",
            error="<script>alert(1)</script>|\n| x",
            values={"head.kind": "none"},
        ),
        Made("on-001", 0),
    ]
    text, _, _ = report_of(
        trials,
        name="a|<script>b",
        data="<img src=x>|y",
        notes=["<script>\n# Title"],
        experiment=False,
    )
    assert (
        "<script>" not in text
        and "<img" not in text
        and "\n# Title" not in text
        and well_formed(text)
    )
    assert text.startswith("# a\\|&lt;script>b\n")


def test_a_study_without_two_arms_says_so(report_of):
    text, terminal, _ = report_of([Made("off-000", 0)])
    assert "## No two arms to compare yet" in text and list(sections_of(text)) == [
        "Set-up",
        "Problems met",
        "Sample images",
        "Files",
    ]
    assert "OFF (off-000)" in terminal and well_formed(text)
    text, _, _ = report_of([], name="empty")
    assert "No two arms" in text and "There are no images" in sections_of(text)["Sample images"]


def shown_images(text, folder):
    """The images of a report, each of which must be there."""
    paths = re.findall(r"!?\[[^]]*\]\(([^)]+)\)", text)
    assert all((folder.path / path).is_file() for path in paths)
    return paths


def test_samples_of_the_lowest_common_seed_are_linked_and_stacked(report_of):
    trials = two_arms()
    trials[0].status = "failed"
    text, _, folder = report_of(trials)
    paths = shown_images(text, folder)
    assert {path for path in paths if path.startswith("strips/")} == {
        f"strips/{trial}_sample_{line}.png" for trial in ("off-001", "on-001") for line in (0, 1)
    }
    assert {
        f"trials/on-001/samples/comparison_epoch_{epoch:04d}_sample_1.png" for epoch in (5, 10)
    } <= set(paths)


def test_images_can_be_left_out(report_of):
    text, _, folder = report_of(two_arms(), images=False)
    assert (
        "written without images" in sections_of(text)["Sample images"]
        and shown_images(text, folder) == []
    )
    assert not (folder.path / "strips").exists() and ".png" not in text


def command(folder, *words):
    """tune/report.py in this process."""
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, [str(folder.path), *words])


def test_a_true_study(study, inputs, shared_ray):
    """OFF and two contrastive trials through Ray; then reports from the command line."""
    folder, request = study(trials=3, epochs=6)
    out = io.StringIO()
    assert tune.driver.run_search(folder, request, inputs.pairs, None, out)
    text = (folder.path / "report.md").read_text(encoding="utf-8")
    parts = sections_of(text)
    assert list(parts) == SECTIONS and well_formed(text) and "nan" not in text
    assert shown_images(text, folder) and (folder.path / "strips/off-000_sample_1.png").exists()
    assert row(parts["The arms"], "OFF")[3:5] == ["complete", "6"]
    assert (
        row(parts["Loss components at the end"], "contrastive")[1]
        == "-"
        != row(parts["Loss components at the end"], "contrastive")[2]
    )
    assert row(parts["Stability"], "CTC, nats a line")[1] != "-"
    assert "One seed cannot tell" in parts["Conclusion"]

    done = subprocess.run(
        [sys.executable, str(ROOT / "tune/report.py"), str(folder.path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert (folder.path / "report.md").read_text(encoding="utf-8") == text and str(
        folder.path / "report.md"
    ) in done.stdout
    done = command(folder, "--arms", "on-000", "on-001", "--no-images")
    again = (folder.path / "report.md").read_text(encoding="utf-8")
    assert (
        done.exit_code == 0
        and "## on-000 against on-001" in again
        and "without images" in sections_of(again)["Sample images"]
    )
    for words, message in (
        (("--arms", "off-000", "on-7"), "names on-7, which is no trial of the study"),
        (("--first", "off-000"), "--second is missing"),
        (("--arms", "off-000", "on-000", "--first", "off-000"), "--arms cannot be combined"),
    ):
        done = command(folder, *words)
        assert done.exit_code == 2 and message in done.stderr
    assert (folder.path / "report.md").read_text(encoding="utf-8") == again
    assert command(folder, "--first", "off-000", "--second", "on-001").exit_code == 0
    assert "## OFF against on-001" in (folder.path / "report.md").read_text(encoding="utf-8")
