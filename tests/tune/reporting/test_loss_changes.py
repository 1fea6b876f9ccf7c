"""Loss components of the last epoch."""

import math

import pytest

from tests.tune.made_study import Made
from tune.reporting.training_curves import loss_rows, loss_section


def test_the_last_epoch_counts_and_totals_come_last(pair_of):
    """OFF: 200 * .02 + 5 * .3 + 12 + 3 = 20.5.

    ON: pixel .05, so 26.5; with 2 * 1.1 for the contrastive term 28.7.
    """
    pair = pair_of(
        Made("off-000", 0), Made("on-000", 0, steps={"pixel": [[9.0, 9.0], [0.04, 0.06]]})
    )
    rows = loss_rows(pair)
    assert [row[0] for row in rows] == [
        "pixel",
        "feature",
        "ctc",
        "contrastive",
        "adversarial",
        "discriminator",
        "total without the contrastive term",
        "total",
    ]
    means = {name: values for name, *values in rows}
    assert means["pixel"] == pytest.approx([0.02, 0.05]) and means["ctc"] == [12.0, 12.0]
    assert math.isnan(means["contrastive"][0]) and means["contrastive"][1] == pytest.approx(1.1)
    assert means["total without the contrastive term"] == pytest.approx([20.5, 26.5]) and means[
        "total"
    ] == pytest.approx([20.5, 28.7])
    text = "\n".join(loss_section(pair))
    lines = {
        line.split("|")[1].strip(): [word.strip() for word in line.split("|")[2:-1]]
        for line in text.splitlines()
        if "|" in line
    }
    assert lines["pixel (L1)"] == ["0.02000", "0.05000", "+150.0 %"] and lines["contrastive"] == [
        "-",
        "1.100",
        "-",
    ]
    assert (
        lines["total"] == ["20.50", "28.70", "+40.0 %"]
        and lines["total without the contrastive term"][2] == "+29.3 %"
    )
    assert "not comparable" in text and "weight 0" not in text


def test_means_go_over_the_paired_seeds(pair_of):
    pair = pair_of(
        Made("off-000", 0, steps={"ctc": [[1.0], [10.0]]}),
        Made("off-001", 1, steps={"ctc": [[1.0], [20.0]]}),
        Made("off-002", 2, steps={"ctc": [[1.0], [900.0]]}),
        Made("on-000", 0),
        Made("on-001", 1),
    )
    assert {name: values for name, *values in loss_rows(pair)}["ctc"] == [15.0, 12.0]


def test_a_term_measured_at_weight_0_is_shown_and_explained(pair_of):
    """OFF computes the term but does not train with it: it is in the table and in no total."""
    off = Made(
        "off-000", 0, values={"contrastive.formulation": "infonce", "contrastive.weight": 0.0}
    )
    off.steps = {"contrastive": [[1.4], [1.5]]}
    off.losses = lambda epoch, losses=off.losses: [
        {**part, "total": 20.5} for part in losses(epoch)
    ]
    pair = pair_of(off, Made("on-000", 0))
    means = {name: values for name, *values in loss_rows(pair)}
    assert (
        means["contrastive"] == pytest.approx([1.5, 1.1])
        and means["total"][0] == means["total without the contrastive term"][0]
    )
    assert "OFF measured the contrastive term at weight 0" in "\n".join(loss_section(pair))


def test_a_mean_that_is_null_counts_for_nothing(pair_of):
    pair = pair_of(Made("off-000", 0), Made("on-000", 0))
    for trial in pair.second.trials:
        trial.epochs[-1]["training_losses"]["feature"] = None
    means = {name: values for name, *values in loss_rows(pair)}
    assert (
        math.isnan(means["feature"][1])
        and math.isnan(means["total without the contrastive term"][1])
        and means["total"][1] > 0
    )


def test_an_unknown_component_is_not_dropped(pair_of):
    rows = loss_rows(
        pair_of(Made("off-000", 0), Made("on-000", 0, steps={"patch<b>": [[1.0], [2.0]]}))
    )
    assert [row[0] for row in rows][-3:] == [
        "patch<b>",
        "total without the contrastive term",
        "total",
    ]
