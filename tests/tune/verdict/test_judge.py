"""Verdicts on planted effects: the words, Holm, divergence, seeds needed, and symmetry."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.atomic import to_json
from tune.space.settings import VerdictSettings
from tune.verdict.crossed_difference import crossed_difference
from tune.verdict.judge import holm, judge
from tune.verdict.judgement import SampleSize, Verdict
from tune.verdict.line_table import LineValue, table_of
from tune.verdict.reason import seeds_text

SETTINGS = VerdictSettings()


def runs(
    effects,
    metric="psnr",
    seeds=5,
    lines=60,
    run=0.05,
    line=0.1,
    rest=0.2,
    start=20.0,
    seed=0,
    lost=(),
):
    """Rows of OFF and of arms with these effects; rates weight lines by random lengths.

    lost: (arm, seed) of the runs that diverged.
    """
    rng, rows = np.random.default_rng(seed), []
    base, scale = rng.normal(start, 1, (seeds, lines)), 1 if metric in ("psnr", "ssim") else 0.01
    weights = np.ones(lines) if scale == 1 else rng.integers(5, 60, lines).astype(float)
    for arm, effect in {"off": 0.0, **effects}.items():
        react = rng.normal(0, line, lines) * (arm != "off")
        values = scale * (
            base
            + effect
            + react
            + rng.normal(0, run, (seeds, 1))
            + rng.normal(0, rest, (seeds, lines))
        )
        for s in range(seeds):
            if (arm, s) in lost:
                rows.append(LineValue(arm, s, "", metric, math.nan, math.nan))
            else:
                rows += [
                    LineValue(arm, s, f"line {j}", metric, values[s, j], weights[j])
                    for j in range(lines)
                ]
    return rows


def judged(rows, settings=SETTINGS):
    return judge(table_of(rows), settings)


def only(rows, settings=SETTINGS):
    (judgement,) = judged(rows, settings).judgements
    return judgement


@pytest.mark.parametrize(
    ("effect", "word"), [(1.0, "helps"), (-1.0, "hurts"), (0.0, "practically equal")]
)
def test_planted_effects_get_their_word(effect, word):
    judgement = only(runs({"on": effect}))
    assert (
        judgement.word == word
        and not judgement.provisional
        and judgement.more_seeds == 0
        and judgement.difference.estimate == pytest.approx(effect, abs=0.1)
    )
    assert (
        judgement.interval.low < effect < judgement.interval.high
        and judgement.difference.on - judgement.difference.off
        == pytest.approx(judgement.difference.estimate)
    )
    assert (
        len(judgement.difference.differences) == 5
        and np.mean(judgement.difference.differences)
        == pytest.approx(judgement.difference.estimate)
        and judgement.runs.lines == 60
    )


@pytest.mark.parametrize(
    ("metric", "effect", "word"),
    [
        ("ssim", 1.0, "helps"),
        ("judge_cer", -2.0, "helps"),
        ("judge_cer", 2.0, "hurts"),
        ("wer", -2.0, "helps"),
        ("cer", 2.0, "hurts"),
    ],
)
def test_lower_error_rates_are_better(metric, effect, word):
    assert only(runs({"on": effect}, metric, line=0.5)).word == word


def test_a_significant_difference_inside_the_margin_is_practically_equal():
    judgement = only(runs({"on": 0.12}, run=0.01, line=0.02, rest=0.02))
    assert (
        judgement.word == "practically equal"
        and judgement.interval.low > 0
        and judgement.significance.p_adjusted < 0.001
    )
    assert (
        judgement.reason
        == "the interval lies inside ±0.2 dB and excludes 0: better, but by less than the margin"
    )
    for margins in ({"psnr": 0.1}, {}):
        settings = VerdictSettings(margins=margins)
        assert only(runs({"on": 0.12}, run=0.01, line=0.02, rest=0.02), settings).word == "helps"


def test_with_noise_the_reason_gives_the_seeds_needed():
    judgement = only(runs({"on": 0.1}, run=0.4, seeds=6))
    assert (
        judgement.word == "cannot tell"
        and judgement.sample_size.seeds_needed > 6
        and judgement.more_seeds == judgement.sample_size.seeds_needed - 6
    )
    assert (
        "the interval contains 0 and extends beyond ±0.2 dB; "
        f"about {judgement.sample_size.seeds_needed} seeds are needed to detect" in judgement.reason
    )
    quiet = [
        only(
            runs({"on": 0.1}, run=0.4, seeds=6), VerdictSettings(margins={"psnr": margin})
        ).sample_size.seeds_needed
        for margin in (0.15, 0.3)
    ]
    assert quiet[0] > judgement.sample_size.seeds_needed > quiet[1]


def test_more_seeds_do_not_help_where_the_lines_differ():
    judgement = only(runs({"on": 0.0}, line=2.0))
    assert (
        judgement.word == "cannot tell"
        and judgement.sample_size.seeds_needed is None
        and judgement.sample_size.lines_needed > 60
        and judgement.more_seeds == 0
    )
    assert (
        "more seeds alone do not suffice to detect a true difference of 0.2 dB" in judgement.reason
        and judgement.interval.line_share > 0.9
    )


def test_the_estimate_is_that_of_the_interval():
    rows = runs({"on": -0.2}, "judge_cer", seeds=7, lines=61, seed=3)
    pair = table_of(rows).pair("on", "judge_cer")
    crossed = crossed_difference(pair.off, pair.on, pair.weights)
    judgement = judge(table_of(rows), SETTINGS).of("on")
    assert judgement.difference.estimate == crossed.estimate
    assert (judgement.interval.low, judgement.interval.high) == crossed.interval()


def test_few_seeds_are_provisional_and_two_give_no_verdict():
    for seeds, word, more in ((3, "helps", 2), (4, "helps", 1), (5, "helps", 0)):
        verdict = judged(runs({"on": 2.0}, seeds=seeds))
        assert verdict.judgements[0].word == word
        assert (verdict.provisional, verdict.more_seeds) == (more > 0, more)
    verdict = judged(runs({"on": 2.0}, seeds=2))
    (none,) = verdict.judgements
    assert (none.word, none.provisional, verdict.more_seeds) == ("no verdict", False, 3)
    assert math.isnan(none.interval.low)
    assert (
        none.reason == "2 seeds are complete in both arms; a verdict needs 3"
        and none.difference.estimate == pytest.approx(2, abs=0.2)
    )
    assert (
        only(runs({"on": 2.0}, seeds=1)).reason
        == "1 seed is complete in both arms; a verdict needs 3"
    )


@pytest.mark.parametrize(
    ("seeds", "lines", "reason"),
    [
        (3, 1, "1 line has weight; a verdict needs 10"),
        (6, 9, "9 lines have weight; a verdict needs 10"),
        (
            2,
            2,
            "2 lines have weight; a verdict needs 10; "
            "2 seeds are complete in both arms; a verdict needs 3",
        ),
    ],
)
def test_few_lines_give_no_verdict_and_ask_for_no_seeds(seeds, lines, reason):
    judgement = only(runs({"on": 2.0}, seeds=seeds, lines=lines))
    assert (judgement.word, judgement.reason, judgement.more_seeds, judgement.provisional) == (
        "no verdict",
        reason,
        0,
        False,
    )
    assert only(runs({"on": 2.0}, seeds=seeds + 2, lines=10)).word == "helps"


def test_a_provisional_verdict_asks_for_no_seeds_where_the_lines_differ():
    judgement = only(runs({"on": 0.0}, line=2.0, seeds=3))
    assert (
        judgement.word == "cannot tell"
        and judgement.provisional
        and judgement.sample_size.lines_needed > 60
        and judgement.more_seeds == 0
    )


def test_enough_seeds_ask_for_no_more():
    judgement = next(
        each
        for seed in range(60)
        if (each := only(runs({"on": 0.12}, run=0.09, seed=seed))).word == "cannot tell"
        and each.sample_size.seeds_needed
        and each.sample_size.seeds_needed <= 5
    )
    assert (
        "seeds suffice to detect a true difference of 0.2 dB" in judgement.reason
        and judgement.more_seeds == 0
    )
    assert (
        "so the true difference is probably smaller" in judgement.reason
        and abs(judgement.difference.estimate) < 0.2
    )


def test_without_a_complete_seed_there_is_no_verdict():
    judgement = only(runs({"on": 2.0}, seeds=3, lost=[("on", 0), ("off", 1), ("on", 2)]))
    assert (
        judgement.word == "no verdict"
        and judgement.runs.seeds == ()
        and math.isnan(judgement.difference.estimate)
    )
    assert (judgement.runs.on_diverged, judgement.runs.off_diverged) == ((0, 2), (1,))


def test_an_arm_that_diverges_more_than_off_does_not_help():
    for effect, word in ((2.0, "cannot tell"), (0.0, "cannot tell"), (-2.0, "hurts")):
        judgement = only(runs({"on": effect}, seeds=8, lost=[("on", 3), ("on", 5), ("off", 5)]))
        assert (
            judgement.word == word
            and judgement.runs.seeds == (0, 1, 2, 4, 6, 7)
            and (judgement.runs.on_diverged, judgement.runs.off_diverged) == ((3, 5), (5,))
        )
        assert judgement.more_seeds == 0
    assert (
        "on diverged in 2 of 8 seeds (3, 5); off diverged in 1 of 8 seeds (5)"
        in only(runs({"on": 2.0}, seeds=8, lost=[("on", 3), ("on", 5), ("off", 5)])).reason
    )
    assert only(runs({"on": 2.0}, seeds=8, lost=[("on", 3), ("off", 5)])).word == "helps"
    assert only(runs({"on": 2.0}, seeds=8, lost=[("off", 5)])).word == "helps"


def test_seeds_that_off_lacks_excuse_no_divergence():
    rows = [
        row
        for row in runs({"on": 2.0}, seeds=10, lost=[("on", s) for s in (5, 6, 7)])
        if row.arm == "on" or row.seed < 5
    ]
    judgement = only(rows)
    assert (judgement.runs.on_diverged, judgement.runs.off_missing, judgement.runs.seeds) == (
        (5, 6, 7),
        (5, 6, 7, 8, 9),
        (0, 1, 2, 3, 4),
    )
    assert (
        judgement.word == "cannot tell"
        and "the complete seeds alone would give: helps" in judgement.reason
    )
    assert only([row for row in rows if row.seed not in (5, 6, 7)]).word == "helps"


def test_a_run_that_diverged_in_one_metric_helps_in_none():
    rows = runs({"on": 2.0}, seeds=6, lost=[("on", 4)]) + runs(
        {"on": -2.0}, "judge_cer", seeds=6, line=0.5
    )
    psnr, cer = judged(rows).judgements
    assert (psnr.word, cer.word, cer.runs.on_diverged, len(cer.runs.seeds)) == (
        "cannot tell",
        "cannot tell",
        (4,),
        6,
    )
    assert cer.reason.startswith(
        "on diverged in 1 of 6 seeds (4); off diverged in 0 of 6 seeds; "
        "the complete seeds alone would give: "
    )


def test_arms_that_share_no_seed_are_named():
    rows = runs({"on": 2.0}, seeds=6)
    judgement = only([row for row in rows if (row.seed < 3) == (row.arm == "off")])
    assert (
        judgement.reason
        == "the arms share no seed (on: 3, 4, 5; off: 0, 1, 2); a verdict needs 3 shared seeds"
    )


def test_a_run_that_is_left_out_counts_like_one_that_diverged():
    judgement = only(
        [row for row in runs({"on": 2.0}, seeds=6) if (row.arm, row.seed) != ("on", 4)]
    )
    assert (
        judgement.word == "cannot tell"
        and judgement.runs.on_missing == (4,)
        and judgement.runs.on_diverged == ()
    )
    assert judgement.reason.startswith(
        "on diverged in 0 of 6 seeds and has no run for 1 (4); off diverged in 0 of 6 seeds"
    )


def test_holm_against_values_by_hand():
    """statsmodels' multipletests(..., method="holm") gives these."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6, 0.9]) == [1, 1, 1] and holm([0.04]) == [0.04] and holm([]) == []
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06] * 3)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_order_and_lies_between_none_and_bonferroni(p_values):
    after = holm(p_values)
    assert all(p <= q <= min(1, len(p_values) * p) for p, q in zip(p_values, after, strict=True))
    assert all(
        after[i] <= after[j]
        for i in range(len(after))
        for j in range(len(after))
        if p_values[i] < p_values[j]
    )


