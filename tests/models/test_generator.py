"""The generator's kinds against explicit formulas; checkpointing that only saves memory."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.config import RULES, build_config
from ganhtr.models.generator import KINDS, AttentionGate, ResidualBlock, UNet

X = torch.rand(3, 1, 16, 32, generator=torch.Generator().manual_seed(1))


def unet(kind, seed=0, **settings):
    torch.manual_seed(seed)
    overrides = {
        "generator.kind": kind,
        "generator.base": 3,
        "generator.levels": 2,
        **{f"generator.{name}": value for name, value in settings.items()},
    }
    return UNet(build_config("tiny", overrides).generator)


class Original(nn.Module):
    """The plain U-Net layer by layer, in the order in which its weights are drawn."""

    def __init__(self, base, levels, momentum=0.1):
        super().__init__()

        def layer(inputs, outputs, kernel):
            pad = nn.ZeroPad2d((0, 1, 0, 1)) if kernel == 2 else nn.Identity()
            return nn.Sequential(
                pad,
                nn.Conv2d(inputs, outputs, kernel, padding=1 if kernel == 3 else 0),
                nn.BatchNorm2d(outputs, 1e-3, momentum),
                nn.LeakyReLU(0.3),
            )

        def pair(inputs, outputs):
            return nn.Sequential(layer(inputs, outputs, 3), layer(outputs, outputs, 3))

        widths = [base * 2**level for level in range(levels + 1)]
        self.encoder = nn.ModuleList(
            pair(inputs, width) for inputs, width in zip([1, *widths], widths, strict=False)
        )
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width in widths[-2::-1]:
            self.up.append(layer(2 * width, width, 2))
            self.decoder.append(pair(2 * width, width))
        self.output = nn.Conv2d(base, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x):
        seen = [self.encoder[0](x)]
        for block in self.encoder[1:]:
            seen.append(block(F.max_pool2d(seen[-1], 2)))
        x = seen[-1]
        for up, block, skip in zip(self.up, self.decoder, seen[-2::-1], strict=True):
            x = block(torch.cat([skip, up(F.interpolate(x, scale_factor=2))], 1))
        return torch.sigmoid(self.output(x))


def after(net, x=X):
    """Everything that a training pass leaves behind: output, gradients and buffers."""
    restored = net(x)
    (restored * torch.linspace(-1, 1, restored.numel()).view_as(restored)).sum().backward()
    return {
        "output": restored,
        "gradients": {name: p.grad for name, p in net.named_parameters()},
        "buffers": dict(net.named_buffers()),
    }


@pytest.mark.parametrize(("base", "levels"), [(3, 2), (4, 4), (1, 1)])
def test_plain_is_bit_by_bit_what_it_was(base, levels, same_tensors):
    torch.manual_seed(7)
    original, drawn_next = Original(base, levels), torch.rand(3)
    plain = unet("plain", 7, base=base, levels=levels)
    assert torch.equal(torch.rand(3), drawn_next)
    weights = original.state_dict()
    assert list(weights) == list(plain.state_dict()) and same_tensors(weights, plain.state_dict())
    assert same_tensors(after(original), after(plain))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("plain", 31_044_289), ("residual", 32_445_825), ("attention", 31_393_413)],
)
def test_the_sizes_at_the_experiments_width(kind, parameters):
    with torch.device("meta"):
        net = UNet(build_config("seed", {"generator.kind": kind}).generator)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_every_kind_of_the_configuration_can_be_built():
    assert tuple(KINDS) == RULES["generator.kind"].choices


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("base", "levels", "size"), [(1, 1, (2, 6)), (3, 2, (16, 32)), (2, 3, (8, 24))]
)
def test_every_kind_gives_an_image_and_learns_with_all_its_weights(kind, base, levels, size):
    net = unet(kind, base=base, levels=levels)
    for training in (True, False):
        image = net.train(training)(torch.rand(4, 1, *size))
        assert (
            image.shape == (4, 1, *size)
            and image.min() >= 0
            and image.max() <= 1
            and image.std() > 0
        )
    silent = (
        [] if base > 1 else ["gates.0.skip.weight", "gates.0.signal.weight"]
    )  # one channel behind a ReLU may be off
    left = after(net.train(), torch.rand(4, 1, *size))["gradients"]
    assert all(g is not None for g in left.values())
    assert all(
        left[name].abs().sum() > 0
        for name in left
        if name.endswith("weight") and name not in silent
    )


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (4, 4)])
def test_a_residual_block_adds_its_input_before_the_last_activation(inputs, outputs):
    torch.manual_seed(0)
    block, x = ResidualBlock(inputs, outputs, 0.1), torch.randn(2, inputs, 6, 7)
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert [c.kernel_size for c in convolutions] == [(3, 3), (3, 3), (1, 1)][
        : 2 + (inputs != outputs)
    ]

    def norm(convolution, x):
        y = F.conv2d(
            x, convolution.weight, convolution.bias, padding=convolution.kernel_size[0] // 2
        )
        return (y - y.mean((0, 2, 3), keepdim=True)) / (
            y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-3
        ).sqrt()

    y = norm(convolutions[0], x)
    y = norm(convolutions[1], torch.where(y > 0, y, 0.3 * y))
    y = y + (x if inputs == outputs else norm(convolutions[2], x))
    before = x.clone()
    assert torch.allclose(block(x), torch.where(y > 0, y, 0.3 * y), atol=1e-5)
    assert torch.equal(x, before)


def test_an_attention_gate_follows_the_papers_equations():
    torch.manual_seed(0)
    gate, skip, up = AttentionGate(4), torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5)
    gate.signal.bias.data.uniform_(-1, 1)
    out = gate(skip, up)
    w_x, w_g, psi = (
        layer.weight[:, :, 0, 0] for layer in (gate.skip, gate.signal, gate.coefficient)
    )
    assert w_x.shape == w_g.shape == (2, 4) and gate.skip.bias is None
    for b in range(2):
        for i in range(3):
            for j in range(5):
                hidden = (w_x @ skip[b, :, i, j] + w_g @ up[b, :, i, j] + gate.signal.bias).clamp(
                    min=0
                )
                alpha = 1 / (1 + torch.exp(-(psi @ hidden + gate.coefficient.bias)))
                assert torch.allclose(out[b, :, i, j], alpha * skip[b, :, i, j], atol=1e-6)


def test_the_gates_weigh_the_skips_by_the_upsampled_features():
    net, seen = unet("attention").eval(), {}
    for i, (up, gate, block) in enumerate(zip(net.up, net.gates, net.decoder, strict=True)):
        up.register_forward_hook(lambda m, x, out, i=i: seen.update({("up", i): out}))
        gate.register_forward_hook(
            lambda m, x, out, i=i: seen.update(
                {("skip", i): x[0], ("signal", i): x[1], ("gated", i): out}
            )
        )
        block.register_forward_hook(lambda m, x, out, i=i: seen.update({("merged", i): x[0]}))
    encoded = []
    for block in net.encoder:
        block.register_forward_hook(lambda m, x, out: encoded.append(out))
    with torch.no_grad():
        net(X)
    for i in range(2):
        assert torch.equal(seen["skip", i], encoded[1 - i]) and torch.equal(
            seen["signal", i], seen["up", i]
        )
        assert torch.equal(seen["merged", i], torch.cat([seen["gated", i], seen["up", i]], 1))
        share = seen["gated", i] / seen["skip", i]
        assert (
            share.std() > 1e-3 and (share.amax(1) - share.amin(1)).max() < 1e-4
        )  # one coefficient a place


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_changes_no_bit(kind, layout, same_tensors):
    kept, again = (unet(kind, checkpointing=on).to(memory_format=layout) for on in (False, True))
    for step in range(2):
        x = X.roll(step, 0)
        assert same_tensors(after(kept, x), after(again, x)), step
    buffers = dict(again.named_buffers())
    assert {int(n) for name, n in buffers.items() if name.endswith("num_batches_tracked")} == {2}
    assert same_tensors(kept.eval()(X), again.eval()(X))


def test_two_checkpointed_passes_before_their_backward_passes(same_tensors):
    results = []
    for on in (False, True):
        net = unet("residual", checkpointing=on)
        (net(X).sum() * 2 + net(X.flip(0)).square().sum()).backward()
        results.append([[p.grad for p in net.parameters()], copy.deepcopy(net.state_dict())])
    assert same_tensors(*results)


def saved_bytes(net, x):
    """Bytes of the activations that a forward pass keeps for the backward pass."""
    kept_anyway = {
        tensor.untyped_storage().data_ptr() for tensor in [*net.parameters(), *net.buffers()]
    }
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        restored = net(x)
    assert restored.requires_grad
    return sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in kept_anyway)


@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_keeps_clearly_less(kind):
    x = torch.rand(2, 1, 32, 64)
    kept, again = (saved_bytes(unet(kind, base=8, checkpointing=on), x) for on in (False, True))
    assert 0 < again < kept / 4, (kept, again)


@pytest.mark.parametrize("mode", ["evaluation", "no gradients"])
def test_nothing_is_recomputed_where_nothing_is_learned(mode, monkeypatch):
    net = unet("plain", checkpointing=True)
    monkeypatch.setattr("ganhtr.models.generator.checkpoint", None)
    if mode == "evaluation":
        net.eval()(X)
    else:
        with torch.no_grad():
            net(X)
    with pytest.raises(TypeError):
        net.train()(X)
