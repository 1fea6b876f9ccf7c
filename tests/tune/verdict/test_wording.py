"""A verdict in words: what a reader must see in the report."""

import re

import pytest

from tests.tune.verdict.test_judge import judged, runs
from tune.verdict.wording import by_seed, next_steps, report, sentence, table


def test_the_table_has_a_row_for_each_metric_and_arm():
    verdict = judged(
        runs({"on": 1.0, "shuffled": 0.0}, seeds=4, lost=[("on", 3)])
        + runs({"on": -2.0}, "judge_cer", seeds=3)
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in table(verdict).split("\n")
    ]
    assert rows[0][:3] == ["arm", "metric", "verdict"] and len(rows) == 2 + 4
    on, judge = rows[2], rows[3]
    judgement = verdict.of("on")
    assert on[:3] == ["on", "PSNR, dB (primary)", "cannot tell (provisional)"] and on[-3:] == [
        "3",
        "60",
        "1, 0",
    ]
    assert (
        on[6] == f"{judgement.interval.low:+.3f} to {judgement.interval.high:+.3f}"
        and on[5] == f"{judgement.difference.estimate:+.3f}"
        and judge[1] == "CER judge"
    )
    assert judge[2] == "cannot tell (provisional)" and rows[5][2] == "no verdict", (
        "a run that diverged did so in every metric"
    )
    assert rows[5][7] == "-" and judge[-1] == "1, 0" and rows[5][-1] == "0 + 3 missing, 0"


@pytest.mark.parametrize(
    ("effect", "pattern"),
    [
        (
            1.0,
            r"PSNR \(primary\), on: helps\. on is [01]\.\d{3} dB higher \(better\) than off "
            r"\(95 % interval \+0\.\d{3} to \+1\.\d{3}, 5 seeds x 60 lines\): "
            r"the interval excludes 0\.",
        ),
        (-1.0, r"PSNR \(primary\), on: hurts\. on is [01]\.\d{3} dB lower \(worse\) than off .*"),
        (0.0, r"PSNR \(primary\), on: practically equal\. .*: the interval lies inside ±0\.2 dB\."),
    ],
)
def test_sentences_of_each_word(effect, pattern):
    assert re.fullmatch(pattern, sentence(judged(runs({"on": effect})).of("on")))


def test_a_lower_error_rate_is_called_better():
    assert "lower (better) than off" in sentence(judged(runs({"on": -2.0}, "judge_cer")).of("on"))


def test_divergence_is_reported_once_for_every_word():
    for effect, lost in (
        (2.0, [("on", 1)]),
        (2.0, [("off", 1)]),
        (-2.0, [("on", 1)]),
        (2.0, [("on", 1), ("off", 1)]),
    ):
        for seeds in (3, 6):
            text = sentence(judged(runs({"on": effect}, seeds=seeds, lost=lost)).of("on"))
            assert (
                len(re.findall("on diverged in", text, re.I)) == 1
                and f"of {seeds} seeds (1)" in text
            )


def test_the_missing_seeds_are_given_with_the_command():
    assert next_steps(judged(runs({"on": 1.0}))) == ""
    steps = next_steps(judged(runs({"on": 1.0}, seeds=3)), "confirm --seeds 5")
    assert steps == (
        "on: the verdict is provisional, because fewer than 5 seeds are complete. "
        "Run 2 more seeds: `confirm --seeds 5`."
    )
    assert next_steps(judged(runs({"on": 1.0}, seeds=2))).startswith(
        "on: no verdict yet, because fewer than 3"
    )
    assert "cannot tell yet" in next_steps(judged(runs({"on": 0.1}, run=0.4, seeds=6)))


def test_runs_that_only_the_other_arm_has_are_named():
    rows = [row for row in runs({"on": 2.0}, seeds=6) if (row.arm, row.seed) != ("on", 2)]
    assert next_steps(judged(rows)) == "on: both arms need the same seeds. Run on with seed 2."
    apart = [row for row in runs({"on": 2.0}, seeds=6) if (row.seed < 3) == (row.arm == "off")]
    assert next_steps(judged(apart)).endswith(
        "Run on with seeds 0, 1, 2 and off with seeds 3, 4, 5."
    )
    settled = [row for row in runs({"on": 2.0}, seeds=6) if (row.arm, row.seed) != ("off", 2)]
    assert judged(settled).of("on").word == "helps" and next_steps(judged(settled)) == ""


def test_too_few_lines_ask_for_no_seeds():
    text = report(judged(runs({"on": 1.0}, seeds=3, lines=1)))
    assert "more seed" not in text and "1 line has weight; a verdict needs 10" in text


def test_an_error_rate_of_even_weights_is_not_called_a_corpus_rate():
    text = report(judged([row._replace(weight=1.0) for row in runs({"on": -2.0}, "cer", start=30)]))
    assert (
        "means of the lines' rates, not corpus rates" in text
        and "with the lengths of the transcriptions as weights, it is the corpus rate" in text
    )


def test_the_report_has_all_parts():
    verdict = judged(runs({"on": 1.0, "b": 0.0}, seeds=10))
    text = report(verdict)
    assert table(verdict) in text and all(sentence(each) in text for each in verdict.judgements)
    assert all(line in text for line in by_seed(verdict))
    assert (
        "The bootstrap interval over seeds and lines is +" in text
        and "over 2 judged arms" in text
        and "9: +" in text
    )
    assert (
        len(by_seed(judged(runs({"on": 1.0}, seeds=30)))[0].split(": ")) < 25 and "nan" not in text
    )


def test_a_table_without_pairs_shows_no_nan():
    verdict = judged(runs({"on": 1.0}, seeds=2, lost=[("on", 0), ("off", 1)]))
    assert "nan" not in report(verdict) and "0 seeds are complete" in report(verdict)
