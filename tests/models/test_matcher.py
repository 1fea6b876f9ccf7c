"""The matcher: cosines of images with texts, over each line's own frames."""

import pytest
import torch
from torch import nn

from ganhtr.config import HeadConfig, TextEncoderConfig
from ganhtr.models.heads import build_head
from ganhtr.models.matcher import Matcher
from ganhtr.models.text_encoder import TextEncoder

FRAMES = torch.tensor([5, 2, 3, 1])
TEXT = torch.tensor([[1, 2, 3], [4, 0, 0], [0, 0, 0], [3, 3, 0]])
LENGTHS = torch.tensor([3, 1, 0, 2])


def build(kind="mlp", temperature=0.1, learned=False):
    torch.manual_seed(0)
    text = TextEncoder(TextEncoderConfig(embedding=5, dropout=0), 6, features=8)
    heads = [build_head(HeadConfig(kind, dim=7, width=9), 8) for _ in range(2)]
    return Matcher(text, *heads, temperature, learned)


@pytest.fixture
def tap():
    return torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", ["none", "linear", "mlp"])
def test_cosines_are_those_of_a_naive_loop(tap, kind):
    matcher = build(kind)
    cosines = matcher(tap, FRAMES, TEXT, LENGTHS)
    assert cosines.shape == (4, 4)
    texts = matcher.text_head(matcher.text_encoder(TEXT, LENGTHS))
    for i in range(4):
        own = sum(tap[i, t] for t in range(FRAMES[i])) / FRAMES[i]
        image = matcher.image_head(own[None])[0]
        for j in range(4):
            length = image.norm() * texts[j].norm()
            expected = (image @ texts[j] / length).item() if length else 0.0
            assert cosines[i, j].item() == pytest.approx(expected, abs=1e-6)


def test_frames_beyond_a_lines_width_have_no_influence(tap):
    matcher, changed = build(), tap.clone().requires_grad_()
    with torch.no_grad():
        for i, frames in enumerate(FRAMES):
            changed[i, frames:] = 50
    cosines = matcher(changed, FRAMES, TEXT, LENGTHS)
    assert torch.equal(cosines, matcher(tap, FRAMES, TEXT, LENGTHS))
    cosines.square().sum().backward()
    assert (changed.grad.abs().sum(dim=2) > 0).tolist() == [[t < frames for t in range(5)] for frames in FRAMES]


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_cosines_stay_within_one_whatever_the_scale(tap, scale):
    cosines = build("none")(scale * tap, FRAMES, TEXT, LENGTHS)
    assert cosines.abs().max() <= 1 + 1e-6 and cosines.std() > 0.05
    assert torch.allclose(cosines, build("none")(tap, FRAMES, TEXT, LENGTHS), atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "linear", "mlp"])
def test_only_empty_texts_give_finite_gradients(tap, kind):
    matcher = build(kind)
    tap.requires_grad_()
    matcher(tap, FRAMES, torch.zeros(4, 1, dtype=torch.long), torch.zeros(4, dtype=torch.long)).sum().backward()
    assert all(p.grad.isfinite().all() for p in [tap, *matcher.parameters()] if p.grad is not None)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 2.0])
def test_the_temperature_has_a_gradient_only_when_asked_for(tap, temperature, learned):
    matcher = build(temperature=temperature, learned=learned)
    assert matcher.inverse_temperature.item() == pytest.approx(1 / temperature, rel=1e-5)
    cosines = matcher(tap, FRAMES, TEXT, LENGTHS)
    assert torch.equal(cosines, build(temperature=1.0)(tap, FRAMES, TEXT, LENGTHS))  # not scaled here
    (cosines * matcher.inverse_temperature).sum().backward()
    assert isinstance(matcher.log_scale, nn.Parameter)
    assert (matcher.log_scale.grad is not None and matcher.log_scale.grad.abs() > 0) == learned
    if learned:  # d exp(s)/ds = exp(s): learned as its logarithm
        assert matcher.log_scale.grad.item() == pytest.approx((cosines.sum() / temperature).item(), rel=1e-4)


def test_a_learned_scale_is_brought_back_to_a_hundred_and_can_fall_again():
    matcher = Matcher(torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity(), 0.01, True)
    torch.nn.init.constant_(matcher.log_scale, 5.0)
    matcher.bound_scale()
    assert matcher.inverse_temperature.item() == pytest.approx(100.0)
    torch.nn.init.constant_(matcher.log_scale, 1.0)
    matcher.bound_scale()
    assert matcher.inverse_temperature.item() == pytest.approx(2.71828, rel=1e-4)
