"""Sizes and conventions of the networks: parameter counts, shapes, padding, Keras' defaults."""

import pytest
import torch
from torch import nn

from ganhtr.config import build_config
from ganhtr.models.discriminator import Discriminator
from ganhtr.models.generator import ConvNormAct, UNet
from ganhtr.models.recognizer import build_recognizer

TINY, SEED = build_config(), build_config("seed")
STATISTICS = ("running_mean", "running_var")


def networks(config, tokens, classes):
    height, width = config.data.height, config.data.width
    return {
        "generator": UNet(config.generator),
        "discriminator": Discriminator(config.discriminator, height, width, tokens),
        "recognizer": build_recognizer(config.guide, classes, height, width),
    }


@pytest.fixture(scope="module")
def seed_networks():
    with torch.device("meta"):
        return networks(SEED, tokens=110, classes=109)


@pytest.fixture(scope="module")
def tiny_networks():
    torch.manual_seed(0)
    return networks(TINY, tokens=30, classes=29)


@pytest.mark.parametrize(
    ("name", "trainable", "with_statistics"),
    [
        ("generator", 31_044_289, 31_057_985),
        ("discriminator", 137_277_505, 137_279_297),
        ("recognizer", 27_920_301, 27_924_141),
    ],
)
def test_the_seed_has_the_published_sizes(seed_networks, name, trainable, with_statistics):
    network = seed_networks[name]
    counted = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert counted == trainable
    assert (
        counted + sum(b.numel() for key, b in network.named_buffers() if key.endswith(STATISTICS))
        == with_statistics
    )


def test_the_seed_reads_128_frames_of_512_features(seed_networks):
    tap, logits = seed_networks["recognizer"](torch.empty(2, 1, 128, 1024, device="meta"))
    assert tap.shape == (2, 128, 512) and logits.shape == (2, 128, 109)


def test_only_the_redundant_lstm_bias_is_held(tiny_networks):
    frozen = {
        name: p
        for name, p in tiny_networks["discriminator"].named_parameters()
        if not p.requires_grad
    }
    assert list(frozen) == ["text.bias_hh_l0"] and not frozen["text.bias_hh_l0"].any()
    free = {id(p) for p in tiny_networks["discriminator"].parameters() if p.requires_grad}
    assert {id(p) for p in tiny_networks["discriminator"].trainable()} == free
    assert all(
        p.requires_grad
        for name in ("generator", "recognizer")
        for p in tiny_networks[name].parameters()
    )


@pytest.mark.parametrize(("height", "width"), [(32, 256), (16, 48)])
def test_the_generator_keeps_the_size_and_gives_an_image(tiny_networks, height, width):
    x = torch.rand(2, 1, height, width)
    restored = tiny_networks["generator"](x)
    assert restored.shape == x.shape and restored.std() > 1e-3
    assert (restored > 0).all() and (restored < 1).all()


@pytest.mark.parametrize("levels", [1, 3])
def test_every_level_and_every_skip_reaches_the_output(levels):
    unet = UNet(build_config("tiny", {"generator.levels": levels, "generator.base": 2}).generator)
    assert (len(unet.encoder), len(unet.up), len(unet.decoder)) == (levels + 1, levels, levels)
    unet(torch.rand(1, 1, 16, 32)).sum().backward()
    convolutions = [m for m in unet.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2 * (levels + 1) + 3 * levels + 1
    assert all(c.weight.grad.abs().sum() > 0 for c in convolutions)


def test_the_decoder_sees_the_skip_first(tiny_networks):
    seen = {}
    unet = tiny_networks["generator"].eval()
    last = len(unet.up) - 1
    hooks = [
        unet.encoder[0].register_forward_hook(lambda m, i, out: seen.update(skip=out)),
        unet.up[last].register_forward_hook(lambda m, i, out: seen.update(up=out, below=i[0])),
        unet.decoder[last].register_forward_hook(lambda m, i, out: seen.update(merged=i[0])),
    ]
    with torch.no_grad():
        unet(torch.rand(1, 1, 32, 64))
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen["merged"], torch.cat([seen["skip"], seen["up"]], dim=1))
    assert torch.equal(
        seen["below"][..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3), seen["below"]
    )


