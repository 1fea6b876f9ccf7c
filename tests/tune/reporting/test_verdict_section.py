"""The verdict in a report, from the files that a confirmation writes."""

import pytest

from ganhtr.atomic import to_json
from tests.tune.made_study import Made, make_study, two_arms
from tests.tune.verdict.test_judge import judged, runs
from tune.reporting.study_report import write_report
from tune.reporting.verdict_section import verdict_for_terminal, verdict_section
from tune.study.folder import StudyError, StudyFolder
from tune.verdict.wording import sentence, table

CHOICE = {
    "seeds": [1000, 1001],
    "objective": "score",
    "chosen": {"on": "on-001", "off": "off-000"},
    "arms": {
        "off": [
            {
                "id": "off-000",
                "values": {"contrastive.formulation": "none"},
                "search_value": 10.0,
                "values_by_seed": {},
                "mean": None,
            }
        ],
        "on": [
            {
                "id": "on-000",
                "values": {"contrastive.weight": 5.0},
                "search_value": 12.5,
                "values_by_seed": {"1000": 9.0, "1001": None},
                "mean": 9.0,
            },
            {
                "id": "on-001",
                "values": {"contrastive.weight": 1.0},
                "search_value": 11.5,
                "values_by_seed": {"1000": 11.0, "1001": 10.5},
                "mean": 10.75,
            },
        ],
    },
}
JUDGED = {
    "on": {"2000": 10.0, "2001": 11.0, "2002": None},
    "off": {"2000": 9.0, "2001": 9.5, "2002": 9.1},
}
OPENINGS = {
    "openings": [
        {
            "when": "2026-01-02T03:04:05+00:00",
            "why": "judge on-001 and off-000 over 3 seeds",
            "runs": 6,
            "lines": 400,
        }
    ]
}
VERDICT = judged(
    runs({"on": 1.0}, seeds=3, lost=[("on", 2)]) + runs({"on": -2.0}, "judge_cer", seeds=3)
)


@pytest.fixture
def confirmed(tmp_path):
    """A study folder with these files under confirm/."""

    def make(**files):
        folder = StudyFolder(tmp_path / "results" / "mine")
        (folder.path / "confirm").mkdir(parents=True, exist_ok=True)
        for name, plain in files.items():
            (folder.path / f"confirm/{name}.json").write_text(to_json(plain).decode())
        return folder

    return make


def whole(confirmed, **changed):
    return confirmed(
        **{
            "verdict": VERDICT.to_plain(),
            "choice": CHOICE,
            "judged": JUDGED,
            "openings": OPENINGS,
            **changed,
        }
    )


def row(text, start):
    return [
        cell.strip()
        for cell in next(line for line in text.splitlines() if line.startswith(f"| {start}"))
        .strip("|")
        .split("|")
    ]


def test_without_a_confirmation_there_is_one_line_with_the_command(confirmed):
    lines = verdict_section(confirmed())
    assert (
        len(lines) == 1
        and "After the search, `python tune/confirm.py results/mine` gives a verdict." in lines[0]
    )
    assert verdict_for_terminal(confirmed()) == ""


def test_the_verdict_is_complete_with_the_primary_metric_first(confirmed):
    folder = whole(confirmed)
    text = "\n".join(verdict_section(folder))
    assert table(VERDICT) in text and all(sentence(each) in text for each in VERDICT.judgements)
    sentences = [line for line in text.splitlines() if line.startswith("- ")]
    assert sentences[0] == f"- {sentence(VERDICT.of('on'))}" and "(primary)" in sentences[0]
    terminal = verdict_for_terminal(folder)
    assert terminal.index(sentence(VERDICT.of("on"))) < terminal.index(table(VERDICT))
    assert (
        "`on` is on-001 and `off` is off-000" in text
        and "2000, 2001 and 2002" in text
        and str(folder.path) not in text
    )


def test_the_command_adds_the_missing_seeds(confirmed):
    """Three ran, two are complete."""
    text = "\n".join(verdict_section(whole(confirmed)))
    assert (
        f"`python tune/confirm.py results/mine --seeds {3 + VERDICT.more_seeds}`" in text
        and VERDICT.more_seeds >= 3
    )


def test_the_choice_is_shown_with_its_seeds_means_and_the_winners_curse(confirmed):
    text = "\n".join(verdict_section(whole(confirmed)))
    part = text[text.index("How the configuration was chosen") :]
    assert row(part, "trial") == [
        "trial",
        "arm",
        "judged",
        "score in the search",
        "seed 1000",
        "seed 1001",
        "mean",
        "gap",
        "mean of judged runs",
        "gap",
        "values",
    ]
    assert row(part, "on-001") == [
        "on-001",
        "ON",
        "yes",
        "11.50",
        "11.00",
        "10.50",
        "10.75",
        "+0.75",
        "10.50",
        "+1.00",
        "weight=1",
    ]
    assert row(part, "on-000") == [
        "on-000",
        "ON",
        "",
        "12.50",
        "9.00",
        "-",
        "9.00",
        "+3.50",
        "-",
        "-",
        "weight=5",
    ]
    assert row(part, "off-000")[3:10] == ["10.00", "-", "-", "-", "-", "9.20", "+0.80"]
    assert "count against their arm: on-000 with seed 1001 and on-001 with seed 2002." in part


