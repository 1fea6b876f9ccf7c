"""The text encoder of the contrastive loss: a BiLSTM over the transcription.

Legend: B lines of a batch, L characters (padded), E embedding size, D features.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ganhtr.config_sections import TextEncoderConfig


class TextEncoder(nn.Module):
    """Embedding and BiLSTM.

    Shapes: indices (B, L), lengths (B,) -> states (B, L, D), zeros beyond each length. Packed
    sequences must not be empty, so an empty text runs with length 1 and its state is set to zero.
    """

    def __init__(self, config: TextEncoderConfig, tokens: int, features: int):
        super().__init__()
        self.embedding = nn.Embedding(tokens, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = nn.LSTM(
            config.embedding, features // 2, batch_first=True, bidirectional=True
        )

    def forward(self, text_BL: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Encode texts: indices (B, L), lengths (B,) -> (B, L, D)."""
        embedded_BLE = self.dropout(self.embedding(text_BL))
        packed = pack_padded_sequence(
            embedded_BLE, lengths_B.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states_BLD, _ = pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=text_BL.shape[1]
        )
        return states_BLD * (lengths_B > 0)[:, None, None]