def test_the_primary_metric_is_adjusted_over_the_arms_and_the_others_among_themselves():
    arms = {f"on-{i}": 0.3 for i in range(3)}
    rows = (
        runs(arms, run=0.1)
        + runs(arms, "judge_cer", run=0.1, seed=1)
        + runs(arms, "cer", run=0.1, seed=2)
    )
    verdict = judged(rows)
    assert [each.metric.key for each in verdict.judgements] == [
        "psnr",
        "cer",
        "judge_cer",
    ] * 3 and verdict.arms == tuple(arms)
    for primary, tests in ((True, 3), (False, 6)):
        family = [each for each in verdict.judgements if each.primary == primary]
        assert [each.significance.p_adjusted for each in family] == holm(
            [each.significance.p for each in family]
        ) and {each.significance.tests for each in family} == {tests}
    assert judged(rows, VerdictSettings(primary="judge_cer")).of("on-1").metric.key == "judge_cer"


def test_a_difference_that_is_not_significant_after_holm():
    rows = runs({"on": 0.5, **{f"null-{i}": 0.0 for i in range(9)}}, run=0.15)
    alone, among = only([row for row in rows if row.arm in ("off", "on")]), judged(rows).of("on")
    assert (
        alone.word == "helps"
        and among.significance.p == alone.significance.p
        and among.significance.p_adjusted == pytest.approx(10 * alone.significance.p)
        and among.significance.p_adjusted > 0.05
    )
    assert (
        among.word == "cannot tell"
        and "after Holm over 10 tests" in among.reason
        and among.interval.low > 0
    )
    assert (
        among.sample_size.seeds_needed > alone.sample_size.seeds_needed
        and f"about {among.sample_size.seeds_needed} seeds are needed" in among.reason
    )
    assert among.more_seeds == among.sample_size.seeds_needed - 5


