"""Frame-level NCE. Legend: B lines of a batch, T frames of the restored line, S frames of the clean one, P features."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganhtr.losses.recognition import frame_mask


def frame_nce(
    restored_BTP: torch.Tensor,
    clean_BTP: torch.Tensor,
    degraded_BTP: torch.Tensor | None,
    frames_B: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Mean (B,) over a line's own frames of the cross-entropy of finding, for a restored frame, the clean frame at its place.

    Negatives are the other frames of the same line, and with `degraded_BTP` the degraded line's frame at the place too. Keys are given
    detached by the caller. Source: Park et al. 2020 (CUT), the PatchNCE loss; degraded frames: our addition.
    """
    queries, keys = F.normalize(restored_BTP, dim=2), F.normalize(clean_BTP, dim=2)
    inside = frame_mask(frames_B, queries.shape[1])
    logits_BTS = (queries @ keys.transpose(1, 2) * scale).masked_fill(
        ~inside[:, None, :], float("-inf")
    )
    own_BT = logits_BTS.diagonal(dim1=1, dim2=2)
    total_BT = logits_BTS.logsumexp(dim=2)
    if degraded_BTP is not None:
        twin_BT = (queries * F.normalize(degraded_BTP, dim=2)).sum(dim=2) * scale
        total_BT = torch.logaddexp(total_BT, twin_BT)
    return torch.where(inside, total_BT - own_BT, 0.0).sum(dim=1) / frames_B
