"""How steadily two arms trained: the fluctuation of their losses, and how often the generator's gradient was clipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tune.arm import ArmTrial, Pair
from tune.loss_changes import TITLES, TOTAL, WITHOUT, components
from tune.paired_difference import mean
from tune.report_table import cell, shown, table

NORM = "generator_norm"


@dataclass(frozen=True)
class Fluctuation:
    """Of one loss in one trial, over the last half of its epochs; NaN where there is too little to tell.

    `between`: the standard deviation (n - 1) of the epoch means. `within`: the standard deviation (n - 1) of an epoch's step values over
    the absolute value of their mean, averaged over these epochs.
    """

    between: float
    within: float


def epoch_mean(entry: dict, name: str) -> float:
    """The mean of a loss, or of the generator's gradient norm, over an epoch's steps."""
    losses = entry["training_losses"]
    value = losses["gradient_norm"].get("generator_mean") if name == NORM else losses.get(name)
    return math.nan if value is None else float(value)


def step_values(entry: dict, name: str) -> np.ndarray:
    """The value of every step of an epoch; empty where the trial did not keep them. NaN for a value that was no number."""
    values = entry.get("diagnostics", {}).get("steps", {}).get(name) if name == NORM else entry["losses"].get(name)
    return np.array(values or [], dtype=float)


def spread(values: np.ndarray) -> float:
    """The standard deviation (n - 1) of the finite values; NaN of fewer than two."""
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else math.nan


def fluctuation(trial: ArmTrial, name: str) -> Fluctuation:
    """How much one loss went up and down in the last half of a trial's epochs (the larger half of an odd number)."""
    half = trial.epochs[len(trial.epochs) // 2:]
    steps = [step_values(entry, name) for entry in half]
    centres = [abs(mean(values)) for values in steps]
    within = [spread(values) / centre if centre else math.nan for values, centre in zip(steps, centres, strict=True)]
    return Fluctuation(spread(np.array([epoch_mean(entry, name) for entry in half])), mean(np.array(within)))


def clipping_row(name: str, trials: list[ArmTrial]) -> list[str]:
    """An arm's steps, those clipped, their share, and the largest norm before clipping."""
    largest = [norm for trial in trials for entry in trial.epochs
               if (norm := entry["training_losses"]["gradient_norm"].get("generator_max")) is not None]
    over = [np.concatenate([step_values(entry, NORM) for entry in trial.epochs]) > trial.config.get("train.clip_norm", math.inf)
            for trial in trials if trial.epochs]
    steps, clipped = sum(map(len, over)), sum(int(each.sum()) for each in over)
    shares = [str(steps), str(clipped), f"{100 * clipped / steps:.1f} %"] if steps else ["-", "-", "-"]
    return [name, *shares, shown(max(largest, default=None))]


def stability_section(pair: Pair) -> list[str]:
    """The section "Stability"."""
    rows = []
    for name in [*(name for name in components(pair) if name != WITHOUT), NORM]:
        each = [[fluctuation(trial, name) for trial in side] for side in pair.compared]
        rows.append([cell({NORM: "gradient norm of the generator", TOTAL: TOTAL, **TITLES}.get(name, name)),
                     *(shown(mean(np.array([f.between for f in side]))) for side in each),
                     *(shown(100 * mean(np.array([f.within for f in side])), "{:.1f} %") for side in each)])
    clipped = [clipping_row(arm.name, side) for arm, side in zip(pair.arms, pair.compared, strict=True)]
    names = [arm.name for arm in pair.arms]
    return [
        "*Between epochs* is the standard deviation (n - 1) of the epoch means over the last half of a trial's epochs; *within* is the "
        "standard deviation (n - 1) of an epoch's step values over the absolute value of their mean, averaged over the same epochs; both "
        "are means over the trials compared.", "",
        table(["component", *(f"between epochs, {name}" for name in names), *(f"within, {name}" for name in names)], rows), "",
        "A step counts as clipped when the generator's gradient norm is above `train.clip_norm`; all epochs count.", "",
        table(["arm", "steps", "clipped", "share", "largest norm"], clipped),
        *([] if any(row[1] != "-" for row in clipped) else ["", "These trials kept no gradient norm of each step, so that clipped steps "
                                                            "cannot be counted."])]
