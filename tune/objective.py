"""What a search maximises: one number an epoch, from the epoch's metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

OBJECTIVES: dict[str, Callable[[Mapping[str, float]], float]] = {
    "score": lambda m: m["psnr"] - 0.5 * 100 * m["cer"],
    "psnr": lambda m: m["psnr"],
    "ssim": lambda m: m["ssim"],
    "cer": lambda m: -m["cer"],
    "wer": lambda m: -m["wer"],
}


def objective_value(name: str, metrics: Mapping[str, float]) -> float:
    """The value of an epoch, higher is better: `score` is PSNR - 0.5 * 100 * CER; error rates count negatively."""
    return OBJECTIVES[name](metrics)
