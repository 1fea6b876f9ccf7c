"""Line recognizers: a CRNN and the transformer of the experiment. Both give features (the tap) and CTC logits per frame.

Legend: B batch, H height, W width, T frames, D features, K classes (0 is the blank).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganhtr.config_sections import STRIDES, RecognizerConfig


class DifferentiableLSTM(nn.LSTM):
    """An LSTM without dropout that can be differentiated in eval mode.

    cuDNN refuses the backward pass of an RNN in eval mode; without dropout the mode changes nothing else, so the flag is raised
    for the call alone.
    """

    def forward(self, *inputs):
        held, self.training = self.training, True
        try:
            return super().forward(*inputs)
        finally:
            self.training = held


class LineRecognizer(nn.Module):
    """What every recognizer offers: features of an image on three levels (cnn, proj, encoder), logits, and how many pixels a frame spans.

    `proj` is the tap: what the feature loss and, unless told otherwise, the contrastive loss look at.
    """

    stride: int  # pixels a frame
    widths: dict[str, int]  # features of each level
    convolutions: nn.Sequential

    @property
    def features(self) -> int:
        """Width of the tap."""
        return self.widths["proj"]

    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The levels cnn and proj, each (B, T, D)."""
        raise TypeError(f"{type(self).__name__} has no trunk")

    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """The level encoder (B, T, D) of the tap."""
        raise TypeError(f"{type(self).__name__} has no encoder")

    def spell(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the level encoder."""
        raise TypeError(f"{type(self).__name__} cannot spell")

    def tap(self, images_B1HW: torch.Tensor) -> torch.Tensor:
        """The level proj (B, T, D)."""
        return self.trunk(images_B1HW)[1]

    def read(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the tap."""
        return self.spell(self.encode(tap_BTD))

    def forward(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tap and logits."""
        tap = self.tap(images_B1HW)
        return tap, self.read(tap)


class CRNN(LineRecognizer):
    """Five convolution blocks, the maximum over each column, BiLSTM layers, and a linear CTC head.

    Shapes: images (B, 1, H, W), any H of at least 16 -> tap (B, W/4, 8 base), logits (B, W/4, K).
    The shortcut head's logits train the columns directly and are not used for reading.
    Source: Shi et al. 2015; column maximum and CTC shortcut: Retsinas et al. 2022.
    """

    stride = STRIDES["crnn"]

    def __init__(self, config: RecognizerConfig, classes: int, height: int, width: int):
        super().__init__()
        channels = [config.base * m for m in (1, 2, 4, 6, 8)]
        pools = [(2, 2), (2, 2), (2, 1), (2, 1), None]
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, pool in zip(channels, pools, strict=True):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            layers += [nn.MaxPool2d(pool)] if pool else []
            inputs = outputs
        self.convolutions = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.widths = {"cnn": channels[-2], "proj": inputs, "encoder": 2 * config.dim}
        self.recurrent = DifferentiableLSTM(
            inputs, config.dim, config.layers, batch_first=True, bidirectional=True
        )
        self.classify = nn.Linear(2 * config.dim, classes)
        self.shortcut = nn.Conv1d(inputs, classes, 3, padding=1)

    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Columns behind the fourth block and behind the fifth."""
        fourth = self.convolutions[:-3](images_B1HW)
        return fourth.amax(dim=2).transpose(1, 2), self.convolutions[-3:](fourth).amax(
            dim=2
        ).transpose(1, 2)

    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        return self.recurrent(self.dropout(tap_BTD))[0]

    def spell(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        return self.classify(self.dropout(encoder_BTD))

    def read_shortcut(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the shortcut head, for training the recognizer."""
        return self.shortcut(self.dropout(tap_BTD).transpose(1, 2)).transpose(1, 2)


class TransformerRecognizer(LineRecognizer):
    """The experiment's recognizer: convolutions, dense layer, learned positions, post-LN transformer.

    Shapes: images (B, 1, H, W) of the one size it was built for -> tap (B, W/8, dim), logits (B, W/8, K).
    Source: sizes in the experiment's report (base 64, dim 512, 6 layers, 108 characters, 128 x 1024: 27,920,301 parameters).
    """

    stride = STRIDES["transformer"]

    def __init__(self, config: RecognizerConfig, classes: int, height: int, width: int):
        super().__init__()
        base = config.base
        layers: list[nn.Module] = []
        plan: list[tuple[int, int, Any, tuple[int, int] | None]] = [
            (1, 7, (2, 1), None),
            (1, 3, 1, (2, 2)),
            (2, 3, 1, None),
            (2, 3, 1, (2, 2)),
            (4, 3, 1, None),
            (4, 3, 1, (1, 2)),
            (8, 3, 1, None),
            (8, 3, 1, None),
        ]
        inputs = 1
        for multiple, kernel, stride, pool in plan:
            outputs = base * multiple
            layers += [
                nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(outputs, 1e-3, 0.01),
                nn.GELU(),
            ]
            layers += [nn.MaxPool2d(pool)] if pool else []
            inputs = outputs
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(inputs * (height // 8), config.dim)
        self.normalise = nn.LayerNorm(config.dim, eps=1e-3)
        self.positions = nn.Parameter(
            torch.empty(width // self.stride, config.dim).uniform_(-0.05, 0.05)
        )
        self.widths = {"cnn": inputs, "proj": config.dim, "encoder": config.dim}
        layer = nn.TransformerEncoderLayer(
            config.dim,
            config.heads,
            4 * config.dim,
            config.dropout,
            activation=F.gelu,
            layer_norm_eps=1e-3,
            batch_first=True,
            norm_first=False,
        )
        self.transformer = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.dim, classes)

    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maximum over each column of the last convolution; and what is behind the layer norm, before the positions."""
        columns = self.convolutions(images_B1HW)
        return columns.amax(dim=2).transpose(1, 2), self.normalise(
            self.dense(columns.permute(0, 3, 1, 2).flatten(2))
        )

    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        return self.transformer(self.dropout(tap_BTD + self.positions))

    def spell(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        return self.classify(encoder_BTD)


RECOGNIZERS: dict[str, type[CRNN] | type[TransformerRecognizer]] = {
    "crnn": CRNN,
    "transformer": TransformerRecognizer,
}


def build_recognizer(
    config: RecognizerConfig, classes: int, height: int, width: int
) -> LineRecognizer:
    """The recognizer that `config.kind` names, with fresh weights."""
    return RECOGNIZERS[config.kind](config, classes, height, width)


def freeze(recognizer: LineRecognizer) -> LineRecognizer:
    """Puts a recognizer into eval mode without gradients for its weights; gradients still flow through it to the image.

    Batch norms are folded into the convolutions before them: the same function with less work.
    """
    recognizer.eval().requires_grad_(False)
    layers = recognizer.convolutions
    for i, layer in enumerate(layers):
        before = layers[i - 1]
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            layers[i - 1], layers[i] = fuse_conv_bn_eval(before, layer), nn.Identity()
    return recognizer.eval().requires_grad_(False)  # the new layers too
