"""How steadily two arms trained: the fluctuation of their losses, and how often the generator's gradient was clipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tune.report_markup import cell, shown, table
from tune.reporting.pair import Arm, ArmTrial, Pair
from tune.reporting.paired_difference import mean

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
    values = (
        entry.get("diagnostics", {}).get("steps", {}).get(name)
        if name == NORM
        else entry["losses"].get(name)
    )
    return np.array(values or [], dtype=float)


def spread(values: np.ndarray) -> float:
    """The standard deviation (n - 1) of the finite values; NaN of fewer than two."""
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else math.nan


def fluctuation(trial: ArmTrial, name: str) -> Fluctuation:
    """How much one loss went up and down in the last half of a trial's epochs (the larger half of an odd number)."""
    half = trial.epochs[len(trial.epochs) // 2 :]
    steps = [step_values(entry, name) for entry in half]
    centres = [abs(mean(values)) for values in steps]
    within = [
        spread(values) / centre if centre else math.nan
        for values, centre in zip(steps, centres, strict=True)
    ]
    return Fluctuation(
        spread(np.array([epoch_mean(entry, name) for entry in half])), mean(np.array(within))
    )


def clipping_row(name: str, trials: list[ArmTrial]) -> list[str]:
    """An arm's steps, those clipped, their share, and the largest norm before clipping."""
    largest = [
        norm
        for trial in trials
        for entry in trial.epochs
        if (norm := entry["training_losses"]["gradient_norm"].get("generator_max")) is not None
    ]
    over = [
        np.concatenate([step_values(entry, NORM) for entry in trial.epochs])
        > trial.config.get("train.clip_norm", math.inf)
        for trial in trials
        if trial.epochs
    ]
    steps, clipped = sum(map(len, over)), sum(int(each.sum()) for each in over)
    shares = (
        [str(steps), str(clipped), f"{100 * clipped / steps:.1f} %"] if steps else ["-", "-", "-"]
    )
    return [name, *shares, shown(max(largest, default=None))]


def stability_section(pair: Pair) -> list[str]:
    """The section "Stability"."""
    rows = []
    for name in [*(name for name in components(pair) if name != WITHOUT), NORM]:
        each = [[fluctuation(trial, name) for trial in side] for side in pair.compared]
        rows.append(
            [
                cell(
                    {NORM: "gradient norm of the generator", TOTAL: TOTAL, **TITLES}.get(name, name)
                ),
                *(shown(mean(np.array([f.between for f in side]))) for side in each),
                *(
                    shown(100 * mean(np.array([f.within for f in side])), "{:.1f} %")
                    for side in each
                ),
            ]
        )
    clipped = [
        clipping_row(arm.name, side) for arm, side in zip(pair.arms, pair.compared, strict=True)
    ]
    names = [arm.name for arm in pair.arms]
    return [
        "*Between epochs* is the standard deviation (n - 1) of the epoch means over the last half of a trial's epochs; *within* is the "
        "standard deviation (n - 1) of an epoch's step values over the absolute value of their mean, averaged over the same epochs; both "
        "are means over the trials compared.",
        "",
        table(
            [
                "component",
                *(f"between epochs, {name}" for name in names),
                *(f"within, {name}" for name in names),
            ],
            rows,
        ),
        "",
        "A step counts as clipped when the generator's gradient norm is above `train.clip_norm`; all epochs count.",
        "",
        table(["arm", "steps", "clipped", "share", "largest norm"], clipped),
        *(
            []
            if any(row[1] != "-" for row in clipped)
            else [
                "",
                "These trials kept no gradient norm of each step, so that clipped steps "
                "cannot be counted.",
            ]
        ),
    ]


SHARE = 0.95


def reached(trial: ArmTrial, objective: str) -> int | None:
    """The first epoch whose value lies at least 95 % of the way from the first epoch's value to the best epoch's; None without both."""
    values, best = trial.objective_values(objective), trial.row.best_epoch
    if best is None or not 1 <= best <= len(values) or not np.isfinite(values[[0, best - 1]]).all():
        return None
    if best == 1:
        return 1
    gain = values[best - 1] - values[0]
    return int(np.argmax(values - values[0] >= SHARE * gain)) + 1


def convergence_section(pair: Pair, objective: str) -> list[str]:
    """The section "Convergence"."""
    rows = []
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        figures = [
            (trial.row.best_epoch, reached(trial, objective), trial.row.epochs) for trial in side
        ]
        rows += [
            [
                arm.name,
                trial.row.id,
                str(trial.seed if trial.seed is not None else "-"),
                *(str(f) if f else "-" for f in each),
            ]
            for trial, each in zip(side, figures, strict=True)
        ]
        if len(side) > 1:
            rows.append(
                [
                    arm.name,
                    "mean",
                    "",
                    *(
                        shown(mean(np.array(column, dtype=float)), "{:.1f}")
                        for column in zip(*figures, strict=True)
                    ),
                ]
            )
    return [
        f"The best epoch is the one of the best `{objective}`. *95 % of the gain* is the first epoch whose `{objective}` lies at least "
        "95 % of the way from the trial's first epoch to its best one. Both count from 1.",
        "",
        table(
            ["arm", "trial", "seed", "best epoch", "95 % of the gain", "epochs run"],
            rows,
            words=("trial",),
        ),
    ]


TITLES = {
    "pixel": "pixel (L1)",
    "feature": "recognition feature",
    "ctc": "CTC, nats a line",
    "contrastive": "contrastive",
    "adversarial": "adversarial (generator)",
    "discriminator": "discriminator",
}
WEIGHTED = (
    "pixel",
    "feature",
    "ctc",
    "adversarial",
)  # the generator's terms beside the contrastive one
WITHOUT, TOTAL = "total without the contrastive term", "total"


def last_losses(trial: ArmTrial) -> dict[str, float]:
    """The mean training losses of the trial's last epoch, unweighted, with the two totals; NaN for what is no number."""
    if not trial.epochs:
        return {}
    entry = trial.epochs[-1]
    held = {
        name: math.nan if value is None else float(value)
        for name, value in entry["training_losses"].items()
        if name != "gradient_norm"
    }
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
    return arm.config.get("contrastive.weight") == 0 and any(
        "contrastive" in last_losses(trial) for trial in arm.finished
    )


def loss_section(pair: Pair) -> list[str]:
    """The section "Loss components at the end"."""
    rows = [
        [
            cell(TITLES.get(name, name)),
            shown(first),
            shown(second),
            shown(percent(first, second), "{:+z.1f} %"),
        ]
        for name, first, second in loss_rows(pair)
    ]
    ends = "; ".join(
        f"{arm.name} {', '.join(str(len(trial.epochs)) for trial in side)}"
        for arm, side in zip(pair.arms, pair.compared, strict=True)
    )
    return [
        f"Means over the steps of the last epoch ({ends}), unweighted; `-` is what an arm did not compute.",
        "",
        table(["component", *(arm.name for arm in pair.arms), "change"], rows),
        "",
        "The total includes the contrastive term itself, at its weight, where an arm trains with one, and is not comparable between arms "
        "that differ in it. The line above it is the sum of the other terms at their weights.",
        *(
            f"{arm.name} measured the contrastive term at weight 0: it had no part in the training and is not in the total."
            for arm in pair.arms
            if measured_only(arm)
        ),
    ]
