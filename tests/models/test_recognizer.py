"""Line recognizers: frozen, differentiable to the image, each line read independently."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.config_sections import RecognizerConfig
from ganhtr.models.recognizer import CRNN, LineRecognizer, build_recognizer, freeze

HEIGHT, WIDTH, CLASSES = 32, 64, 7
CONFIGS = {
    "crnn": RecognizerConfig("crnn", base=4, dim=8, layers=2, dropout=0.3),
    "transformer": RecognizerConfig("transformer", base=2, dim=16, layers=2, heads=4, dropout=0.3),
}
FRAMES = {"crnn": 16, "transformer": 8}


@pytest.fixture(params=CONFIGS)
def kind(request):
    return request.param


@pytest.fixture
def recognizer(kind):
    """A recognizer in training mode whose batch norms are far from the identity."""
    torch.manual_seed(3)
    recognizer = build_recognizer(CONFIGS[kind], CLASSES, HEIGHT, WIDTH)
    with torch.no_grad():
        for norm in (m for m in recognizer.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.3, 2)
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.3)
    return recognizer


@pytest.fixture
def images():
    return torch.rand(3, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


def test_shapes(recognizer, kind, images):
    tap, logits = recognizer(images)
    assert tap.shape == (3, FRAMES[kind], recognizer.features) and logits.shape == (
        3,
        FRAMES[kind],
        CLASSES,
    )
    assert recognizer.stride == WIDTH // FRAMES[kind]


def test_levels_have_their_widths_and_lead_from_one_to_the_next(recognizer, kind, images):
    recognizer.eval()
    cnn, proj = recognizer.trunk(images)
    encoder = recognizer.encode(proj)
    for name, level in (("cnn", cnn), ("proj", proj), ("encoder", encoder)):
        assert level.shape == (3, FRAMES[kind], recognizer.widths[name]), name
    tap, logits = recognizer(images)
    assert torch.equal(tap, proj) and torch.equal(logits, recognizer.ctc_logits(encoder))
    seen = []
    last = recognizer.convolutions[
        -1 if kind == "transformer" else -4
    ]  # the CRNN's fourth block ends in a pool
    hook = last.register_forward_hook(lambda module, inputs, out: seen.append(out))
    again, _ = recognizer.trunk(images)
    hook.remove()
    assert torch.equal(again, seen[0].amax(dim=2).transpose(1, 2))


def test_freezing_leaves_the_function_unchanged(recognizer, images):
    whole = copy.deepcopy(recognizer).eval()
    frozen = freeze(recognizer)
    assert frozen is recognizer
    assert not any(isinstance(m, nn.BatchNorm2d) for m in frozen.modules())
    with torch.no_grad():
        for expected, got in zip(whole(images), frozen(images), strict=True):
            assert (expected - got).abs().max() < 1e-4 and expected.std() > 1e-2


def test_freezing_twice_is_freezing_once(recognizer, images):
    once = freeze(recognizer)(images)
    assert all(torch.equal(a, b) for a, b in zip(once, freeze(recognizer)(images), strict=True))


def test_a_frozen_recognizer_is_in_eval_mode_throughout(recognizer, images):
    frozen = freeze(recognizer)
    frozen(images)
    assert not any(module.training for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_gradient_flows_through_a_frozen_recognizer_to_every_image(recognizer, images):
    frozen = freeze(recognizer)
    before = copy.deepcopy(frozen.state_dict())
    images.requires_grad_()
    tap, logits = frozen(images)
    for output in (tap, logits):
        (gradient,) = torch.autograd.grad(output.square().sum(), images, retain_graph=True)
        assert gradient.isfinite().all() and (gradient.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())


def test_reading_is_repeatable_in_eval_mode_and_random_in_training(recognizer, images):
    recognizer.eval()
    statistics = copy.deepcopy(
        [m.running_mean for m in recognizer.modules() if isinstance(m, nn.BatchNorm2d)]
    )
    first, second = recognizer(images), recognizer(images)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(
        torch.equal(m, n.running_mean)
        for m, n in zip(
            statistics,
            (m for m in recognizer.modules() if isinstance(m, nn.BatchNorm2d)),
            strict=True,
        )
    )
    tap = first[0]
    recognizer.train()
    assert not torch.allclose(recognizer.read(tap), recognizer.read(tap), atol=1e-3)
    drops = []
    recognizer.dropout.register_forward_hook(lambda m, i, out: drops.append(out.shape[2]))
    recognizer.read(tap)
    assert drops == (
        [32, 16] if isinstance(recognizer, CRNN) else [16]
    )  # before the LSTM and before the classes


def test_a_line_is_read_by_itself(recognizer, images):
    recognizer.eval()
    alone = recognizer(images[1:2])
    for others in (images, torch.cat([torch.zeros_like(images[:1]), images[1:2], 9 * images[2:]])):
        for expected, got in zip(alone, recognizer(others), strict=True):
            assert torch.allclose(got[1:2], expected, atol=1e-5)


def test_a_frame_sees_its_own_pixels_and_no_distant_ones(recognizer, images):
    images.requires_grad_()
    tap = recognizer.eval().tap(images)
    frames = tap.shape[1]
    for frame in (0, frames - 1):
        (gradient,) = torch.autograd.grad(tap[:, frame, :3].sum(), images, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 1, 2)) > 0
        assert seen[frame * recognizer.stride : (frame + 1) * recognizer.stride].all()
        assert not seen.flip(0)[: WIDTH // 4].any() if frame == 0 else not seen[: WIDTH // 4].any()


def test_the_transformer_knows_positions():
    recognizer = build_recognizer(CONFIGS["transformer"], CLASSES, HEIGHT, WIDTH).eval()
    tap = torch.randn(1, 8, 16)
    assert not torch.allclose(recognizer.read(tap.flip(1)), recognizer.read(tap).flip(1), atol=1e-3)
    with torch.no_grad():
        recognizer.positions.zero_()
    assert torch.allclose(recognizer.read(tap.flip(1)), recognizer.read(tap).flip(1), atol=1e-5)


@pytest.mark.parametrize("height", [16, 17, 31, 48, 100])
def test_the_crnn_takes_any_height(height):
    recognizer = build_recognizer(CONFIGS["crnn"], CLASSES, HEIGHT, WIDTH).eval()
    tap, logits = recognizer(torch.rand(2, 1, height, 40))
    assert tap.shape == (2, 10, 32) and logits.shape == (2, 10, CLASSES)


def test_the_crnn_takes_the_maximum_over_each_column():
    recognizer = build_recognizer(CONFIGS["crnn"], CLASSES, HEIGHT, WIDTH).eval()
    image = torch.rand(1, 1, HEIGHT, WIDTH)
    columns = recognizer.convolutions(image)
    assert columns.shape == (1, 32, 2, 16)
    assert torch.equal(
        recognizer.tap(image)[0, 5], torch.maximum(columns[0, :, 0, 5], columns[0, :, 1, 5])
    )


def test_the_shortcut_head_reads_the_columns():
    recognizer = build_recognizer(CONFIGS["crnn"], CLASSES, HEIGHT, WIDTH).eval()
    tap = torch.rand(2, 16, 32, requires_grad=True)
    shortcut = recognizer.read_shortcut(tap)
    assert shortcut.shape == (2, 16, CLASSES)
    (gradient,) = torch.autograd.grad(shortcut[:, 5].sum(), tap)
    assert gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist() == [4, 5, 6]


def test_the_lstm_is_differentiable_in_eval_mode_where_cudnn_runs_it(monkeypatch):
    """cuDNN refuses the backward pass in eval mode, so each call runs in training mode."""
    seen = []
    plain = nn.LSTM.forward

    def forward(self, *inputs):
        seen.append(self.training)
        if inputs[0].isnan().any():
            raise ValueError
        return plain(self, *inputs)

    monkeypatch.setattr(nn.LSTM, "forward", forward)
    recognizer = freeze(build_recognizer(CONFIGS["crnn"], CLASSES, HEIGHT, WIDTH))
    recognizer.read(torch.rand(1, 16, 32))
    with pytest.raises(ValueError):
        recognizer.read(torch.full((1, 16, 32), torch.nan))
    assert (
        seen == [True, True]
        and recognizer.recurrent.training is False
        and recognizer.recurrent.dropout == 0
    )


def test_a_recognizer_must_have_trunk_encoder_and_logits():
    class WithoutLogits(LineRecognizer):
        def trunk(self, images_B1HW):
            return images_B1HW, images_B1HW

        def encode(self, tap_BTD):
            return tap_BTD

    with pytest.raises(TypeError, match="abstract method '?ctc_logits"):
        WithoutLogits()
    with pytest.raises(TypeError, match="abstract methods '?ctc_logits'?, '?encode'?, '?trunk"):
        LineRecognizer()
    assert isinstance(build_recognizer(CONFIGS["crnn"], CLASSES, HEIGHT, WIDTH), CRNN)


def test_no_gradient_changes_no_reading(recognizer, kind, images, monkeypatch):
    """Without gradients the transformer takes no fused path, which may approximate GELU."""

    def fused(*args, **kwargs):
        raise AssertionError("the fused path was taken")

    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", fused)
    frozen = freeze(recognizer)
    with torch.no_grad():
        without = frozen(images)[1]
    assert torch.allclose(without, frozen(images.requires_grad_())[1].detach(), atol=1e-6)


def test_a_crnn_can_read_at_a_height_of_its_own(images):
    taller = replace(CONFIGS["crnn"], height=48)
    recognizer = freeze(build_recognizer(taller, CLASSES, HEIGHT, WIDTH))
    images.requires_grad_()
    logits = recognizer(images)[1]
    scaled = F.interpolate(images, (48, WIDTH), mode="bilinear", antialias=True)
    assert logits.shape == (3, FRAMES["crnn"], CLASSES)
    assert torch.allclose(recognizer.rows @ images, scaled, atol=1e-6)
    logits.sum().backward()
    assert images.grad.abs().sum(dim=(1, 2, 3)).min() > 0
