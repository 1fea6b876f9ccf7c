"""The generator: a U-Net with plain or residual blocks, with or without attention gates.

Legend: B lines of a batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ganhtr.config_sections import GeneratorConfig
from ganhtr.models.batch_norm import without_statistics

SLOPE = 0.3  # Keras' leaky ReLU default, which the original used
BN_EPS = 1e-3  # Keras' epsilon


def he_normal(module: nn.Module) -> None:
    """Initialise a convolution: He-normal weights, zero bias. Source: He et al. 2015."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ConvNorm(nn.Sequential):
    """Convolution (stride 1, same size) and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float):
        # an even kernel pads right and bottom only, as TensorFlow's SAME padding does
        pad = nn.ZeroPad2d((0, 1, 0, 1)) if kernel == 2 else nn.Identity()
        convolution = nn.Conv2d(inputs, outputs, kernel, padding=0 if kernel == 2 else kernel // 2)
        super().__init__(pad, convolution, nn.BatchNorm2d(outputs, BN_EPS, momentum))


class ConvNormAct(ConvNorm):
    """Convolution (stride 1, same size), batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float):
        super().__init__(inputs, outputs, kernel, momentum)
        self.append(nn.LeakyReLU(SLOPE, inplace=True))


class PlainBlock(nn.Sequential):
    """Two 3x3 convolutions, each with batch norm and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, momentum: float):
        super().__init__(
            ConvNormAct(inputs, outputs, 3, momentum), ConvNormAct(outputs, outputs, 3, momentum)
        )


class ResidualBlock(nn.Module):
    """A plain block with a shortcut from its input to the sum before the last activation.

    Source: He et al. 2016 (CVPR), eq. (1), and eq. (2) with a 1x1 convolution where the widths
    differ; in a U-Net: Zhang et al. 2018. Differs: leaky ReLU instead of ReLU. Zhang et al. put
    batch norm and activation before each convolution and downsample by strided convolutions; here
    batch norm and activation follow the convolution, and pooling and up-convolutions are those of
    the plain U-Net.
    """

    def __init__(self, inputs: int, outputs: int, momentum: float):
        super().__init__()
        self.residual = nn.Sequential(
            ConvNormAct(inputs, outputs, 3, momentum), ConvNorm(outputs, outputs, 3, momentum)
        )
        self.shortcut = (
            nn.Identity() if inputs == outputs else ConvNorm(inputs, outputs, 1, momentum)
        )
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.activation(self.residual(x_BCHW) + self.shortcut(x_BCHW))


class OpenGate(nn.Module):
    """A skip connection without a gate."""

    def __init__(self, width: int):
        super().__init__()

    def forward(self, skip_BCHW: torch.Tensor, up_BCHW: torch.Tensor) -> torch.Tensor:
        return skip_BCHW


class AttentionGate(nn.Module):
    """Additive attention on a skip connection: one coefficient per position, from the level below.

    Source: Oktay et al. 2018 (MIDL), eq. (1) and (2). Differs: the gating signal is the upsampled
    features, so nothing is resampled inside the gate.
    """

    def __init__(self, width: int):
        super().__init__()
        hidden = max(1, width // 2)
        self.skip = nn.Conv2d(width, hidden, 1, bias=False)  # W_x
        self.signal = nn.Conv2d(width, hidden, 1)  # W_g, b_g
        self.coefficient = nn.Conv2d(hidden, 1, 1)  # psi, b_psi

    def forward(self, skip_BCHW: torch.Tensor, up_BCHW: torch.Tensor) -> torch.Tensor:
        hidden_BCHW = F.relu(self.skip(skip_BCHW) + self.signal(up_BCHW))
        return skip_BCHW * torch.sigmoid(self.coefficient(hidden_BCHW))


# kind -> block (inputs, outputs, momentum) and gate (width)
KINDS: dict[str, tuple[Callable[[int, int, float], nn.Module], Callable[[int], nn.Module]]] = {
    "plain": (PlainBlock, OpenGate),
    "residual": (ResidualBlock, OpenGate),
    "attention": (PlainBlock, AttentionGate),
}


def halve_and_encode(block: nn.Module, x_BCHW: torch.Tensor) -> torch.Tensor:
    """One level down: (B, C, H, W) -> (B, C', H/2, W/2)."""
    return block(F.max_pool2d(x_BCHW, 2))


def double_and_decode(
    up: nn.Module, gate: nn.Module, block: nn.Module, x_BCHW: torch.Tensor, skip_BCHW: torch.Tensor
) -> torch.Tensor:
    """One level up: (B, C, H, W) and the skip connection (B, C', 2H, 2W) -> (B, C', 2H, 2W)."""
    up_BCHW = up(F.interpolate(x_BCHW, scale_factor=2, mode="nearest"))
    return block(torch.cat([gate(skip_BCHW, up_BCHW), up_BCHW], dim=1))


class UNet(nn.Module):
    """Encoder and decoder with skip connections, and a sigmoid at the output.

    Shapes: degraded (B, 1, H, W) -> restored (B, 1, H, W), both in [0, 1], H and W multiples of
    2**levels.
    Source: Ronneberger et al. 2015, with the sizes of the original experiment (plain, base 64, 4
    levels: 31,044,289 parameters). Differs: batch norm, leaky ReLU, SAME padding.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        widths = [config.base * 2**level for level in range(config.levels + 1)]
        momentum = config.bn_momentum
        block, gate = KINDS[config.kind]
        self.checkpointing = config.checkpointing
        self.encoder = nn.ModuleList()
        self.up = nn.ModuleList()
        self.gates = nn.ModuleList()
        self.decoder = nn.ModuleList()
        inputs = 1
        for width in widths:
            self.encoder.append(block(inputs, width, momentum))
            inputs = width
        for width in reversed(widths[:-1]):
            self.up.append(ConvNormAct(2 * width, width, 2, momentum))
            self.gates.append(gate(width))
            self.decoder.append(block(2 * width, width, momentum))
        self.output = nn.Conv2d(widths[0], 1, 1)
        self.apply(he_normal)

    def forward(self, degraded_B1HW: torch.Tensor) -> torch.Tensor:
        """Restore lines: (B, 1, H, W) -> (B, 1, H, W)."""
        first, *below = self.encoder
        x_BCHW = self._run(first, degraded_B1HW)
        skips = []
        for block in below:
            skips.append(x_BCHW)
            x_BCHW = self._run(halve_and_encode, block, x_BCHW)
        for up, gate, block in zip(self.up, self.gates, self.decoder, strict=True):
            x_BCHW = self._run(double_and_decode, up, gate, block, x_BCHW, skips.pop())
        return torch.sigmoid(self.output(x_BCHW))

    def _run(
        self, function: Callable[..., torch.Tensor], *inputs: nn.Module | torch.Tensor
    ) -> torch.Tensor:
        """Call `function(*inputs)`; with checkpointing, keep only its inputs for the backward pass.

        The backward pass computes the activations again, without updating the running statistics.
        There is no dropout, so no random state is kept.
        Source: Chen et al. 2016. Differs: one segment per level.
        """
        if not (self.checkpointing and self.training and torch.is_grad_enabled()):
            return function(*inputs)
        modules = [value for value in (function, *inputs) if isinstance(value, nn.Module)]
        return checkpoint(
            function,
            *inputs,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), without_statistics(*modules)),
        )
