"""The losses of the last epoch, component by component, and how they differ between two arms.

A total that includes the contrastive term itself cannot be compared with one that does not, so each component is compared for itself.
"""

from __future__ import annotations

import math

import numpy as np

from tune.arm import Arm, ArmTrial, Pair
from tune.paired_difference import mean
from tune.report_table import cell, shown, table

TITLES = {"pixel": "pixel (L1)", "feature": "recognition feature", "ctc": "CTC, nats a line", "contrastive": "contrastive",
          "adversarial": "adversarial (generator)", "discriminator": "discriminator"}
WEIGHTED = ("pixel", "feature", "ctc", "adversarial")  # the generator's terms beside the contrastive one
WITHOUT, TOTAL = "total without the contrastive term", "total"


def last_losses(trial: ArmTrial) -> dict[str, float]:
    """The mean training losses of the trial's last epoch, unweighted, with the two totals; NaN for what is no number."""
    if not trial.epochs:
        return {}
    entry = trial.epochs[-1]
    held = {name: math.nan if value is None else float(value) for name, value in entry["training_losses"].items()
            if name != "gradient_norm"}
    weights = {name: trial.config.get(f"loss.{name}", math.nan) for name in WEIGHTED}
    weights["ctc"] = entry.get("current_ctc_weight", weights["ctc"])
    return {**held, WITHOUT: sum(weights[name] * held[name] for name in WEIGHTED if name in held)}


def components(pair: Pair) -> list[str]:
    """Every component that a compared trial has: the known ones first, then others as they come, the totals last."""
    found = {name: None for side in pair.compared for trial in side for name in last_losses(trial)}
    ordered = [name for name in (*TITLES, *found) if name in found and name not in (WITHOUT, TOTAL)]
    return [*dict.fromkeys(ordered), WITHOUT, TOTAL]


def loss_rows(pair: Pair) -> list[tuple[str, float, float]]:
    """Component, mean over the first arm's trials, over the second's; NaN where an arm has none."""
    first, second = ([last_losses(trial) for trial in side] for side in pair.compared)

    def average(losses: list[dict[str, float]], name: str) -> float:
        return mean(np.array([held.get(name, math.nan) for held in losses]))

    return [(name, average(first, name), average(second, name)) for name in components(pair)]


def percent(first: float, second: float) -> float:
    """The change from first to second in percent; NaN without a first."""
    return 100 * (second - first) / abs(first) if first else math.nan


def measured_only(arm: Arm) -> bool:
    """Whether the arm measured a contrastive term that had no part in its training."""
    return arm.config.get("contrastive.weight") == 0 and any("contrastive" in last_losses(trial) for trial in arm.finished)


def loss_section(pair: Pair) -> list[str]:
    """The section "Loss components at the end"."""
    rows = [[cell(TITLES.get(name, name)), shown(first), shown(second), shown(percent(first, second), "{:+z.1f} %")]
            for name, first, second in loss_rows(pair)]
    ends = "; ".join(f"{arm.name} {', '.join(str(len(trial.epochs)) for trial in side)}"
                     for arm, side in zip(pair.arms, pair.compared, strict=True))
    return [
        f"Means over the steps of the last epoch ({ends}), unweighted; `-` is what an arm did not compute.", "",
        table(["component", *(arm.name for arm in pair.arms), "change"], rows), "",
        "The total includes the contrastive term itself, at its weight, where an arm trains with one, and is not comparable between arms "
        "that differ in it. The line above it is the sum of the other terms at their weights.",
        *(f"{arm.name} measured the contrastive term at weight 0: it had no part in the training and is not in the total."
          for arm in pair.arms if measured_only(arm))]
