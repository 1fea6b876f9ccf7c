"""Line recognizers: a CRNN and the transformer of the original experiment.

Both compute features (three levels: cnn, proj, encoder) and CTC logits of every frame.

Legend: B lines of a batch, C channels, H height, W width, T frames, D features, K classes (0 is the
blank).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganhtr.config_sections import STRIDES, RecognizerConfig


class DifferentiableLSTM(nn.LSTM):
    """An LSTM without dropout that can be differentiated in eval mode.

    cuDNN refuses the backward pass of an RNN in eval mode. Without dropout the mode changes nothing
    else, so each call runs in training mode.
    """

    def forward(self, *inputs):
        mode, self.training = self.training, True
        try:
            return super().forward(*inputs)
        finally:
            self.training = mode


class LineRecognizer(nn.Module, ABC):
    """The interface of every recognizer: three levels of features, logits, pixels per frame.

    The level `proj` is called the *tap*: the feature loss and, by default, the contrastive loss use
    it.
    """

    stride: int  # pixels per frame
    bn_momentum: float  # of the batch norms, once their statistics are settled
    widths: dict[str, int]  # D of each level
    convolutions: nn.Sequential

    @property
    def features(self) -> int:
        """D of the tap."""
        return self.widths["proj"]

    @abstractmethod
    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The levels cnn and proj of images (B, 1, H, W), each (B, T, D)."""

    @abstractmethod
    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """The level encoder (B, T, D) of the tap (B, T, D)."""

    @abstractmethod
    def ctc_logits(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the level encoder (B, T, D)."""

    def tap(self, images_B1HW: torch.Tensor) -> torch.Tensor:
        """The level proj (B, T, D) of images (B, 1, H, W)."""
        return self.trunk(images_B1HW)[1]

    def read(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the tap (B, T, D)."""
        return self.ctc_logits(self.encode(tap_BTD))

    def forward(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tap (B, T, D) and CTC logits (B, T, K) of images (B, 1, H, W)."""
        tap_BTD = self.tap(images_B1HW)
        return tap_BTD, self.read(tap_BTD)


def exact_gelu(x: torch.Tensor) -> torch.Tensor:
    """GELU without approximation.

    PyTorch's transformer layer recognises `F.gelu` itself, and then takes a fused path without
    gradients that may approximate it by tanh: a recognizer would read otherwise than it teaches.
    """
    return F.gelu(x)


def column_maxima(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Maximum over each column as a sequence of frames: (B, C, H, W) -> (B, W, C)."""
    return x_BCHW.amax(dim=2).transpose(1, 2)


class CRNN(LineRecognizer):
    """Five convolution blocks, the maximum over each column, BiLSTM layers, and a linear CTC head.

    The shortcut head gives the convolutions a direct CTC loss in training; reading does not use it.
    With `config.height` the lines are first scaled to that height; their width stays.
    Shapes: images (B, 1, H, W), H of at least 16 -> tap (B, W/4, 8 base), logits (B, W/4, K).
    Source: Shi et al. 2015; column maximum and CTC shortcut: Retsinas et al. 2022.
    """

    stride = STRIDES["crnn"]
    bn_momentum = 0.1
    rows: torch.Tensor | None  # (scaled height, H)

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
        # new rows as weighted sums of the line's: interpolate() has no repeatable gradient on CUDA
        rows = None
        if config.height and config.height != height:
            identity = torch.eye(height)[None, None]
            size = (config.height, height)
            rows = F.interpolate(identity, size, mode="bilinear", antialias=True)[0, 0]
        self.register_buffer("rows", rows, persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.widths = {"cnn": channels[-2], "proj": inputs, "encoder": 2 * config.dim}
        self.recurrent = DifferentiableLSTM(
            inputs, config.dim, config.layers, batch_first=True, bidirectional=True
        )
        self.classify = nn.Linear(2 * config.dim, classes)
        self.shortcut = nn.Conv1d(inputs, classes, 3, padding=1)

    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The column maxima after the fourth block (cnn) and after the fifth (proj)."""
        if self.rows is not None:
            images_B1HW = self.rows @ images_B1HW
        fourth_BCHW = self.convolutions[:-3](images_B1HW)
        fifth_BCHW = self.convolutions[-3:](fourth_BCHW)
        return column_maxima(fourth_BCHW), column_maxima(fifth_BCHW)

    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        return self.recurrent(self.dropout(tap_BTD))[0]

    def ctc_logits(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        return self.classify(self.dropout(encoder_BTD))

    def read_shortcut(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        """CTC logits (B, T, K) of the shortcut head, for training the recognizer."""
        return self.shortcut(self.dropout(tap_BTD).transpose(1, 2)).transpose(1, 2)


class TransformerRecognizer(LineRecognizer):
    """The recognizer of the original experiment: convolutions, dense layer, post-LN transformer.

    The positions are learned. Images must have the size that the recognizer was built for.
    Shapes: images (B, 1, H, W) -> tap (B, W/8, dim), logits (B, W/8, K).
    Source: the experiment's report (base 64, dim 512, 6 layers, 108 characters, 128 x 1024:
    27,920,301 parameters).
    """

    stride = STRIDES["transformer"]
    bn_momentum = 0.01

    def __init__(self, config: RecognizerConfig, classes: int, height: int, width: int):
        super().__init__()
        base = config.base
        layers: list[nn.Module] = []
        # channels (times base), kernel, stride, pooling
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
                nn.BatchNorm2d(outputs, 1e-3, self.bn_momentum),
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
            activation=exact_gelu,
            layer_norm_eps=1e-3,
            batch_first=True,
            norm_first=False,
        )
        self.transformer = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.dim, classes)

    def trunk(self, images_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The column maxima of the last convolution (cnn) and the normalised dense layer (proj)."""
        x_BCHW = self.convolutions(images_B1HW)
        # maxima first: the order decides how gradients are added, and so the last bits of a trial
        cnn_BTD = column_maxima(x_BCHW)
        return cnn_BTD, self.normalise(self.dense(x_BCHW.permute(0, 3, 1, 2).flatten(2)))

    def encode(self, tap_BTD: torch.Tensor) -> torch.Tensor:
        return self.transformer(self.dropout(tap_BTD + self.positions))

    def ctc_logits(self, encoder_BTD: torch.Tensor) -> torch.Tensor:
        return self.classify(encoder_BTD)


RECOGNIZERS: dict[str, type[CRNN] | type[TransformerRecognizer]] = {
    "crnn": CRNN,
    "transformer": TransformerRecognizer,
}


def build_recognizer(
    config: RecognizerConfig, classes: int, height: int, width: int
) -> LineRecognizer:
    """Return the recognizer that `config.kind` names, with new weights."""
    return RECOGNIZERS[config.kind](config, classes, height, width)


def freeze(recognizer: LineRecognizer) -> LineRecognizer:
    """Set a recognizer to eval mode, without gradients of its weights; images still get gradients.

    Batch norms are folded into the convolutions before them, which is faster.
    """
    recognizer.eval().requires_grad_(False)
    layers = recognizer.convolutions
    for i, layer in enumerate(layers):
        before = layers[i - 1]
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            layers[i - 1], layers[i] = fuse_conv_bn_eval(before, layer), nn.Identity()
    return recognizer.eval().requires_grad_(False)  # the new layers too
