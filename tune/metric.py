"""The metrics of a run: how a report shows each, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric as a report shows it. least, most: the values that it can have."""

    key: str
    title: str
    places: int
    higher_is_better: bool
    unit: str = ""
    least: float = -1e6
    most: float = 1e6

    @property
    def name(self) -> str:
        return self.title.split(",")[0]

    @property
    def is_error_rate(self) -> bool:
        """Whether it is edits over the reference's length."""
        return self.least == 0

    def plain(self, value: float) -> str:
        return f"{value:.{self.places}f}"

    def signed(self, value: float) -> str:
        return f"{value:+z.{self.places}f}"

    def visible(self, change: float) -> bool:
        """Whether a change is more than nothing at the places shown."""
        return bool(round(change, self.places))


_SSIM = 1.000001  # 1 as FP32 may round it
METRICS = (
    Metric("psnr", "PSNR, dB", 3, True, " dB"),
    Metric("ssim", "SSIM", 4, True, least=-_SSIM, most=_SSIM),
    Metric("cer", "CER guide", 4, False, least=0),
    Metric("wer", "WER guide", 4, False, least=0),
    Metric("judge_cer", "CER judge", 4, False, least=0),
    Metric("judge_wer", "WER judge", 4, False, least=0),
)
BY_KEY = {metric.key: metric for metric in METRICS}


@dataclass(frozen=True)
class Objective:
    """`value` gives the number to maximise; `sign` and `places` turn it back into what a person knows it by."""

    value: Callable[[Mapping[str, float]], float]
    sign: int = 1
    places: int = 2
    reads: bool = False  # whether it rests on what the recognizers read

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
