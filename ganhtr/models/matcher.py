"""What a contrastive loss compares: pooled and projected features of lines, projected texts, the scale of their cosines.

Legend: B batch, T frames, L characters (padded), I instances a line (1, or its windows), D features, P projected size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.models.key_queue import KeyQueue, follow, slow_copy
from ganhtr.models.pooling import WindowPool

LARGEST_SCALE = 100.0  # of the cosines


class LevelMatcher(nn.Module):
    """One feature level: pooling, projection heads and, where there is one, the queue of keys.

    `texts` is the pooling of the texts; vectors come out with length 1, except where all of one was 0.
    """

    def __init__(
        self,
        pool: nn.Module,
        text_pool: WindowPool,
        image_head: nn.Module,
        text_head: nn.Module,
        queue: KeyQueue | None,
    ):
        super().__init__()
        self.pool, self.text_pool, self.image_head, self.text_head, self.queue = (
            pool,
            text_pool,
            image_head,
            text_head,
            queue,
        )
        self.key_head = slow_copy(text_head) if queue is not None else None

    def embed_images(self, features_BTD: torch.Tensor, frames_B: torch.Tensor) -> torch.Tensor:
        """(B, T, D), own frames (B,) -> (B I, P)."""
        return F.normalize(self.image_head(self.pool(features_BTD, frames_B).flatten(0, 1)), dim=1)

    def embed_texts(self, states_BLD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """(B, L, D), lengths (B,) -> (B I, P)."""
        return F.normalize(
            self.text_head(self.text_pool(states_BLD, lengths_B).flatten(0, 1)), dim=1
        )

    def embed_keys(self, states_BLD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """As `embed_texts`, by the slow copy of the head."""
        assert self.key_head is not None
        return F.normalize(
            self.key_head(self.text_pool(states_BLD, lengths_B).flatten(0, 1)), dim=1
        )

    def project_frames(self, features_BTD: torch.Tensor, inside_BT: torch.Tensor) -> torch.Tensor:
        """Every own frame through the image head: (B, T, D) -> (B, T, P), zeros elsewhere. Padding never enters a batch norm."""
        own = self.image_head(features_BTD[inside_BT])
        return own.new_zeros(*inside_BT.shape, own.shape[1]).index_put((inside_BT,), own)


class Matcher(nn.Module):
    """The trained side of the contrastive loss: a text encoder for all levels, a LevelMatcher for each, scale and bias of the cosines.

    `text_encoder` is None for losses that look at frames alone. `inverse_temperature` is 1/temperature, learned as its logarithm when asked
    for; so is the bias (SigLIP's).
    """

    def __init__(
        self,
        levels: dict[str, LevelMatcher],
        text_encoder: nn.Module | None,
        temperature: float,
        learned: bool,
        bias: float = 0.0,
        learned_bias: bool = False,
    ):
        super().__init__()
        self.levels, self.text_encoder = nn.ModuleDict(levels), text_encoder
        queued = text_encoder is not None and any(
            level.queue is not None for level in levels.values()
        )
        self.key_encoder = slow_copy(text_encoder) if queued and text_encoder is not None else None
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learned)
        self.bias = nn.Parameter(torch.tensor(bias), requires_grad=learned_bias)

    def train(self, mode: bool = True) -> Matcher:
        """Train or eval mode, in which the slow copies have no part: they stay in eval mode."""
        super().train(mode)
        slow = [
            self.key_encoder,
            *(level.key_head for level in self.levels.values() if isinstance(level, LevelMatcher)),
        ]
        for module in slow:
            if module is not None:
                module.eval()
        return self

    def learned(self) -> list[nn.Parameter]:
        """The parameters that an optimiser steps."""
        return [p for p in self.parameters() if p.requires_grad]

    @property
    def inverse_temperature(self) -> torch.Tensor:
        return self.log_scale.exp()

    @torch.no_grad()
    def settle(
        self,
        text_BL: torch.Tensor,
        lengths_B: torch.Tensor,
        labels_N: torch.Tensor,
        keep: float,
        step: int,
    ) -> None:
        """After an update: a learned scale comes back to LARGEST_SCALE, slow copies follow, the batch's keys enter the queue.

        Source of the bound: Radford et al. 2021 (CLIP), section 2.5.
        """
        self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        if self.key_encoder is None or self.text_encoder is None:
            return
        follow(self.key_encoder, self.text_encoder, keep, step)
        states = self.key_encoder(text_BL, lengths_B)
        for level in self.levels.values():
            assert (
                isinstance(level, LevelMatcher)
                and level.queue is not None
                and level.key_head is not None
            )
            follow(level.key_head, level.text_head, keep, step)
            level.queue.push(level.embed_keys(states, lengths_B), labels_N)
