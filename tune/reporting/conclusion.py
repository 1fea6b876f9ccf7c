"""What the numbers of two arms carry, in words; and the figures that the original experiment published, beside ours."""

from __future__ import annotations

import math

from tune.metric import METRICS, Metric
from tune.report_markup import listed, shown, table
from tune.reporting.pair import Pair
from tune.reporting.paired_difference import ENOUGH, Difference, best_means, difference

EXPERIMENT = "experiment"  # name of the space that holds the original's two arms
PUBLISHED = {
    "published, OFF": {"psnr": 20.265, "ssim": 0.9326, "cer": 0.2731, "wer": 0.4569},
    "published, ON": {"psnr": 18.941, "ssim": 0.9198, "cer": 0.2972, "wer": 0.4744},
}
PUBLISHED_EPOCHS = ("7", "8")  # the best ones
ORIGINAL_SIZES = "seed"  # the preset that has them


def quality(metric: Metric, change: float) -> str:
    """Whether the change is good."""
    return "better" if (change > 0) == metric.higher_is_better else "worse"


def direction(metric: Metric, change: float) -> str:
    """Higher or lower, and whether that is good."""
    return (
        f"{'higher' if change > 0 else 'lower'} ({quality(metric, change)})"
        if change
        else "equal on average"
    )


def verdicts(pair: Pair) -> list[str]:
    """A sentence for each metric, no stronger than its number of paired seeds allows."""
    found = [(metric, difference(pair, metric.key)) for metric in METRICS]
    found = [(metric, held) for metric, held in found if math.isfinite(held.change)]
    said = [verdict(metric, held, pair.second.name) for metric, held in found]
    return [*said, *caution(pair, [metric.visible(held.change) for metric, held in found])]


def verdict(metric: Metric, held: Difference, name: str) -> str:
    """One metric."""
    if not metric.visible(held.change) and (held.count < ENOUGH or not held.error):
        return f"{metric.name}: equal in both arms to {metric.places} decimals."
    if held.count < ENOUGH:
        return f"{metric.name}: {name} is {direction(metric, held.change)} by {metric.plain(abs(held.change))}{metric.unit}."
    amount = f"{metric.plain(abs(held.change))} ± {metric.plain(held.error)}{metric.unit}"
    return (
        f"{metric.name}: {name} is {direction(metric, held.change)} by {amount} (95 % interval of the difference "
        f"{metric.signed(held.low)} to {metric.signed(held.high)} over {held.count} seeds); the interval "
        f"{'contains' if held.contains_zero else 'does not contain'} 0."
    )


def headline(pair: Pair) -> list[str]:
    """All metrics in one sentence, or why there is none."""
    if len(pair.seeds) < ENOUGH:
        return verdicts(pair)[-1:]
    found = [(metric, difference(pair, metric.key)) for metric in METRICS]
    apart = [
        f"{metric.name} ({quality(metric, held.change)})"
        for metric, held in found
        if held.low > 0 or held.high < 0
    ]
    told = (
        f"excludes 0 in {listed(apart)} and in no other metric"
        if apart
        else "contains 0 in every metric"
    )
    return [
        f"{pair.second.name} against {pair.first.name} over {len(pair.seeds)} seeds: the 95 % interval of the difference {told}."
    ]


def caution(pair: Pair, differ: list[bool]) -> list[str]:
    """What the sentences on the metrics do not say; `differ` holds of which metrics they say that the arms differ."""
    count = len(pair.seeds)
    if not differ:
        return [
            "An arm has no finished trial: there is nothing to compare, and nothing can be concluded."
        ]
    if count == 0:
        return [
            "The arms have no seed in common: the differences are not paired and may be those of the seeds. Nothing can be concluded."
        ]
    if count == 1:
        return [
            "The arms differ in this run; one seed cannot tell whether they would in another."
            if any(differ)
            else "The arms do not differ in this run; one seed cannot tell whether they would in another."
        ]
    if count < ENOUGH:
        return [
            "The arms differ in these runs; two seeds cannot tell whether they would in others."
            if any(differ)
            else "The arms do not differ in these runs; two seeds cannot tell whether they would in others."
        ]
    return [
        f"± is the standard error of the mean paired difference; the intervals are t-intervals over {count} seeds, one for each metric "
        "and not corrected for their number. They cover the change of the seed, with the lines and the recognizers as they are."
    ]


def conclusion_section(pair: Pair, preset: str | None) -> list[str]:
    """The section "Conclusion"; with `preset` that of the original experiment, run with these sizes."""
    said = [
        *(f"- {line}" for line in verdicts(pair)),
        "- These are search-validation lines, and the best epoch of each trial was picked on them: the figures of both arms are "
        "optimistic.",
    ]
    return [*said, *(["", *published(pair, preset)] if preset else [])]


def published(pair: Pair, preset: str) -> list[str]:
    """The published figures beside ours, and why they cannot be compared."""
    metrics = METRICS[:4]
    rows = [
        [name, *(metric.plain(figures[metric.key]) for metric in metrics), epoch]
        for (name, figures), epoch in zip(PUBLISHED.items(), PUBLISHED_EPOCHS, strict=True)
    ]
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        means = best_means(side)
        rows.append(
            [
                f"here, {arm.name}",
                *(shown(means.get(metric.key), f"{{:.{metric.places}f}}") for metric in metrics),
                ", ".join(str(trial.row.best_epoch) for trial in side),
            ]
        )
    return [
        "This is the corrected experiment, not a replication. The published loss weights were set while the CTC loss had no gradient (it "
        "used the wrong blank and was clipped), so that the same weights train something else now."
        f"{'' if preset == ORIGINAL_SIZES else f' Images and networks have the sizes of the preset {preset}, not the original ones.'} "
        "The published figures beside ours:",
        "",
        table(["", "PSNR, dB", "SSIM", "CER", "WER", "best epoch"], rows),
        "",
        "The published rows cannot be compared with ours: they come from other lines (4,266 training and 473 validation lines of the VOC "
        "archives) and another recognizer; their CER and WER were taken against the recognizer's reading of the clean image, ours against "
        "the transcription; and they are one run an arm, which crashed at epoch 10, so that they do not establish a difference "
        "themselves.",
    ]
