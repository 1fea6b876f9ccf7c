"""The first epoch with 95 % of the gain."""

import pytest

from tests.tune.made_study import Made
from tune.reporting.training_curves import convergence_section, gain_epoch


@pytest.mark.parametrize(
    ("psnr", "epoch"),
    [
        ([0.0, 94.9, 95.0, 100.0, 90.0], 3),  # 95 % of the way from 0 to 100
        ([-50.0, 40.0, 46.0, 50.0], 3),  # from -50 to 50: 45 is reached by 46
        ([10.0, 20.0], 2),
        ([20.0, 19.0, 18.0], 1),  # the first is the best
        ([0.0, 97.0, 50.0, 100.0], 2),  # once is enough
    ],
)
def test_the_first_epoch_with_most_of_the_gain(pair_of, psnr, epoch):
    trial = pair_of(Made("off-000", 0, psnr, [0.2] * len(psnr)), Made("on-000", 0)).first.trials[0]
    assert gain_epoch(trial, "score") == epoch and gain_epoch(trial, "psnr") == epoch


def test_it_follows_the_objective(pair_of):
    """By score the gain comes with the CER, by PSNR at once."""
    trial = pair_of(
        Made("off-000", 0, [10.0, 20.0, 20.5], [0.9, 0.8, 0.1]), Made("on-000", 0)
    ).first.trials[0]
    assert gain_epoch(trial, "score") == 3 and gain_epoch(trial, "psnr") == 2


def test_nulls_and_missing_epochs_are_no_error(pair_of):
    pair = pair_of(
        Made("off-000", 0, [10.0, None, 20.0], [0.5, 0.4, 0.2]),
        Made("on-000", 0, [None, 20.0], [0.5, 0.2]),
    )
    assert (
        gain_epoch(pair.first.trials[0], "score") == 3
        and gain_epoch(pair.second.trials[0], "score") is None
    )
    assert "| on-000" in "\n".join(convergence_section(pair, "score"))
