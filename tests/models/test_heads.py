"""Projection heads: what each kind is made of."""

import pytest
import torch
from torch import nn

from ganhtr.config import HeadConfig
from ganhtr.models.heads import build_head

NORMS = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def parts(head, kind):
    return [m for m in head.modules() if isinstance(m, kind)]


def test_no_head_hands_the_features_on():
    head = build_head(HeadConfig("none", dim=3, layers=2), 7)
    z_BD = torch.randn(4, 7)
    assert torch.equal(head(z_BD), z_BD) and not list(head.parameters())


@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_head_is_one_linear_map(norm):
    head = build_head(HeadConfig("linear", dim=3, layers=2, norm=norm), 7)
    (only,) = [m for m in head.modules() if list(m.parameters(recurse=False))]
    z_BD = torch.randn(4, 7)
    assert isinstance(only, nn.Linear)
    assert torch.allclose(head(z_BD), z_BD @ only.weight.t() + only.bias, atol=1e-6) and head(z_BD).shape == (4, 3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_perceptron_has_its_hidden_layers_each_normalised(layers, norm):
    head = build_head(HeadConfig("mlp", dim=3, layers=layers, width=10, norm=norm), 7)
    sizes = [(m.in_features, m.out_features) for m in parts(head, nn.Linear)]
    assert sizes == [(7, 10), *[(10, 10)] * (layers - 1), (10, 3)]
    assert len(parts(head, nn.ReLU)) == layers
    assert len(parts(head, nn.BatchNorm1d)) == layers * (norm == "batch")
    assert len(parts(head, nn.LayerNorm)) == layers * (norm == "layer")
    assert [type(m) for m in head][:4] == [nn.Linear, NORMS[norm], nn.ReLU, nn.Linear]


def test_the_output_is_not_rectified_and_the_features_are_left_alone():
    torch.manual_seed(0)
    head = build_head(HeadConfig("mlp", dim=16, layers=2, width=32), 7)
    z_BD = torch.randn(32, 7)
    before = z_BD.clone()
    out = head(z_BD)
    assert (out < 0).any() and (out > 0).any() and torch.equal(z_BD, before)
    first, second = parts(head, nn.Linear)[:2]
    hidden = first(z_BD).clamp(min=0)
    assert torch.allclose(out, parts(head, nn.Linear)[2](second(hidden).clamp(min=0)), atol=1e-6)
