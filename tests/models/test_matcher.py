"""The matcher: projected lines, texts and frames, the scale of their cosines, the slow copies."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.config_sections import HeadConfig, TextEncoderConfig
from ganhtr.models.heads import build_head
from ganhtr.models.key_queue import KeyQueue
from ganhtr.models.matcher import LevelMatcher, Matcher
from ganhtr.models.pooling import WindowPool
from ganhtr.models.text_encoder import TextEncoder

FRAMES = torch.tensor([5, 2, 3, 1])
TEXT = torch.tensor([[1, 2, 3], [4, 0, 0], [0, 0, 0], [3, 3, 0]])
LENGTHS = torch.tensor([3, 1, 0, 2])


def build(kind="mlp", temperature=0.1, learned=False, windows=1, queue=0):
    torch.manual_seed(0)
    text = TextEncoder(TextEncoderConfig(embedding=5, dropout=0), 6, features=8)
    heads = [build_head(HeadConfig(kind, dim=7, width=9), 8) for _ in range(2)]
    level = LevelMatcher(
        WindowPool(windows), WindowPool(windows), *heads, KeyQueue(queue, 7) if queue else None
    )
    return Matcher({"proj": level}, text, temperature, learned)


def cosines_of(matcher, tap):
    level = matcher.levels["proj"]
    return (
        level.embed_images(tap, FRAMES)
        @ level.embed_texts(matcher.text_encoder(TEXT, LENGTHS), LENGTHS).t()
    )


@pytest.fixture
def tap():
    return torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", ["none", "linear", "mlp", "residual"])
def test_cosines_are_those_of_a_naive_loop(tap, kind):
    matcher = build(kind)
    level = matcher.levels["proj"]
    cosines = cosines_of(matcher, tap)
    assert cosines.shape == (4, 4)
    for i in range(4):
        image = level.image_head(sum(tap[i, t] for t in range(FRAMES[i]))[None] / FRAMES[i])[0]
        for j, length in enumerate(LENGTHS.tolist()):
            states = (
                matcher.text_encoder(TEXT[j : j + 1, :length], LENGTHS[j : j + 1])[0]
                if length
                else torch.zeros(1, 8)
            )
            text = level.text_head(states.mean(dim=0)[None])[0]
            expected = F.cosine_similarity(image, text, dim=0).item()
            assert cosines[i, j].item() == pytest.approx(expected, abs=1e-5)


def test_windows_come_line_by_line(tap):
    matcher = build("none", windows=2)
    level = matcher.levels["proj"]
    images = level.embed_images(tap, FRAMES)
    assert images.shape == (8, 8)
    first, second = tap[1, :1].mean(dim=0), tap[1, 1:2].mean(dim=0)  # two frames
    assert torch.allclose(images[2:4], F.normalize(torch.stack([first, second]), dim=1), atol=1e-6)
    assert level.embed_texts(matcher.text_encoder(TEXT, LENGTHS), LENGTHS).shape == (8, 8)


def test_frames_beyond_a_lines_width_have_no_influence(tap):
    matcher, changed = build(), tap.clone().requires_grad_()
    with torch.no_grad():
        for i, frames in enumerate(FRAMES):
            changed[i, frames:] = 50
    cosines = cosines_of(matcher, changed)
    assert torch.allclose(cosines, cosines_of(matcher, tap), atol=1e-6)
    cosines.square().sum().backward()
    assert (changed.grad.abs().sum(dim=2) > 0).tolist() == [
        [t < frames for t in range(5)] for frames in FRAMES
    ]


@pytest.mark.parametrize("kind", ["linear", "mlp_bn"])
def test_frames_are_projected_each_by_itself_and_padding_not_at_all(tap, kind):
    level = build(kind).levels["proj"]
    inside = torch.arange(5) < FRAMES[:, None]
    projected = level.project_frames(tap, inside)
    assert projected.shape == (4, 5, 7) and not projected[~inside].any()
    alone = (
        build(kind)
        .levels["proj"]
        .image_head(torch.cat([line[:n] for line, n in zip(tap, FRAMES, strict=True)]))
    )
    assert torch.allclose(projected[inside], alone, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_cosines_stay_within_one_whatever_the_scale(tap, scale):
    cosines = cosines_of(build("none"), scale * tap)
    assert cosines.abs().max() <= 1 + 1e-6 and cosines.std() > 0.05
    assert torch.allclose(cosines, cosines_of(build("none"), tap), atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "linear", "mlp", "mlp_bn", "residual"])
def test_only_empty_texts_give_finite_gradients(tap, kind):
    matcher = build(kind)
    level, none = matcher.levels["proj"], torch.zeros(4, dtype=torch.long)
    tap.requires_grad_()
    texts = level.embed_texts(matcher.text_encoder(torch.zeros(4, 1, dtype=torch.long), none), none)
    (level.embed_images(tap, FRAMES) @ texts.t()).sum().backward()
    assert all(p.grad.isfinite().all() for p in [tap, *matcher.parameters()] if p.grad is not None)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 2.0])
def test_the_temperature_has_a_gradient_only_when_asked_for(tap, temperature, learned):
    matcher = build(temperature=temperature, learned=learned)
    assert matcher.inverse_temperature.item() == pytest.approx(1 / temperature, rel=1e-5)
    cosines = cosines_of(matcher, tap)
    assert torch.equal(cosines, cosines_of(build(temperature=1.0), tap))  # not scaled here
    (cosines * matcher.inverse_temperature).sum().backward()
    assert (matcher.log_scale.grad is not None and matcher.log_scale.grad.abs() > 0) == learned
    assert any(p is matcher.log_scale for p in matcher.learned()) == learned
    if learned:  # d exp(s)/ds = exp(s): learned as its logarithm
        assert matcher.log_scale.grad.item() == pytest.approx(
            (cosines.sum() / temperature).item(), rel=1e-4
        )


def test_a_learned_scale_is_brought_back_to_a_hundred_and_can_fall_again():
    matcher = build(learned=True)
    nn.init.constant_(matcher.log_scale, 5.0)
    matcher.after_update({}, torch.arange(4), 0.999, 0)
    assert matcher.inverse_temperature.item() == pytest.approx(100.0)
    nn.init.constant_(matcher.log_scale, 1.0)
    matcher.after_update({}, torch.arange(4), 0.999, 0)
    assert matcher.inverse_temperature.item() == pytest.approx(2.71828, rel=1e-4)


def test_keys_come_from_the_slow_copies_which_are_not_learned():
    matcher = build("mlp_bn", queue=6)
    level = matcher.levels["proj"]
    slow = {id(p) for module in (matcher.key_encoder, level.key_head) for p in module.parameters()}
    assert slow and not slow & {id(p) for p in matcher.learned()}
    with torch.no_grad():
        for p in matcher.learned():
            p.add_(0.3)
    matcher.train()
    assert (
        level.text_head.training
        and not level.key_head.training
        and not matcher.key_encoder.training
    )
    slow_keys = level.embed_keys(matcher.key_states(TEXT, LENGTHS), LENGTHS)
    matcher.after_update({"proj": slow_keys}, torch.arange(4), 0.999, 10**6)
    keys, labels = level.queue.contents()
    assert torch.equal(keys, slow_keys) and labels.tolist() == [0, 1, 2, 3]
    matcher.eval()  # as the slow copies are
    fast = level.embed_texts(matcher.text_encoder(TEXT, LENGTHS), LENGTHS)
    assert not torch.allclose(keys, fast, atol=1e-3) and not keys.requires_grad
