"""The FP32 guard: training uses single precision, without autocast and TF32."""

from __future__ import annotations

import torch


def require_fp32() -> None:
    """Disable TF32.

    Raises: RuntimeError under autocast or with a default dtype other than float32.
    """
    if torch.get_default_dtype() != torch.float32:
        raise RuntimeError(
            f"training needs the default dtype float32, got {torch.get_default_dtype()}. "
            "Call torch.set_default_dtype(torch.float32)"
        )
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RuntimeError("training must not run under autocast. Leave the autocast block first")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
