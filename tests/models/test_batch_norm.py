"""Running statistics stay as they were, whatever is run in between, and nothing else changes."""

import copy

import pytest
import torch
from torch import nn

from ganhtr.models.batch_norm import without_statistics

X = torch.rand(6, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def network(**settings):
    """Two batch norms with statistics of their own, one inside another module."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4, **settings),
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()),
    )
    net(X + 1)
    return net


@pytest.mark.parametrize(
    "settings", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}]
)
def test_the_output_is_the_same_and_the_statistics_stay(settings, same_tensors):
    net = network(**settings)
    before = copy.deepcopy(net.state_dict())
    with without_statistics(net):
        inside = net(X)
        updated = copy.deepcopy(net.state_dict())
    assert same_tensors(net.state_dict(), before) and not same_tensors(updated, before)
    assert torch.equal(net(X), inside)
    assert not same_tensors(net.state_dict(), before)
    assert same_tensors(net.state_dict(), updated)


def test_the_buffers_themselves_come_back():
    net = network()
    before = [id(buffer) for buffer in net.buffers()]
    with without_statistics(net), without_statistics(net[1], net):
        net(X)
    assert [id(buffer) for buffer in net.buffers()] == before and len(before) == 6


def test_in_evaluation_the_running_statistics_serve(same_tensors):
    net = network().eval()
    expected = net(X)
    with without_statistics(net):
        assert torch.equal(net(X), expected)
    assert not torch.equal(net.train()(X), expected)


def test_they_come_back_after_an_exception(same_tensors):
    net = network()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(KeyError), without_statistics(net):
        net(X)
        raise KeyError
    assert same_tensors(net.state_dict(), before)


def test_other_modules_go_on_counting():
    net = network()
    with without_statistics(net[2]):
        net(X)
    assert [norm.num_batches_tracked.item() for norm in (net[1], net[2][0])] == [2, 1]


def test_gradients_flow_inside(same_tensors):
    nets = network(), network()
    nets[0](X).square().sum().backward()
    with without_statistics(nets[1]):
        loss = nets[1](X).square().sum()
    loss.backward()
    grads = [[parameter.grad for parameter in net.parameters()] for net in nets]
    assert same_tensors(*grads) and all(gradient.abs().sum() > 0 for gradient in grads[0][-2:])
