"""Constraints: amounts of violations, their signs, and their words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.space.constraint import CONSTRAINT_RULES, Constraint, keeps, violations

METRICS = {"psnr": 19.0, "ssim": 0.8, "cer": 0.3, "wer": 0.6, "judge_cer": 0.25, "judge_wer": 0.5}
OFF = {"psnr": 20.0, "ssim": 0.9, "cer": 0.25, "wer": 0.7, "judge_cer": 0.25, "judge_wer": 0.5}


@pytest.mark.parametrize(
    "constraint, expected",
    [
        (Constraint("psnr", "min", 18.0), -1.0),
        (Constraint("psnr", "min", 19.5), 0.5),
        (Constraint("cer", "max", 0.2), 0.1),
        (Constraint("wer", "max", 0.7), -0.1),
        (Constraint("psnr", "below_off", 0.5), 0.5),
        (Constraint("psnr", "below_off", 1.0), 0.0),
        (Constraint("ssim", "below_off", 0.2), -0.1),
        (Constraint("cer", "above_off", 0.02), 0.03),
        (Constraint("wer", "above_off", 0.0), -0.1),
        (Constraint("judge_cer", "above_off", 0.0), 0.0),
    ],
)
def test_by_how_much_a_constraint_is_violated(constraint, expected):
    assert violations([constraint], METRICS, OFF) == [pytest.approx(expected)]
    assert keeps([constraint], METRICS, OFF) == (expected <= 0)


def test_a_rule_about_off_is_kept_while_off_has_no_result():
    relative, absolute = Constraint("psnr", "below_off", 0.0), Constraint("psnr", "min", 30.0)
    assert violations([relative, absolute], METRICS, None) == [0.0, 11.0]
    assert keeps([relative], METRICS, None) and not keeps([relative, absolute], METRICS, None)


def test_without_constraints_everything_is_kept():
    assert violations([], METRICS, OFF) == [] and keeps([], METRICS, None)


@given(
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.floats(0, 50),
    st.sampled_from(list(CONSTRAINT_RULES)),
)
def test_the_sign_agrees_with_the_words(value, off, amount, rule):
    kept = {
        "min": value >= amount,
        "max": value <= amount,
        "below_off": off - value <= amount,
        "above_off": value - off <= amount,
    }[rule]
    assert keeps([Constraint("psnr", rule, amount)], {"psnr": value}, {"psnr": off}) == kept


@pytest.mark.parametrize(
    "constraint, words",
    [
        (Constraint("psnr", "below_off", 0.5), "PSNR at most 0.5 dB below OFF"),
        (Constraint("cer", "max", 0.3), "CER guide at most 0.3"),
        (Constraint("psnr", "min", 20.0), "PSNR at least 20 dB"),
        (Constraint("judge_wer", "above_off", 0.01), "WER judge at most 0.01 above OFF"),
    ],
)
def test_in_words(constraint, words):
    assert str(constraint) == words