def test_an_error_rate_is_shown_positively_and_its_gap_means_the_same(confirmed):
    """CER 0.1 in the search, 0.15 with fresh seeds: the search was 0.05 too good."""
    on = {
        "id": "on-001",
        "values": {},
        "search_value": -0.1,
        "values_by_seed": {"7": -0.15},
        "mean": -0.15,
    }
    text = "\n".join(
        verdict_section(
            whole(
                confirmed,
                choice={
                    "seeds": [7],
                    "objective": "cer",
                    "chosen": {"on": "on-001"},
                    "arms": {"on": [on]},
                },
                judged={"on": {"2000": -0.08}},
            )
        )
    )
    assert row(text[text.index("How the configuration was") :], "on-001")[3:9] == [
        "0.1000",
        "0.1500",
        "0.1500",
        "+0.0500",
        "0.0800",
        "-0.0200",
    ]


def test_with_one_configuration_for_each_arm_nothing_was_chosen(confirmed):
    alone = {
        **CHOICE,
        "arms": {
            "off": CHOICE["arms"]["off"],
            "on": [{**CHOICE["arms"]["on"][1], "values_by_seed": {}, "mean": None}],
        },
    }
    text = "\n".join(verdict_section(whole(confirmed, choice=alone)))
    assert (
        "nothing to choose" in text
        and "seed 1000" not in text
        and row(text[text.index("How the configuration was") :], "on-001")[3:6]
        == ["11.50", "10.50", "+1.00"]
    )


def test_every_opening_of_the_test_lines_is_listed(confirmed):
    once = "\n".join(verdict_section(whole(confirmed)))
    assert (
        "opened once" in once
        and "- 2026-01-02T03:04:05+00:00: judge on-001 and off-000 over 3 seeds (6 runs, 400 lines)"
        in once
    )
    twice = {"openings": [*OPENINGS["openings"], {**OPENINGS["openings"][0], "why": "again <b>"}]}
    text = "\n".join(verdict_section(whole(confirmed, openings=twice)))
    assert (
        "opened 2 times" in text
        and "weaker than its figures say" in text
        and "again &lt;b>" in text
    )


def test_openings_are_listed_even_without_a_verdict(confirmed):
    """As after --extend."""
    text = "\n".join(verdict_section(confirmed(choice=CHOICE, judged=JUDGED, openings=OPENINGS)))
    assert (
        "no verdict of the study in its current state" in text
        and "opened once" in text
        and "python tune/confirm.py" in text
    )


def test_the_shuffled_arm_is_explained_where_it_was_judged(confirmed):
    verdict = judged(runs({"on": 1.0, "shuffled": 0.9}, seeds=5))
    text = "\n".join(
        verdict_section(
            whole(
                confirmed, verdict=verdict.to_plain(), judged={**JUDGED, "shuffled": {"2000": 9.0}}
            )
        )
    )
    assert (
        "`shuffled` is `on` with transcriptions that belong to other lines" in text
        and sentence(verdict.of("shuffled")) in text
    )
    assert "`shuffled` is" not in "\n".join(verdict_section(whole(confirmed)))


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"primary": "psnr"}', '{"primary": 1, "judgements": [{}], "notes": []}']
)
def test_a_damaged_verdict_is_named_with_the_fix(confirmed, text):
    folder = confirmed()
    (folder.path / "confirm/verdict.json").write_text(text)
    with pytest.raises(StudyError, match=r"verdict\.json: not a verdict .*tune/confirm\.py"):
        verdict_section(folder)


def test_a_report_starts_with_the_verdict(tmp_path, request_of):
    search = [Made("off-000", 0, [10.0, 20.0]), Made("on-000", 0, [10.0, 21.5])]
    folder, request, rows = make_study(tmp_path, request_of(), search, experiment=False)
    before = write_report(folder, request, rows, images=False)
    text = (folder.path / "report.md").read_text()
    assert "shows where to look" in before + text and "## Verdict\n\nThere is no verdict." in text
    assert text.index("| degraded") < text.index("## Verdict")
    (folder.path / "confirm").mkdir()
    for name, plain in {
        "verdict": VERDICT.to_plain(),
        "choice": CHOICE,
        "judged": JUDGED,
        "openings": OPENINGS,
    }.items():
        (folder.path / f"confirm/{name}.json").write_text(to_json(plain).decode())
    terminal = write_report(folder, request, rows, images=False)
    text = (folder.path / "report.md").read_text()
    first = sentence(VERDICT.of("on"))
    assert (
        text.index(f"**{first}**")
        < text.index("| degraded")
        < text.index("## Verdict")
        < text.index("## Trials")
    )
    assert (
        terminal.index(first) < terminal.index("| degraded")
        and "shows where to look" not in terminal + text
        and "rests on other runs" in text
    )


def test_an_experiment_has_its_own_paired_seeds_and_is_not_sent_to_confirm(tmp_path, request_of):
    folder, request, rows = make_study(tmp_path, request_of(), two_arms())
    write_report(folder, request, rows, images=False)
    assert "## Verdict" not in (folder.path / "report.md").read_text()
