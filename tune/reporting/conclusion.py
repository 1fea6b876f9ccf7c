"""What the figures of two arms allow to conclude, and the published figures."""

from __future__ import annotations

import math

from tune.metric import METRICS, ORIGINAL_METRICS, Metric
from tune.report_markup import listed, table
from tune.reporting.matcher_learning import matcher_learning
from tune.reporting.pair import Pair
from tune.reporting.paired_difference import MIN_SEEDS, Difference, best_means, difference

EXPERIMENT = "experiment"  # the space of the two arms of the original experiment
PUBLISHED = {
    "published, OFF": {"psnr": 20.265, "ssim": 0.9326, "cer": 0.2731, "wer": 0.4569},
    "published, ON": {"psnr": 18.941, "ssim": 0.9198, "cer": 0.2972, "wer": 0.4744},
}
PUBLISHED_EPOCHS = ("7", "8")  # the best epochs
ORIGINAL_SIZES = "seed"  # the preset with the sizes of the original experiment


def quality(metric: Metric, change: float) -> str:
    return "better" if metric.is_better(change) else "worse"


def differences(pair: Pair) -> list[tuple[Metric, Difference]]:
    """Return the metrics that both arms have, with their differences."""
    every = [(metric, difference(pair, metric.key)) for metric in METRICS]
    return [(metric, change) for metric, change in every if math.isfinite(change.change)]


def conclusions(pair: Pair) -> list[str]:
    """Return a sentence for each metric and a caution, no stronger than the seeds allow."""
    known = differences(pair)
    sentences = [conclusion(metric, change, pair.second.name) for metric, change in known]
    return [*sentences, caution(pair, [metric.visible(each.change) for metric, each in known])]


def conclusion(metric: Metric, difference: Difference, name: str) -> str:
    """Return a sentence on one metric. name: the second arm."""
    change, few = difference.change, difference.count < MIN_SEEDS
    if not metric.visible(change) and (few or not difference.error):
        return f"{metric.name}: equal in both arms to {metric.decimals} decimals."
    if not change:
        direction = f"{name} is equal on average"
    else:
        side = "higher" if change > 0 else "lower"
        direction = f"{name} is {side} ({quality(metric, change)})"
    amount = metric.plain(abs(change))
    if few:
        return f"{metric.name}: {direction} by {amount}{metric.unit}."
    interval = f"{metric.signed(difference.low)} to {metric.signed(difference.high)}"
    relation = "excludes" if difference.excludes_zero else "contains"
    return (
        f"{metric.name}: {direction} by {amount} ± {metric.plain(difference.error)}{metric.unit} "
        f"(95 % interval of the difference {interval}, {difference.count} seeds); "
        f"the interval {relation} 0."
    )


def headline(pair: Pair) -> str:
    """Return one sentence on all metrics, or why there is none."""
    if len(pair.seeds) < MIN_SEEDS:
        return conclusions(pair)[-1]
    apart = [
        f"{metric.name} ({quality(metric, change.change)})"
        for metric, change in differences(pair)
        if change.excludes_zero
    ]
    result = f"excludes 0 only for {listed(apart)}" if apart else "contains 0 for every metric"
    return (
        f"{pair.second.name} against {pair.first.name}, {len(pair.seeds)} seeds: the 95 % interval "
        f"of the difference {result}."
    )


def caution(pair: Pair, differ: list[bool]) -> str:
    """Return what the sentences on the metrics cannot say.

    differ: for each metric, whether its sentence says that the arms differ.
    """
    count = len(pair.seeds)
    if not differ:
        return "One arm has no finished trial, so nothing can be compared."
    if count == 0:
        return (
            "The arms have no seed in common. The differences are not paired and may be due to the "
            "seeds, so nothing can be concluded."
        )
    verb = "differ" if any(differ) else "do not differ"
    if count == 1:
        return f"The arms {verb} in this run. One seed cannot tell whether they would in another."
    if count < MIN_SEEDS:
        return f"The arms {verb} in these runs. Two seeds cannot tell whether they would in others."
    return (
        "± is the standard error of the mean paired difference. The intervals are t-intervals over "
        f"{count} seeds, one for each metric, not adjusted for their number. They cover the "
        "variation between seeds, for these lines and recognizers."
    )


def conclusion_section(pair: Pair, preset: str | None) -> list[str]:
    """Return the section "Conclusion".

    preset: for the original experiment, the preset that it ran with; adds the published figures.
    """
    lines = [
        *(f"- {line}" for line in (*conclusions(pair), *learning(pair))),
        "- These are search-validation lines, which also chose the trials and the epochs that they "
        "kept, so the figures of both arms are optimistic.",
    ]
    return [*lines, *(["", *published(pair, preset)] if preset else [])]


def learning(pair: Pair) -> list[str]:
    """Return whether the matcher of the second arm learned; empty if it has none."""
    side = pair.compared[1]
    if not side:
        return []
    batch_size = side[0].config.get("train.batch_size", 1)
    metrics = [trial.row.last_metrics for trial in side]
    return matcher_learning(metrics, [trial.epochs for trial in side], batch_size)


def published(pair: Pair, preset: str) -> list[str]:
    """Return the published figures with ours, and why they are not comparable."""
    rows = [
        [name, *(metric.plain(figures[metric.key]) for metric in ORIGINAL_METRICS), epoch]
        for (name, figures), epoch in zip(PUBLISHED.items(), PUBLISHED_EPOCHS, strict=True)
    ]
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        means = best_means(side)
        rows.append(
            [
                f"here, {arm.name}",
                *(metric.plain(means.get(metric.key)) for metric in ORIGINAL_METRICS),
                ", ".join(str(trial.row.best_epoch) for trial in side),
            ]
        )
    sizes = (
        ""
        if preset == ORIGINAL_SIZES
        else f" Images and networks have the sizes of the preset {preset}, not the original ones."
    )
    return [
        "This is the corrected experiment, not a replication. The published loss weights were "
        "chosen while the CTC loss had no gradient (it used the wrong blank and was clipped), so "
        f"the same weights train a different model now.{sizes} The published figures beside ours:",
        "",
        table(["", "PSNR, dB", "SSIM", "CER", "WER", "kept epoch"], rows),
        "",
        "The published rows are not comparable with ours. They come from other lines (4,266 "
        "training and 473 validation lines of the VOC archives) and another recognizer. Their CER "
        "and WER compare with the recognizer's reading of the clean image, ours with the "
        "transcription. And they are one run for each arm, which crashed at epoch 10, so they do "
        "not establish a difference themselves.",
    ]