def test_the_discriminator_gives_a_logit_a_line(tiny_networks):
    image, text = torch.rand(3, 1, 32, 256), torch.randint(1, 29, (3, 5))
    discriminator = tiny_networks["discriminator"].eval()
    logits = discriminator(image, text, torch.tensor([5, 2, 1]))
    assert logits.shape == (3,) and len(set(logits.tolist())) == 3
    assert torch.equal(
        logits,
        discriminator.classify(image, discriminator.encode_text(text, torch.tensor([5, 2, 1]))),
    )
    swapped = discriminator(image, text.roll(1, 0), torch.tensor([5, 2, 1]))
    assert (swapped != logits).all()


def test_the_recognizers_give_features_and_logits_a_frame(tiny_networks):
    tap, logits = tiny_networks["recognizer"](torch.rand(2, 1, 32, 256))
    assert tap.shape == (2, 64, 128) and logits.shape == (2, 64, 29)
    assert tiny_networks["recognizer"].features == 128 and tiny_networks["recognizer"].stride == 4


def test_an_even_kernel_pads_right_and_bottom_only():
    block = ConvNormAct(1, 1, 2, 0.1)
    x = torch.rand(1, 1, 5, 7)
    with torch.no_grad():
        block[1].bias.zero_()
        block[1].weight.copy_(torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]]))
        out = block[1](block[0](x))[0, 0]
    beyond = torch.zeros(6, 8)
    beyond[:5, :7] = x[0, 0]
    assert torch.allclose(
        out, beyond[:5, :7] + 2 * beyond[:5, 1:] + 4 * beyond[1:, :7] + 8 * beyond[1:, 1:]
    )


@pytest.mark.parametrize(
    ("name", "epsilon", "momentum", "count"),
    [("generator", 1e-3, 0.01, 22), ("discriminator", 1e-3, 0.2, 3), ("recognizer", 1e-3, 0.01, 8)],
)
def test_batch_norms_are_those_of_the_experiment(seed_networks, name, epsilon, momentum, count):
    norms = [m for m in seed_networks[name].modules() if isinstance(m, nn.BatchNorm2d)]
    assert [(m.eps, m.momentum) for m in norms] == [(epsilon, momentum)] * count


def test_activations_are_those_of_the_experiment(seed_networks):
    def slopes(network):
        return [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]

    assert slopes(seed_networks["generator"]) == [0.3] * 22
    assert slopes(seed_networks["discriminator"]) == [0.2] * 6
    assert [type(m).__name__ for m in seed_networks["discriminator"].image][:5] == [
        "Conv2d",
        "LeakyReLU",
        "Conv2d",
        "LeakyReLU",
        "BatchNorm2d",
    ]
    gelus = [m for m in seed_networks["recognizer"].convolutions if isinstance(m, nn.GELU)]
    assert len(gelus) == 8 and all(m.approximate == "none" for m in gelus)
    layer = seed_networks["recognizer"].transformer.layers[0]
    assert (layer.norm1.eps, layer.norm_first) == (1e-3, False)
    assert (layer.linear1.out_features, layer.self_attn.num_heads) == (2048, 8)
    assert layer.activation(torch.tensor(1.0)) == pytest.approx(
        0.8413447, abs=1e-6
    )  # the exact GELU
    assert seed_networks["recognizer"].normalise.eps == 1e-3


def test_weights_start_as_in_the_experiment(tiny_networks):
    wide = UNet(
        build_config("tiny", {"generator.base": 32, "generator.levels": 1}).generator
    ).encoder[1][0][1]
    assert (
        wide.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.03)
        and not wide.bias.any()
    )
    discriminator = tiny_networks["discriminator"]
    hidden = discriminator.text.hidden_size
    assert (
        discriminator.text.bias_ih_l0.tolist() == [0] * hidden + [1] * hidden + [0] * 2 * hidden
    )  # forget gate
    recurrent = discriminator.text.weight_hh_l0
    assert torch.allclose(recurrent.t() @ recurrent, torch.eye(hidden), atol=1e-5)
    dense = discriminator.join[2].weight
    bound = (6 / sum(dense.shape)) ** 0.5
    assert dense.abs().max() <= bound and dense.std().item() == pytest.approx(
        bound / 3**0.5, rel=0.05
    )
    assert discriminator.embedding.weight.abs().max() <= 0.05