def test_a_difference_beyond_the_margin_is_not_called_smaller():
    judgement = replace(only(runs({"on": 1.0})), margin=0.2, sample_size=SampleSize(5))
    for estimate, end in ((0.24, "in most cases, but not in this one"), (0.1, "probably smaller")):
        difference = replace(judgement.difference, estimate=estimate)
        text = seeds_text(replace(judgement, difference=difference))
        assert text.startswith("5 seeds suffice to detect a true difference of 0.2 dB")
        assert text.endswith(end)


def test_the_primary_metric_must_be_there_unless_there_is_only_one():
    assert judged(runs({"on": 1.0}, "cer")).primary == "cer"
    with pytest.raises(
        ValueError,
        match="no lines of the primary metric psnr; its metrics are cer and judge_cer",
    ):
        judged(runs({"on": 1.0}, "cer") + runs({"on": 1.0}, "judge_cer"))
    with pytest.raises(
        ValueError, match="no lines of the primary metric psnr; its metrics are cer"
    ):
        judge(table_of(runs({"on": 1.0}, "cer")), SETTINGS, "psnr")


def test_metrics_that_disagree_keep_their_verdicts():
    verdict = judged(runs({"on": 1.0}) + runs({"on": 3.0}, "judge_cer"))
    assert [each.word for each in verdict.judgements] == ["helps", "hurts"]


