"""The trained side of a contrastive loss: pooling, projection heads, text encoder, temperature.

Legend: B lines of a batch, T frames, L characters (padded), I windows per line (1 without windows),
N = B I instances, D features, P projected size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.models.key_queue import KeyQueue
from ganhtr.models.pooling import WindowPool
from ganhtr.models.running_average import averaged_copy, newest_share, update_average

LARGEST_SCALE = 100.0  # of the cosines; a temperature of 0.01


class LevelMatcher(nn.Module):
    """Pooling, projection heads and optional queue of keys for one feature level.

    Embeddings have length 1, except where the projection is 0.
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
        self.pool = pool
        self.text_pool = text_pool
        self.image_head = image_head
        self.text_head = text_head
        self.queue = queue
        self.key_head = averaged_copy(text_head) if queue is not None else None

    def embed_images(self, features_BTD: torch.Tensor, frames_B: torch.Tensor) -> torch.Tensor:
        """Embed lines: (B, T, D), frame counts (B,) -> (N, P)."""
        return self._embed(self.image_head, self.pool, features_BTD, frames_B)

    def embed_texts(self, states_BLD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Embed texts: (B, L, D), lengths (B,) -> (N, P)."""
        return self._embed(self.text_head, self.text_pool, states_BLD, lengths_B)

    @torch.no_grad()
    def embed_keys(self, states_BLD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Embed texts with the momentum copy of the head: (B, L, D), lengths (B,) -> (N, P)."""
        assert self.key_head is not None
        return self._embed(self.key_head, self.text_pool, states_BLD, lengths_B)

    @staticmethod
    def _embed(
        head: nn.Module, pool: nn.Module, x_BTD: torch.Tensor, lengths_B: torch.Tensor
    ) -> torch.Tensor:
        return F.normalize(head(pool(x_BTD, lengths_B).flatten(0, 1)), dim=1)

    def project_frames(self, features_BTD: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """Project the frames inside each line; padding is 0 and never enters a batch norm.

        Shapes: (B, T, D), (B, T) bool -> (B, T, P).
        """
        projected = self.image_head(features_BTD[mask_BT])
        zeros_BTP = projected.new_zeros(*mask_BT.shape, projected.shape[1])
        return zeros_BTP.index_put((mask_BT,), projected)


class Matcher(nn.Module):
    """One text encoder, a LevelMatcher for each feature level, scale and bias of the cosines.

    `text_encoder` is None for frame losses. `inverse_temperature` is 1/temperature; the parameter
    is its logarithm. `bias` is added to SigLIP's prior log odds. `learned` and `learned_bias` say
    whether temperature and bias are trained. `pretrain_top1` is the retrieval that pretraining
    reached.
    """

    pretrain_top1: torch.Tensor  # ()

    def __init__(
        self,
        levels: dict[str, LevelMatcher],
        text_encoder: nn.Module | None,
        temperature: float,
        learned: bool,
        learned_bias: bool = False,
    ):
        super().__init__()
        self.levels, self.text_encoder = nn.ModuleDict(levels), text_encoder
        has_queue = any(level.queue is not None for level in levels.values())
        self.key_encoder = (
            averaged_copy(text_encoder) if has_queue and text_encoder is not None else None
        )
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learned)
        self.bias = nn.Parameter(torch.zeros(()), requires_grad=learned_bias)
        self.register_buffer("pretrain_top1", torch.zeros(()))

    def train(self, mode: bool = True) -> Matcher:
        """Set train or eval mode; the momentum copies stay in eval mode."""
        super().train(mode)
        copies = [self.key_encoder, *(level.key_head for level in self.level_matchers().values())]
        for module in copies:
            if module is not None:
                module.eval()
        return self

    def level_matchers(self) -> dict[str, LevelMatcher]:
        """The LevelMatchers by name; `levels` itself is an untyped ModuleDict."""
        return {name: cast(LevelMatcher, level) for name, level in self.levels.items()}

    def learned(self) -> list[nn.Parameter]:
        """The parameters that the optimiser updates."""
        return [p for p in self.parameters() if p.requires_grad]

    @property
    def inverse_temperature(self) -> torch.Tensor:
        return self.log_scale.exp()

    @torch.no_grad()
    def key_states(self, text_BL: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor | None:
        """States (B, L, D) of texts by the momentum copy of the encoder; None without a queue."""
        return None if self.key_encoder is None else self.key_encoder(text_BL, lengths_B)

    @torch.no_grad()
    def after_update(
        self, keys: Mapping[str, torch.Tensor], labels_N: torch.Tensor, momentum: float, step: int
    ) -> None:
        """Limit the scale to LARGEST_SCALE, push the batch's keys, update the momentum copies.

        Shapes: keys (N, P) of each level. Source of the limit: Radford et al. 2021 (CLIP), section
        2.5.
        """
        self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        if self.key_encoder is None or self.text_encoder is None:
            return
        share = newest_share(1 - momentum, step)
        update_average(self.key_encoder, self.text_encoder, share)
        for name, level in self.level_matchers().items():
            assert level.queue is not None and level.key_head is not None
            level.queue.push(keys[name], labels_N)
            update_average(level.key_head, level.text_head, share)
