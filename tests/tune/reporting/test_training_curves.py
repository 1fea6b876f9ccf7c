"""Fluctuation and clipping, by hand and by the statistics module."""

import statistics

import numpy as np
import pytest

from tests.tune.made_study import Made
from tune.reporting.training_curves import NORM, clipping_row, fluctuation, stability_section

CTC = [
    [900.0, 1.0],
    [800.0, 2.0],
    [1.0, 3.0],
    [4.0, 8.0],
    [5.0, 5.0],
]  # epoch means of the last three: 2, 6, 5
NORMS = [[0.5, 2.0], [1.0, 1.0], [3.0, 1.5], [0.2, 0.4], [1.0, 1.2]]  # above 1: 1, 0, 2, 0, 1 of 2


def long(name, seed=0, **steps):
    return Made(name, seed, [10.0, 11.0, 12.0, 13.0, 14.0], [0.2] * 5, steps)


def test_fluctuation_of_the_last_half(pair_of):
    trial = pair_of(long("off-000", ctc=CTC, generator_norm=NORMS), Made("on-000", 0)).first.trials[
        0
    ]
    result = fluctuation(trial, "ctc")
    assert result[0] == pytest.approx(statistics.stdev([2, 6, 5]))
    assert result[1] == pytest.approx(
        statistics.mean([statistics.stdev([1, 3]) / 2, statistics.stdev([4, 8]) / 6, 0])
    )
    norm = fluctuation(trial, NORM)
    assert norm[0] == pytest.approx(statistics.stdev([2.25, 0.3, 1.1]))
    assert norm[1] == pytest.approx(
        statistics.mean([statistics.stdev(each) / statistics.mean(each) for each in NORMS[2:]])
    )


def test_clipped_steps_of_all_epochs(pair_of):
    pair = pair_of(
        long("off-000", generator_norm=NORMS),
        long("off-001", 1, generator_norm=NORMS),
        Made("on-000", 0),
        Made("on-001", 1),
    )
    assert clipping_row("OFF", list(pair.first.trials)) == ["OFF", "20", "8", "40.0 %", "3.000"]
    assert clipping_row("ON", list(pair.second.trials)) == [
        "ON",
        "8",
        "4",
        "50.0 %",
        "1.500",
    ]  # two trials, 2 epochs of .5 and 1.5
    text = "\n".join(stability_section(pair))
    assert "| gradient norm of the generator" in text and "cannot be counted" not in text


def test_a_single_epoch_a_single_step_and_a_null_are_no_error(pair_of):
    pair = pair_of(
        Made("off-000", 0, [20.0], [0.2], {"ctc": [[3.0]]}),
        long("on-000", ctc=[*CTC[:3], [None, 4.0], [4.0, None]]),
    )
    single, holed = (
        fluctuation(pair.first.trials[0], "ctc"),
        fluctuation(pair.second.trials[0], "ctc"),
    )
    assert np.isnan(single).all()
    assert holed[1] == pytest.approx(statistics.stdev([1, 3]) / 2)
    assert "| CTC, nats a line" in "\n".join(stability_section(pair))


def test_trials_that_kept_no_norm_of_each_step(pair_of):
    pair = pair_of(
        Made("off-000", 0, diagnostics={"steps": {}}), Made("on-000", 0, diagnostics={"steps": {}})
    )
    assert clipping_row("OFF", list(pair.first.trials)) == ["OFF", "-", "-", "-", "1.500"]
    assert "cannot be counted" in "\n".join(stability_section(pair))