def test_ten_seeds_add_the_bootstrap():
    nine, ten = only(runs({"on": 1.0}, seeds=9)), only(runs({"on": 1.0}, seeds=10))
    assert nine.interval.bootstrap is None and ten.interval.bootstrap == pytest.approx(
        (ten.interval.low, ten.interval.high), abs=0.1
    )


def test_order_does_not_matter_and_swapping_arms_turns_every_sign():
    rows = runs({"on": 0.5}, seeds=10)
    judgement, shuffled = (
        only(rows),
        only([rows[i] for i in np.random.default_rng(0).permutation(len(rows))]),
    )
    assert shuffled == judgement
    swapped = only([row._replace(arm={"on": "off", "off": "on"}[row.arm]) for row in rows])
    assert (
        swapped.word == "hurts"
        and judgement.word == "helps"
        and swapped.significance.p == pytest.approx(judgement.significance.p)
    )
    assert (swapped.interval.low, swapped.interval.high) == pytest.approx(
        (-judgement.interval.high, -judgement.interval.low)
    )


def test_equal_runs_are_equal():
    rows = runs({"on": 0.0})
    off = [row for row in rows if row.arm == "off"]
    judgement = only(off + [row._replace(arm="on") for row in off])
    assert (judgement.word, judgement.difference.estimate, judgement.significance.p) == (
        "practically equal",
        0,
        1,
    )


