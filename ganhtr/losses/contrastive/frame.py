"""Frame-level NCE.

Legend: B lines of a batch, T frames of the restored line, S frames of the clean line, P features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganhtr.losses.recognition import frame_mask


def frame_nce(
    restored_BTP: torch.Tensor,
    clean_BSP: torch.Tensor,
    degraded_BTP: torch.Tensor | None,
    frames_B: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy of finding the clean frame at the position of a restored frame.

    Negatives are the other clean frames of the line and, with `degraded_BTP`, the degraded frame at
    the same position. The caller detaches the keys.
    Shapes: projected frames (B, T, P), frame counts (B,), scale () -> (B,), the mean over the
    frames.
    Source: Park et al. 2020 (CUT), the PatchNCE loss. Differs: frames instead of patches, and the
    degraded frames.
    """
    queries_BTP, keys_BSP = F.normalize(restored_BTP, dim=2), F.normalize(clean_BSP, dim=2)
    mask_BT = frame_mask(frames_B, queries_BTP.shape[1])
    cosines_BTS = queries_BTP @ keys_BSP.transpose(1, 2)
    logits_BTS = (cosines_BTS * scale).masked_fill(~mask_BT[:, None, :], float("-inf"))
    positive_BT = logits_BTS.diagonal(dim1=1, dim2=2)
    total_BT = logits_BTS.logsumexp(dim=2)
    if degraded_BTP is not None:
        degraded_BT = (queries_BTP * F.normalize(degraded_BTP, dim=2)).sum(dim=2) * scale
        total_BT = torch.logaddexp(total_BT, degraded_BT)
    return torch.where(mask_BT, total_BT - positive_BT, 0.0).sum(dim=1) / frames_B
