"""The FP32 guard: training uses single precision, without autocast and TF32."""

from __future__ import annotations

from typing import Any

import torch

_backends: Any = torch.backends  # its type stubs lack these settings

# Each operation has a setting of its own, and the one of its backend or of `torch.backends` does
# not override it.
OPERATIONS = {
    "torch.backends.cuda.matmul": _backends.cuda.matmul,
    "torch.backends.cudnn.conv": _backends.cudnn.conv,
    "torch.backends.cudnn.rnn": _backends.cudnn.rnn,
    "torch.backends.mkldnn.matmul": _backends.mkldnn.matmul,
    "torch.backends.mkldnn.conv": _backends.mkldnn.conv,
    "torch.backends.mkldnn.rnn": _backends.mkldnn.rnn,
}


def require_fp32() -> None:
    """Disable TF32 and bfloat16 inside matrix products, convolutions and RNNs.

    Raises: RuntimeError under autocast, with a default dtype other than float32, or if an operation
    does not take the setting.
    """
    if torch.get_default_dtype() != torch.float32:
        raise RuntimeError(
            f"training needs the default dtype float32, got {torch.get_default_dtype()}. "
            "Call torch.set_default_dtype(torch.float32)"
        )
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RuntimeError("training must not run under autocast. Leave the autocast block first")
    # The older flags, too: PyTorch refuses to read flags that contradict each other.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for place in (_backends, _backends.cudnn, _backends.mkldnn, *OPERATIONS.values()):
        place.fp32_precision = "ieee"
    for name, operation in OPERATIONS.items():
        if operation.fp32_precision != "ieee":
            raise RuntimeError(
                f"training needs {name}.fp32_precision ieee, got {operation.fp32_precision} after "
                "it was set. Use another version of PyTorch"
            )
