"""Verdicts on planted effects: the words, Holm, divergence, how many seeds would tell, and that order is of no account."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.space.settings import VerdictSettings
from tune.verdict.judge import holm, judge, seeds_text
from tune.verdict.judgement import Verdict
from tune.verdict.line_table import LineValue, table_of

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
    """Rows of OFF and of arms with these effects; `lost` names (arm, seed) that diverged. Rates weigh lines by made-up lengths."""
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
    held = only(runs({"on": effect}))
    assert (
        held.word == word
        and not held.provisional
        and held.more_seeds == 0
        and held.estimate == pytest.approx(effect, abs=0.1)
    )
    assert held.low < effect < held.high and held.on - held.off == pytest.approx(held.estimate)
    assert (
        len(held.differences) == 5
        and np.mean(held.differences) == pytest.approx(held.estimate)
        and held.lines == 60
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


def test_a_sure_difference_inside_the_margin_is_practically_equal_and_said():
    held = only(runs({"on": 0.12}, run=0.01, line=0.02, rest=0.02))
    assert held.word == "practically equal" and held.low > 0 and held.p_adjusted < 0.001
    assert (
        held.reason
        == "the interval lies inside ±0.2 dB and excludes 0: better, by less than matters"
    )
    assert (
        only(
            runs({"on": 0.12}, run=0.01, line=0.02, rest=0.02),
            VerdictSettings(margins={"psnr": 0.1}),
        ).word
        == "helps"
    )
    assert (
        only(runs({"on": 0.12}, run=0.01, line=0.02, rest=0.02), VerdictSettings(margins={})).word
        == "helps"
    )


def test_noise_cannot_tell_and_says_how_many_seeds_would():
    held = only(runs({"on": 0.1}, run=0.4, seeds=6))
    assert (
        held.word == "cannot tell"
        and held.seeds_needed > 6
        and held.more_seeds == held.seeds_needed - 6
    )
    assert (
        f"the interval holds 0 and reaches beyond ±0.2 dB; about {held.seeds_needed} seeds would tell"
        in held.reason
    )
    quiet = [
        only(
            runs({"on": 0.1}, run=0.4, seeds=6), VerdictSettings(margins={"psnr": margin})
        ).seeds_needed
        for margin in (0.15, 0.3)
    ]
    assert quiet[0] > held.seeds_needed > quiet[1]


def test_lines_that_differ_are_what_more_seeds_cannot_mend():
    held = only(runs({"on": 0.0}, line=2.0))
    assert (
        held.word == "cannot tell"
        and held.seeds_needed is None
        and held.lines_needed > 60
        and held.more_seeds == 0
    )
    assert (
        "more seeds alone would not tell a true difference of 0.2 dB" in held.reason
        and held.line_share > 0.9
    )


def test_few_seeds_are_provisional_and_two_give_no_verdict():
    for seeds, word, more in ((3, "helps", 2), (4, "helps", 1), (5, "helps", 0)):
        held = judged(runs({"on": 2.0}, seeds=seeds))
        assert (held.judgements[0].word, held.provisional, held.more_seeds) == (
            word,
            more > 0,
            more,
        )
    held = judged(runs({"on": 2.0}, seeds=2))
    (none,) = held.judgements
    assert (none.word, none.provisional, held.more_seeds, none.low) == (
        "no verdict",
        False,
        3,
        pytest.approx(math.nan, nan_ok=True),
    )
    assert (
        none.reason == "2 seeds are complete in both arms, a verdict needs 3"
        and none.estimate == pytest.approx(2, abs=0.2)
    )
    assert (
        only(runs({"on": 2.0}, seeds=1)).reason
        == "1 seed is complete in both arms, a verdict needs 3"
    )


@pytest.mark.parametrize(
    ("seeds", "lines", "reason"),
    [
        (3, 1, "1 line has weight, a verdict needs 10: measure more lines"),
        (6, 9, "9 lines have weight, a verdict needs 10: measure more lines"),
        (
            2,
            2,
            "2 lines have weight, a verdict needs 10: measure more lines; 2 seeds are complete in both arms, a verdict needs 3",
        ),
    ],
)
def test_few_lines_give_no_verdict_and_seeds_do_not_mend_it(seeds, lines, reason):
    held = only(runs({"on": 2.0}, seeds=seeds, lines=lines))
    assert (held.word, held.reason, held.more_seeds, held.provisional) == (
        "no verdict",
        reason,
        0,
        False,
    )
    assert only(runs({"on": 2.0}, seeds=seeds + 2, lines=10)).word == "helps"


def test_where_lines_forbid_it_a_provisional_verdict_asks_for_no_seeds():
    held = only(runs({"on": 0.0}, line=2.0, seeds=3))
    assert (
        held.word == "cannot tell"
        and held.provisional
        and held.lines_needed > 60
        and held.more_seeds == 0
    )


def test_seeds_that_are_enough_ask_for_no_more():
    held = next(
        each
        for seed in range(60)
        if (each := only(runs({"on": 0.12}, run=0.09, seed=seed))).word == "cannot tell"
        and each.seeds_needed
        and each.seeds_needed <= 5
    )
    assert (
        "seeds are enough for a true difference of 0.2 dB" in held.reason and held.more_seeds == 0
    )
    assert "so this one seems to lie between 0 and that" in held.reason and abs(held.estimate) < 0.2


def test_a_verdict_without_any_complete_seed_is_none():
    held = only(runs({"on": 2.0}, seeds=3, lost=[("on", 0), ("off", 1), ("on", 2)]))
    assert held.word == "no verdict" and held.seeds == () and math.isnan(held.estimate)
    assert (held.on_diverged, held.off_diverged) == ((0, 2), (1,))


def test_an_arm_that_diverges_more_than_off_does_not_help():
    for effect, word in ((2.0, "cannot tell"), (0.0, "cannot tell"), (-2.0, "hurts")):
        held = only(runs({"on": effect}, seeds=8, lost=[("on", 3), ("on", 5), ("off", 5)]))
        assert (
            held.word == word
            and held.seeds == (0, 1, 2, 4, 6, 7)
            and (held.on_diverged, held.off_diverged) == ((3, 5), (5,))
        )
        assert held.more_seeds == 0
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
    held = only(rows)
    assert (held.on_diverged, held.off_missing, held.seeds) == (
        (5, 6, 7),
        (5, 6, 7, 8, 9),
        (0, 1, 2, 3, 4),
    )
    assert (
        held.word == "cannot tell"
        and "of the complete seeds alone it would be helps" in held.reason
    )
    assert only([row for row in rows if row.seed not in (5, 6, 7)]).word == "helps"


def test_a_run_that_diverged_in_one_metric_helps_in_none():
    rows = runs({"on": 2.0}, seeds=6, lost=[("on", 4)]) + runs(
        {"on": -2.0}, "judge_cer", seeds=6, line=0.5
    )
    psnr, cer = judged(rows).judgements
    assert (psnr.word, cer.word, cer.on_diverged, len(cer.seeds)) == (
        "cannot tell",
        "cannot tell",
        (4,),
        6,
    )
    assert cer.reason.startswith(
        "on diverged in 1 of 6 seeds (4); off diverged in 0 of 6 seeds; of the complete seeds alone it would be"
    )


def test_arms_that_share_no_seed_are_told():
    rows = runs({"on": 2.0}, seeds=6)
    held = only([row for row in rows if (row.seed < 3) == (row.arm == "off")])
    assert (
        held.reason
        == "the arms share no seed (on: 3, 4, 5; off: 0, 1, 2), a verdict needs 3 that both have"
    )


def test_a_run_that_is_left_out_counts_like_one_that_diverged():
    held = only([row for row in runs({"on": 2.0}, seeds=6) if (row.arm, row.seed) != ("on", 4)])
    assert held.word == "cannot tell" and held.on_missing == (4,) and held.on_diverged == ()
    assert held.reason.startswith(
        "on diverged in 0 of 6 seeds and lacks 1 (4); off diverged in 0 of 6 seeds"
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
    assert [each.metric for each in verdict.judgements] == [
        "psnr",
        "cer",
        "judge_cer",
    ] * 3 and verdict.arms == tuple(arms)
    for primary, tests in ((True, 3), (False, 6)):
        family = [each for each in verdict.judgements if each.primary == primary]
        assert [each.p_adjusted for each in family] == holm([each.p for each in family]) and {
            each.tests for each in family
        } == {tests}
    assert judged(rows, VerdictSettings(primary="judge_cer")).of("on-1").metric == "judge_cer"


def test_a_difference_that_only_holm_takes_away_cannot_be_told():
    rows = runs({"on": 0.5, **{f"null-{i}": 0.0 for i in range(9)}}, run=0.15)
    alone, among = only([row for row in rows if row.arm in ("off", "on")]), judged(rows).of("on")
    assert (
        alone.word == "helps"
        and among.p == alone.p
        and among.p_adjusted == pytest.approx(10 * alone.p)
        and among.p_adjusted > 0.05
    )
    assert (
        among.word == "cannot tell" and "after Holm over 10 tests" in among.reason and among.low > 0
    )
    assert (
        among.seeds_needed > alone.seeds_needed
        and f"about {among.seeds_needed} seeds would tell" in among.reason
    )
    assert among.more_seeds == among.seeds_needed - 5


def test_a_difference_beyond_the_margin_is_not_said_to_lie_within_it():
    held = replace(only(runs({"on": 1.0})), estimate=0.24, margin=0.2, seeds_needed=5)
    assert seeds_text(held).startswith(
        "5 seeds are enough for a true difference of 0.2 dB"
    ) and "lie between" not in seeds_text(held)
    assert "lie between 0 and that" in seeds_text(replace(held, estimate=0.1))


def test_the_primary_metric_must_be_there_unless_there_is_but_one():
    assert judged(runs({"on": 1.0}, "cer")).primary == "cer"
    with pytest.raises(
        ValueError,
        match="primary metric must be in the table, got psnr, and metrics cer and judge_cer",
    ):
        judged(runs({"on": 1.0}, "cer") + runs({"on": 1.0}, "judge_cer"))
    with pytest.raises(
        ValueError, match="primary metric must be in the table, got psnr, and metrics cer"
    ):
        judge(table_of(runs({"on": 1.0}, "cer")), SETTINGS, "psnr")


def test_metrics_that_disagree_keep_their_verdicts():
    verdict = judged(runs({"on": 1.0}) + runs({"on": 3.0}, "judge_cer"))
    assert [each.word for each in verdict.judgements] == ["helps", "hurts"]


def test_ten_seeds_bring_the_bootstrap():
    nine, ten = only(runs({"on": 1.0}, seeds=9)), only(runs({"on": 1.0}, seeds=10))
    assert nine.bootstrap is None and ten.bootstrap == pytest.approx((ten.low, ten.high), abs=0.1)


def test_order_is_of_no_account_and_swapping_arms_turns_every_sign():
    rows = runs({"on": 0.5}, seeds=10)
    held, shuffled = (
        only(rows),
        only([rows[i] for i in np.random.default_rng(0).permutation(len(rows))]),
    )
    assert shuffled == held
    swapped = only([row._replace(arm={"on": "off", "off": "on"}[row.arm]) for row in rows])
    assert swapped.word == "hurts" and held.word == "helps" and swapped.p == pytest.approx(held.p)
    assert (swapped.low, swapped.high) == pytest.approx((-held.high, -held.low))


def test_equal_runs_are_equal():
    rows = runs({"on": 0.0})
    off = [row for row in rows if row.arm == "off"]
    held = only(off + [row._replace(arm="on") for row in off])
    assert (held.word, held.estimate, held.p) == ("practically equal", 0, 1)


def test_a_verdict_goes_through_json_and_back():
    verdict = judged(
        runs({"on": 1.0, "b": 0.0}, seeds=10, lost=[("b", 1)]) + runs({"on": 1.0}, "cer", seeds=2)
    )
    text = json.dumps(verdict.to_plain(), allow_nan=False)
    back = Verdict.from_plain(json.loads(text))
    assert (
        json.dumps(back.to_plain()) == text
        and back.of("on") == verdict.of("on")
        and math.isnan(back.of("on", "cer").p)
    )


def test_true_nulls_are_seldom_called_a_difference():
    words = [
        only(runs({"on": 0.0}, seeds=3, lines=25, run=0.3, seed=seed)).word for seed in range(300)
    ]
    assert (
        1 <= sum(word in ("helps", "hurts") for word in words) <= 27
    )  # 5 % of 300, and four standard deviations


def test_an_arm_that_never_lived_is_told():
    lost = [("on", seed) for seed in range(3)]
    held = only(runs({"on": 1.0}, seeds=3, lost=lost))
    assert held.word == "no verdict" and held.on_diverged == (0, 1, 2) and held.lines == 60
    both = only(runs({"on": 1.0}, seeds=3, lost=[*lost, *(("off", seed) for _, seed in lost)]))
    assert both.word == "no verdict" and both.off_diverged == (0, 1, 2) and both.lines == 0
