"""Projection heads: what each kind is made of."""

import pytest
import torch
from torch import nn

from ganhtr.config import RULES
from ganhtr.config_sections import HeadConfig
from ganhtr.models.heads import ResidualBlock, build_head

KINDS = RULES["head.kind"].choices


def parts(head, kind):
    return [m for m in head.modules() if isinstance(m, kind)]


def test_no_head_hands_the_features_on():
    head = build_head(HeadConfig("none", dim=3, layers=2), 7)
    z_ND = torch.randn(4, 7)
    assert torch.equal(head(z_ND), z_ND) and not list(head.parameters())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_a_head_gives_vectors_of_the_size_asked_for_and_learns(kind):
    head = build_head(HeadConfig(kind, dim=3, layers=2, width=10), 7)
    out = head(torch.randn(5, 7))
    assert out.shape == (5, 3)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters() if p.ndim > 1)


def test_a_linear_head_is_one_linear_map():
    head = build_head(HeadConfig("linear", dim=3, layers=2), 7)
    (only,) = [m for m in head.modules() if list(m.parameters(recurse=False))]
    z_ND = torch.randn(4, 7)
    assert isinstance(only, nn.Linear)
    assert torch.allclose(head(z_ND), z_ND @ only.weight.t() + only.bias, atol=1e-6) and head(
        z_ND
    ).shape == (4, 3)


@pytest.mark.parametrize("kind", ["mlp", "mlp_bn"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_perceptron_has_its_hidden_layers_and_with_bn_each_is_normalised(kind, layers):
    head = build_head(HeadConfig(kind, dim=3, layers=layers, width=10), 7)
    sizes = [(m.in_features, m.out_features) for m in parts(head, nn.Linear)]
    assert sizes == [(7, 10), *[(10, 10)] * (layers - 1), (10, 3)]
    assert len(parts(head, nn.ReLU)) == layers and len(parts(head, nn.BatchNorm1d)) == layers * (
        kind == "mlp_bn"
    )
    order = [nn.Linear, nn.BatchNorm1d, nn.ReLU] if kind == "mlp_bn" else [nn.Linear, nn.ReLU]
    assert [type(m) for m in head] == order * layers + [nn.Linear]


def test_residual_blocks_add_to_what_they_are_given():
    head = build_head(HeadConfig("residual", dim=3, layers=2, width=10), 7)
    assert [type(m) for m in head] == [nn.Linear, ResidualBlock, ResidualBlock, nn.Linear]
    z = head[0](torch.randn(4, 7))
    normalised = (z - z.mean(dim=1, keepdim=True)) / (
        z.var(dim=1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    first, second = parts(head[1], nn.Linear)
    assert torch.allclose(head[1](z), z + second(first(normalised).clamp(min=0)), atol=1e-5)


def test_the_output_is_not_rectified_and_the_features_are_left_alone():
    torch.manual_seed(0)
    head = build_head(HeadConfig("mlp", dim=16, layers=2, width=32), 7)
    z_ND = torch.randn(32, 7)
    before = z_ND.clone()
    out = head(z_ND)
    assert (out < 0).any() and (out > 0).any() and torch.equal(z_ND, before)
    first, second, last = parts(head, nn.Linear)
    assert torch.allclose(out, last(second(first(z_ND).clamp(min=0)).clamp(min=0)), atol=1e-6)
