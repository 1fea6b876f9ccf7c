"""The generator: a U-Net from a degraded line to a restored one.

Legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.config import GeneratorConfig

SLOPE = 0.3  # Keras' leaky ReLU default, which the original used
BN_EPS = 1e-3  # Keras' epsilon


def he_normal(module: nn.Module) -> None:
    """He-normal convolution weights and zero biases, as in the original. Source: He et al. 2015."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ConvNormAct(nn.Sequential):
    """Convolution (stride 1, same size), batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float):
        # an even kernel pads right and bottom only, as SAME padding does
        pad = nn.ZeroPad2d((0, 1, 0, 1)) if kernel == 2 else nn.Identity()
        convolution = nn.Conv2d(inputs, outputs, kernel, padding=0 if kernel == 2 else kernel // 2)
        super().__init__(pad, convolution, nn.BatchNorm2d(outputs, BN_EPS, momentum), nn.LeakyReLU(SLOPE, inplace=True))


class UNet(nn.Module):
    """Encoder and decoder with skip connections; a sigmoid makes the image.

    Shapes: degraded (B, 1, H, W) in [0, 1], H and W multiples of 2**levels -> restored (B, 1, H, W) in [0, 1].
    Source: Ronneberger et al. 2015, with the sizes of the experiment (base 64, 4 levels: 31,044,289 parameters).
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        widths = [config.base * 2**level for level in range(config.levels + 1)]
        momentum = config.bn_momentum

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(ConvNormAct(inputs, outputs, 3, momentum), ConvNormAct(outputs, outputs, 3, momentum))

        self.encoder = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        inputs = 1
        for width in widths:
            self.encoder.append(block(inputs, width))
            inputs = width
        for width in reversed(widths[:-1]):
            self.up.append(ConvNormAct(2 * width, width, 2, momentum))
            self.decoder.append(block(2 * width, width))
        self.output = nn.Conv2d(widths[0], 1, 1)
        self.apply(he_normal)

    def forward(self, degraded_B1HW: torch.Tensor) -> torch.Tensor:
        """The restored image."""
        x, skips = degraded_B1HW, []
        for level, encode in enumerate(self.encoder):
            x = encode(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.decoder, strict=True):
            x = up(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = merge(torch.cat([skips.pop(), x], dim=1))
        return torch.sigmoid(self.output(x))
