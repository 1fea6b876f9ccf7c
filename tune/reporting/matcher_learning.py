"""Whether the matcher learned: what a result without gain allows to conclude."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tune.report_markup import shown
from tune.reporting.paired_difference import mean

LEARNED = 0.10  # top-1 above that of length or chance: three standard errors of 200 lines


def matcher_learning(
    metrics: Sequence[Mapping[str, Any]],
    epochs: Sequence[Iterable[Mapping[str, Any]]],
    batch_size: int,
) -> list[str]:
    """Return whether the matchers of some runs learned to match lines with their transcriptions.

    metrics: those of the last epoch of each run. epochs: the entries of each run's metrics file.
    Empty for runs whose loss compares no transcriptions.
    """
    runs = [each for each in metrics if each.get("clean_top1") is not None]
    if not runs:
        return []
    limits = [max(1 / batch_size, each.get("length_top1") or 0.0) + LEARNED for each in runs]
    learned = sum(each["clean_top1"] >= at for each, at in zip(runs, limits, strict=True))

    def share(name: str) -> str:
        return shown(mean(np.array([each.get(name) for each in runs], dtype=float)), "{:.0%}")

    figures = (
        f"from the {batch_size} transcriptions of a batch it picks that of a clean "
        f"search-validation line in {share('clean_top1')} of cases and that of a restored one in "
        f"{share('validation_top1')} (length alone {share('length_top1')}, "
        f"chance {1 / batch_size:.0%})"
    )
    if any(each.get("pretrain_top1") for each in runs):
        figures += f"; after pretraining it was {share('pretrain_top1')} on clean training lines"
    if learned < len(runs):
        return [
            f"The matcher learned in {learned} of {len(runs)} runs: after the last step, "
            f"{figures}. The others do not show whether contrast helps. Train longer, or pretrain "
            "the matcher (`contrastive.pretrain`)."
        ]
    late = _learned_late(epochs, float(np.mean(limits)))
    return [
        f"The matcher learned in every run: after the last step, {figures}.{late} So if contrast "
        "does not help here, this is not because the matcher did not learn."
    ]


def _learned_late(epochs: Sequence[Iterable[Mapping[str, Any]]], limit: float) -> str:
    """Return in which epoch the matchers learned, on the restored lines of their batches."""
    first, count = [], 0
    for entries in epochs:
        values = [entry.get("diagnostics", {}).get("retrieval_top1") for entry in entries]
        above = [number for number, value in enumerate(values, 1) if (value or 0.0) >= limit]
        first.append(min(above, default=len(values)))
        count = max(count, len(values))
    if not first:
        return ""
    return (
        f" On restored training lines it passed {limit:.0%} in epoch {np.mean(first):.0f} of "
        f"{count}; before that it had little to teach."
    )
