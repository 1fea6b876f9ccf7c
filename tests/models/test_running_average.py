"""Moving averages of weights and of batch norms' statistics: they soon forget their beginning."""

import pytest
import torch
from torch import nn

from ganhtr.models.running_average import (
    averaged_copy,
    debiased_share,
    newest_share,
    update_average,
    warm_up_norms,
)


@pytest.mark.parametrize(("step", "share"), [(0, 0.9), (90, 0.09), (10**6, 0.01)])
def test_an_average_follows_the_network_faster_at_first(step, share):
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = averaged_copy(network)
    with torch.no_grad():
        for p in network.parameters():
            p.fill_(1.0)
        for p in average.parameters():
            p.zero_()
    network[1].running_mean.fill_(3.0)
    network[1].num_batches_tracked.fill_(7)
    update_average(average, network, newest_share(0.01, step))
    assert all(
        torch.allclose(p, torch.full_like(p, share)) and not p.requires_grad
        for p in average.parameters()
    )
    assert average[1].running_mean.tolist() == pytest.approx([3 * share] * 2)
    assert average[1].num_batches_tracked == 7
    assert not average.training and network[0].weight.requires_grad


def test_the_debiased_average_weights_the_values_as_the_decay_says():
    network = nn.Linear(1, 1, bias=False)
    average, values, decay = averaged_copy(network), [], 0.95
    for step in range(300):
        values.append((step * 7919) % 13 - 6.0)
        with torch.no_grad():
            network.weight.fill_(values[-1])
        update_average(average, network, debiased_share(decay, step))
        if step in (0, 5, 299):
            weights = [decay ** (step - i) for i in range(step + 1)]
            expected = sum(w * value for w, value in zip(weights, values, strict=True))
            assert average.weight.item() == pytest.approx(expected / sum(weights), abs=1e-4)
    assert debiased_share(0.98, 399) != pytest.approx(debiased_share(0.995, 399), rel=0.5)


def test_statistics_of_a_small_momentum_are_those_of_the_data_after_a_hundred_steps():
    """With a constant momentum of 0.01 a third of the mean would still be its initial 0."""
    norm = nn.BatchNorm2d(1, momentum=0.01)
    rng = torch.Generator().manual_seed(0)
    for step in range(100):
        warm_up_norms(norm, 0.01, step)
        norm(5 + 2 * torch.randn(4, 1, 8, 8, generator=rng))
    assert norm.running_mean.item() == pytest.approx(5, abs=0.1)
    assert norm.running_var.item() == pytest.approx(4, rel=0.1)
    warm_up_norms(norm, 0.01, 10**6)
    assert norm.momentum == 0.01
