"""What a search maximises: one number an epoch, from the epoch's metrics; and how it is shown to a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """`value` gives the number to maximise; `sign` and `places` turn it back into what a person knows it by."""

    value: Callable[[Mapping[str, float]], float]
    sign: int = 1
    places: int = 2
    reads: bool = False  # whether it rests on what the readers read

    def shown(self, value: float) -> str:
        """The value as the metric it stands for: an error rate counts negatively, but is shown as it is."""
        return f"{self.sign * value:.{self.places}f}"


OBJECTIVES: dict[str, Objective] = {
    "score": Objective(lambda m: m["psnr"] - 0.5 * 100 * m["cer"], reads=True),
    "psnr": Objective(lambda m: m["psnr"]),
    "ssim": Objective(lambda m: m["ssim"], places=4),
    "cer": Objective(lambda m: -m["cer"], sign=-1, places=4, reads=True),
    "wer": Objective(lambda m: -m["wer"], sign=-1, places=4, reads=True),
}


def objective_value(name: str, metrics: Mapping[str, float]) -> float:
    """The value of an epoch, higher is better: `score` is PSNR - 0.5 * 100 * CER; error rates count negatively."""
    return OBJECTIVES[name].value(metrics)
