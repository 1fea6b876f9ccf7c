"""Patience: what counts as a gain, when it ends, and that a checkpoint carries it."""

import pytest

from tune.metric import OBJECTIVES, objective_value
from tune.runner.patience import Patience


def feed(patience, values, start=1):
    return [patience.update(epoch, value) for epoch, value in enumerate(values, start)]


def test_a_plateau_ends_after_fifteen_epochs_without_a_gain():
    patience = Patience(15, 0.01)
    feed(patience, [1.0, 2.0, 3.0] + [3.0] * 14)
    assert not patience.exhausted
    patience.update(18, 3.0)
    assert patience.exhausted and (patience.best, patience.best_epoch, patience.waited) == (
        3.0,
        3,
        15,
    )


def test_a_gain_must_exceed_min_delta():
    patience = Patience(15, 0.01)
    assert feed(patience, [1.0, 1.01, 1.0101, 1.02]) == [True, False, True, False]


def test_the_first_value_counts_however_bad():
    assert feed(Patience(15, 0.01), [-36.0, -35.5]) == [True, True]


def test_a_restored_counter_goes_on_and_does_not_count_twice():
    values = [1.0, 3.0, 2.0, 2.5, 2.0, 2.0]
    whole = Patience(3, 0.0)
    feed(whole, values)
    first = Patience(3, 0.0)
    feed(first, values[:3])
    second = Patience(**first.plain())
    feed(second, values[3:], start=4)
    assert second == whole


def test_nan_is_no_gain():
    patience = Patience(2, 0.0)
    assert feed(patience, [1.0, float("nan"), float("nan")]) == [True, False, False]
    assert patience.exhausted


@pytest.mark.parametrize(
    "name, value",
    [("score", 20.0 - 50 * 0.2), ("psnr", 20.0), ("ssim", 0.9), ("cer", -0.2), ("wer", -0.5)],
)
def test_objectives_are_higher_for_better(name, value):
    assert objective_value(
        name, {"psnr": 20.0, "ssim": 0.9, "cer": 0.2, "wer": 0.5}
    ) == pytest.approx(value)


def test_an_error_rate_is_shown_as_it_is():
    assert (
        OBJECTIVES["cer"].shown(-0.3021) == "0.3021"
        and OBJECTIVES["score"].shown(10.394) == "10.39"
    )
