"""The table of the metrics and objectives: names, units, directions, ranges, margins and formulas.

To add a metric, measure it in `ganhtr.train.evaluate` and describe it here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tune.report_markup import shown

if TYPE_CHECKING:
    import numpy as np

_LARGEST_SSIM = 1.000001  # 1 after rounding to FP32


@dataclass(frozen=True)
class Metric:
    """A metric of restored lines.

    title: the heading of a report's column. least, most: the range of valid values.
    margin: the default margin of practical equality, in the metric's unit.
    recognizer, token: for an error rate, who reads the line and what is counted.
    """

    key: str
    title: str
    decimals: int
    margin: float
    unit: str = ""
    higher_is_better: bool = True
    least: float = -1e6
    most: float = 1e6
    recognizer: str = ""  # guide or judge
    token: str = ""  # char or word

    @property
    def name(self) -> str:
        return self.title.split(",")[0]

    @property
    def is_error_rate(self) -> bool:
        """Whether it is a number of edits over the length of the transcription."""
        return bool(self.recognizer)

    def plain(self, value: float | None) -> str:
        return shown(value, f"{{:.{self.decimals}f}}")

    def signed(self, value: float | None) -> str:
        return shown(value, f"{{:+z.{self.decimals}f}}")

    def visible(self, change: float) -> bool:
        """Whether a change is not 0 after rounding."""
        return bool(round(change, self.decimals))

    def is_better(self, change: float) -> bool:
        """Whether a change is an improvement."""
        return change > 0 if self.higher_is_better else change < 0

    def line_values(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the metric of each line, from the per-line arrays of an epoch. Shape: (N,)."""
        if not self.is_error_rate:
            return arrays[self.key]
        edits = arrays[f"{self.recognizer}_{self.token}_edits"]
        return edits / self.line_weights(arrays).clip(min=1)

    def line_weights(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the weight of each line in the corpus value. Shape: (N,).

        An error rate weights a line by the length of its transcription, so that the weighted mean
        is the corpus rate; all other metrics weight each line by 1.
        """
        import numpy as np  # here, so that reading a space does not load NumPy

        if not self.is_error_rate:
            return np.ones(len(arrays["psnr"]))
        return arrays[f"{self.recognizer}_{self.token}_lengths"]


def _error_rate(key: str, title: str, margin: float, recognizer: str, token: str) -> Metric:
    return Metric(
        key,
        title,
        decimals=4,
        margin=margin,
        higher_is_better=False,
        least=0,
        recognizer=recognizer,
        token=token,
    )


METRICS = (
    Metric("psnr", "PSNR, dB", decimals=3, margin=0.2, unit=" dB"),
    Metric("ssim", "SSIM", decimals=4, margin=0.005, least=-_LARGEST_SSIM, most=_LARGEST_SSIM),
    _error_rate("cer", "CER guide", 0.005, "guide", "char"),
    _error_rate("wer", "WER guide", 0.01, "guide", "word"),
    _error_rate("judge_cer", "CER judge", 0.005, "judge", "char"),
    _error_rate("judge_wer", "WER judge", 0.01, "judge", "word"),
)


class ScoreMetric(Metric):
    """The score of a run in a verdict: PSNR - 50 * CER, with the CER of the judge."""

    def line_values(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return values whose plain mean is the score. Shape: (N,).

        The edits of a line count by the mean length of a transcription, because the CER is a corpus
        rate.
        """
        cer = BY_KEY["judge_cer"]
        lengths = cer.line_weights(arrays)
        rates = cer.line_values(arrays) * lengths / (lengths.mean() or 1)
        return OBJECTIVES["score"].formula(arrays["psnr"], rates)


SCORE = ScoreMetric("score", "score, points", decimals=3, margin=0.3, unit=" points")
MEASURED = tuple(metric.key for metric in METRICS)
BY_KEY = {metric.key: metric for metric in (SCORE, *METRICS)}
MARGINS = {key: metric.margin for key, metric in BY_KEY.items()}
# The generator is trained through the guide, so the guide's readings decide no verdict.
VERDICT_METRICS = tuple(key for key, metric in BY_KEY.items() if metric.recognizer != "guide")
# The original experiment had no judge.
ORIGINAL_METRICS = tuple(metric for metric in METRICS if metric.recognizer != "judge")


@dataclass(frozen=True)
class Objective:
    """An objective of the search: a formula over metrics whose value is maximised.

    verdict: the metric of a verdict that is the same quantity, read by the judge.
    sign, decimals: how to show the value. An error rate counts negatively and is shown positively.
    """

    metrics: tuple[str, ...]
    formula: Callable[..., Any]
    verdict: str
    sign: int = 1
    decimals: int = 2

    @property
    def uses_recognizer(self) -> bool:
        return any(BY_KEY[name].is_error_rate for name in self.metrics)

    def value(self, metrics: Mapping[str, float]) -> float:
        """Return the value to maximise."""
        return self.formula(*(metrics[name] for name in self.metrics))

    def line_values(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the value of each line, from the per-line arrays of an epoch. Shape: (N,)."""
        return self.formula(*(BY_KEY[name].line_values(arrays) for name in self.metrics))

    def shown(self, value: float | None) -> str:
        return shown(None if value is None else self.sign * value, f"{{:.{self.decimals}f}}")


OBJECTIVES = {
    "score": Objective(("psnr", "cer"), lambda psnr, cer: psnr - 0.5 * 100 * cer, "score"),
    "psnr": Objective(("psnr",), operator.pos, "psnr"),
    "ssim": Objective(("ssim",), operator.pos, "ssim", decimals=4),
    "cer": Objective(("cer",), operator.neg, "judge_cer", sign=-1, decimals=4),
    "wer": Objective(("wer",), operator.neg, "judge_wer", sign=-1, decimals=4),
}


def objective_value(name: str, metrics: Mapping[str, float]) -> float:
    """Return the value of an objective, higher is better."""
    return OBJECTIVES[name].value(metrics)
