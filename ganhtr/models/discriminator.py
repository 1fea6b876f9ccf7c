"""The discriminator of pairs of a line image and a text: real (clean) or fake (restored)?

Legend: B lines of a batch, H height, W width, L characters (padded), E embedding size.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from ganhtr.config_sections import DiscriminatorConfig

BN_EPS, BN_MOMENTUM = 1e-3, 0.2  # Keras' epsilon; Keras' momentum 0.8 is 0.2 in PyTorch


def init_lstm(lstm: nn.LSTM) -> None:
    """Initialise an LSTM as Keras does.

    Glorot-uniform input weights, orthogonal recurrent weights, forget bias 1 (Jozefowicz et al.
    2015).
    """
    for name, parameter in lstm.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)
        elif "weight_hh" in name:
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
            if "bias_ih" in name:
                parameter.data[lstm.hidden_size : 2 * lstm.hidden_size] = 1


class Discriminator(nn.Module):
    """Strided convolutions over the image, an LSTM over the text, and three dense layers over both.

    Shapes: image (B, 1, H, W), text indices (B, L), lengths (B,) -> logits (B,); above 0 means
    real.
    Source: the discriminator of the original experiment. Differs: PyTorch's LSTM has two bias
    vectors; the second stays at zero and is not trained.
    """

    def __init__(self, config: DiscriminatorConfig, height: int, width: int, tokens: int):
        super().__init__()
        layers: list[nn.Module] = []
        inputs, size = 1, (height, width)
        for i in range(4):
            outputs = config.base * 2**i
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            layers += [nn.BatchNorm2d(outputs, BN_EPS, BN_MOMENTUM)] if i else []
            inputs, size = outputs, (size[0] // 2, size[1] // 2)
        self.image = nn.Sequential(*layers)
        self.embedding = nn.Embedding(tokens, config.embedding)
        self.text = nn.LSTM(config.embedding, config.text_hidden, batch_first=True)
        self.join = nn.Sequential(
            nn.Linear(inputs * size[0] * size[1] + config.text_hidden, config.hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(config.hidden, config.hidden // 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(config.hidden // 2, 1),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(cast(nn.Parameter, module.bias))
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        init_lstm(self.text)
        self.text.bias_hh_l0.requires_grad_(False)

    def trainable(self) -> list[nn.Parameter]:
        """The trained parameters: all but the LSTM's second, redundant bias."""
        return [p for name, p in self.named_parameters() if name != "text.bias_hh_l0"]

    def encode_text(self, text_BL: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Encode texts by the last state of the LSTM: indices (B, L), lengths (B,) -> (B, E).

        Packed sequences must not be empty: an empty text runs with length 1, and its state is 0.
        """
        packed = pack_padded_sequence(
            self.embedding(text_BL),
            lengths_B.clamp(min=1).cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        _, (hidden, _) = self.text(packed)
        return hidden[-1] * (lengths_B > 0).to(hidden)[:, None]

    def classify(self, image_B1HW: torch.Tensor, text_BE: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of images with encoded texts. A text shared by two images is encoded once."""
        return self.join(torch.cat([self.image(image_B1HW).flatten(1), text_BE], dim=1)).squeeze(1)

    def forward(
        self, image_B1HW: torch.Tensor, text_BL: torch.Tensor, lengths_B: torch.Tensor
    ) -> torch.Tensor:
        return self.classify(image_B1HW, self.encode_text(text_BL, lengths_B))