def test_a_verdict_goes_through_json_and_back():
    verdict = judged(
        runs({"on": 1.0, "b": 0.0}, seeds=10, lost=[("b", 1)]) + runs({"on": 1.0}, "cer", seeds=2)
    )
    text = to_json(verdict.to_plain())
    back = Verdict.from_plain(json.loads(text))
    assert to_json(back.to_plain()) == text and back.of("on") == verdict.of("on")
    assert math.isnan(back.of("on", "cer").significance.p)


def test_a_verdict_of_an_earlier_commit_is_read():
    """A row as verdict.json has it: one flat mapping, in any order, with null for NaN."""
    plain = json.loads(to_json(judged(runs({"on": 2.0}, seeds=2)).to_plain()))
    assert set(plain["judgements"][0]) == {
        *("arm", "metric", "primary", "word", "reason", "estimate", "low", "high", "df", "p"),
        *("p_adjusted", "tests", "margin", "paired_sd", "seed_share", "line_share"),
        *("seeds_needed", "lines_needed", "bootstrap", "off", "on", "lines", "seeds"),
        *("differences", "off_diverged", "on_diverged", "off_missing", "on_missing"),
        *("provisional", "more_seeds"),
    }
    assert plain["judgements"][0]["metric"] == "psnr" and plain["judgements"][0]["low"] is None
    plain["judgements"] = [dict(reversed(plain["judgements"][0].items()))]
    assert Verdict.from_plain(plain).of("on").runs.seeds == (0, 1)


def test_the_null_is_rarely_called_a_difference():
    words = [
        only(runs({"on": 0.0}, seeds=3, lines=25, run=0.3, seed=seed)).word for seed in range(300)
    ]
    assert (
        1 <= sum(word in ("helps", "hurts") for word in words) <= 27
    )  # 5 % of 300, and four standard deviations


def test_an_arm_without_a_complete_run_gets_no_verdict():
    lost = [("on", seed) for seed in range(3)]
    judgement = only(runs({"on": 1.0}, seeds=3, lost=lost))
    assert (
        judgement.word == "no verdict"
        and judgement.runs.on_diverged == (0, 1, 2)
        and judgement.runs.lines == 60
    )
    both = only(runs({"on": 1.0}, seeds=3, lost=[*lost, *(("off", seed) for _, seed in lost)]))
    assert (
        both.word == "no verdict" and both.runs.off_diverged == (0, 1, 2) and both.runs.lines == 0
    )
