"""The weighted total: the sum is right, and a weight of 0 leaves its part out of the graph."""

import math

import pytest
import torch

from ganhtr.losses.total import weighted_total


@pytest.fixture
def parts():
    return {
        "pixel": torch.tensor([0.1, 0.3], requires_grad=True),
        "ctc": torch.tensor([40.0, 2.0], requires_grad=True),
        "contrastive": torch.tensor([1.0, 2.0], requires_grad=True),
    }


@pytest.mark.parametrize(
    ("weights", "total"),
    [
        ({"pixel": 200, "ctc": 1.0, "contrastive": 0.5}, 61.75),
        ({"pixel": 0, "ctc": 0.0, "contrastive": 2}, 3.0),
        ({"contrastive": 1, "ctc": 1, "pixel": 0.0}, 22.5),
    ],
)
def test_it_is_the_sum_of_weighted_batch_means(parts, weights, total):
    value = weighted_total(parts, weights)
    assert value.shape == () and value.item() == pytest.approx(total, rel=1e-6)
    value.backward()
    for name, part in parts.items():
        if weights[name]:
            assert part.grad.tolist() == pytest.approx([weights[name] / 2] * 2)
        else:
            assert part.grad is None


def test_a_part_of_weight_zero_cannot_spoil_the_total(parts):
    parts["ctc"] = torch.tensor([math.nan, math.inf], requires_grad=True)
    assert weighted_total(parts, {"pixel": 1, "ctc": 0, "contrastive": 1}).item() == pytest.approx(
        1.7
    )
    assert weighted_total(parts, {"pixel": 1, "ctc": 1e-9, "contrastive": 1}).isnan()


def test_every_part_needs_a_weight(parts):
    with pytest.raises(KeyError, match="contrastive"):
        weighted_total(parts, {"pixel": 1, "ctc": 1})
