"""The FP32 guard: training is single precision throughout, without autocast and without TF32."""

from __future__ import annotations

import torch


def require_fp32() -> None:
    """Turns reduced-precision arithmetic off.

    Raises: RuntimeError when training would start under autocast or with another default type.
    """
    if torch.get_default_dtype() != torch.float32:
        raise RuntimeError(
            f"precision: the default dtype must be float32, got {torch.get_default_dtype()}"
        )
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RuntimeError(
            "precision: training must not run under autocast. Leave the autocast block first"
        )
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
