"""The sentences of a conclusion: no stronger than the seeds allow."""

import pytest

from tests.tune.made_study import Made, make_study, two_arms
from tune.reporting.conclusion import conclusion_section, conclusions, headline
from tune.reporting.pair import named_pair


def test_three_seeds_carry_an_interval(pair_of):
    sentences = conclusions(pair_of(*two_arms()))
    assert sentences[0] == (
        "PSNR: ON is lower (worse) by 1.000 ± 0.289 dB (95 % interval of the difference -2.242 to "
        "+0.242, 3 seeds); the interval contains 0."
    )
    assert (
        sentences[1] == "SSIM: equal in both arms to 4 decimals."
        and "not adjusted for their number" in sentences[-1]
    )
    assert len(sentences) == 7 and "tell" not in " ".join(sentences)


def test_an_interval_without_0(pair_of):
    """Differences -1, -1.5, -1: mean -1.1667, s = .288675, s.e. = 1/6, reach .717."""
    pair = pair_of(*two_arms(on=(19.0, 19.5, 21.0)))
    assert conclusions(pair)[0].endswith("-1.884 to -0.450, 3 seeds); the interval excludes 0.")
    assert headline(pair) == (
        "ON against OFF, 3 seeds: the 95 % interval of the difference excludes 0 only for PSNR "
        "(worse)."
    )


def test_an_error_rate_is_better_when_it_is_lower(pair_of):
    trials = [Made("off-000", 0, [20.0], [0.3]), Made("on-000", 0, [20.0], [0.2])]
    assert "CER guide: on-000 is lower (better) by 0.1000." in conclusions(pair_of(*trials))


@pytest.mark.parametrize(
    ("seeds", "caution"),
    [
        (1, "The arms differ in this run. One seed cannot tell whether they would in another."),
        (
            2,
            "The arms differ in these runs. Two seeds cannot tell whether they would in others.",
        ),
    ],
)
def test_few_seeds_claim_nothing(pair_of, seeds, caution):
    sentences = conclusions(pair_of(*(trial for trial in two_arms() if trial.seed < seeds)))
    assert (
        sentences[-1] == caution
        and "interval" not in " ".join(sentences)
        and "±" not in " ".join(sentences)
    )


def test_equal_runs_are_called_equal(pair_of):
    sentences = conclusions(pair_of(Made("off-000", 0), Made("on-000", 0)))
    assert sentences[0] == "PSNR: equal in both arms to 3 decimals."
    assert sentences[-1].startswith("The arms do not differ in this run. One seed cannot tell")


def test_other_seeds_and_no_figures_conclude_nothing(pair_of, tmp_path, request_of):
    assert "no seed in common" in conclusions(pair_of(Made("off-000", 0), Made("on-000", 1)))[-1]
    folder, _, rows = make_study(
        tmp_path / "x", request_of(), [Made("off-000", 0), Made("on-000", 0, status="failed")]
    )
    assert conclusions(named_pair(folder, rows, ["off-000"], ["on-000"])) == [
        "One arm has no finished trial, so nothing can be compared."
    ]


def test_the_published_figures_stand_beside_ours_in_the_experiment_alone(pair_of):
    pair = pair_of(*two_arms())
    plain, experiment = ("\n".join(conclusion_section(pair, preset)) for preset in (None, "tiny"))
    assert "search-validation lines" in plain and "20.265" not in plain
    assert "corrected experiment, not a replication" in experiment and "preset tiny" in experiment
    for figures in (
        "20.265 | 0.9326 | 0.2731 | 0.4569",
        "18.941 | 0.9198 | 0.2972 | 0.4744",
        "21.000 | 0.9000 | 0.2000 | 0.4000",
    ):
        assert figures in experiment
    assert "reading of the clean image" in experiment and "other lines" in experiment
    assert "preset seed" not in "\n".join(conclusion_section(pair, "seed"))
