"""How two arms trained: loss components, fluctuation, clipped gradients, convergence."""

from __future__ import annotations

import math

import numpy as np

from tune.report_markup import cell, shown, table
from tune.reporting.pair import Arm, ArmTrial, Pair
from tune.reporting.paired_difference import mean

TITLES = {
    "pixel": "pixel (L1)",
    "feature": "recognition feature",
    "ctc": "CTC, nats a line",
    "contrastive": "contrastive",
    "adversarial": "adversarial (generator)",
    "discriminator": "discriminator",
}
WEIGHTED = ("pixel", "feature", "ctc", "adversarial")  # generator terms except the contrastive one
WITHOUT, TOTAL = "total without the contrastive term", "total"
NORM = "generator_norm"
NO_NORMS = (
    "These trials did not record the gradient norm of each step, so clipped steps cannot be "
    "counted."
)
SHARE = 0.95  # of the gain, in the section "Convergence"


def last_losses(trial: ArmTrial) -> dict[str, float]:
    """Return the unweighted mean losses of the last epoch, with the two totals."""
    if not trial.epochs:
        return {}
    entry = trial.epochs[-1]
    losses = {
        name: math.nan if value is None else float(value)
        for name, value in entry["training_losses"].items()
        if name != "gradient_norm"
    }
    weights = {name: trial.config.get(f"loss.{name}", math.nan) for name in WEIGHTED}
    weights["ctc"] = entry.get("current_ctc_weight", weights["ctc"])
    losses[WITHOUT] = sum(weights[name] * losses[name] for name in WEIGHTED if name in losses)
    return losses


def components(pair: Pair) -> list[str]:
    """Return the components of the compared trials: known ones first, the totals last."""
    names = {name: None for side in pair.compared for trial in side for name in last_losses(trial)}
    ordered = [name for name in (*TITLES, *names) if name in names and name not in (WITHOUT, TOTAL)]
    return [*dict.fromkeys(ordered), WITHOUT, TOTAL]


def loss_rows(pair: Pair) -> list[tuple[str, float, float]]:
    """Return (component, mean of the first arm, mean of the second arm); NaN if not computed."""
    first, second = ([last_losses(trial) for trial in side] for side in pair.compared)

    def average(side: list[dict[str, float]], name: str) -> float:
        return mean(np.array([losses.get(name, math.nan) for losses in side]))

    return [(name, average(first, name), average(second, name)) for name in components(pair)]


def measured_only(arm: Arm) -> bool:
    """Whether the arm measured a contrastive term but did not train with it."""
    return arm.config.get("contrastive.weight") == 0 and any(
        "contrastive" in last_losses(trial) for trial in arm.finished
    )


def loss_section(pair: Pair) -> list[str]:
    """Return the section "Loss components at the end"."""
    rows = []
    for name, first, second in loss_rows(pair):
        percent = 100 * (second - first) / abs(first) if first else math.nan
        title = cell(TITLES.get(name, name))
        rows.append([title, shown(first), shown(second), shown(percent, "{:+z.1f} %")])
    ends = "; ".join(
        f"{arm.name} {', '.join(str(len(trial.epochs)) for trial in side)}"
        for arm, side in zip(pair.arms, pair.compared, strict=True)
    )
    return [
        f"Means over the steps of the last epoch ({ends}), unweighted. `-`: not computed.",
        "",
        table(["component", *(arm.name for arm in pair.arms), "change"], rows),
        "",
        "The total includes the weighted contrastive term of an arm that trains with one, so it is "
        "not comparable between arms that differ in it. The line above it is the weighted sum of "
        "the other terms.",
        *(
            f"{arm.name} measured the contrastive term at weight 0: the term is not part of its "
            "training or its total."
            for arm in pair.arms
            if measured_only(arm)
        ),
    ]


def epoch_mean(entry: dict, name: str) -> float:
    """Return the mean of a loss, or of the generator's gradient norm, over an epoch's steps."""
    losses = entry["training_losses"]
    value = losses["gradient_norm"].get("generator_mean") if name == NORM else losses.get(name)
    return math.nan if value is None else float(value)


def step_values(entry: dict, name: str) -> np.ndarray:
    """Return the value of every step of an epoch; empty if not recorded, NaN if not finite."""
    steps = entry.get("diagnostics", {}).get("steps", {}) if name == NORM else entry["losses"]
    return np.array(steps.get(name) or [], dtype=float)


def spread(values: np.ndarray) -> float:
    """Return the standard deviation (n - 1) of the finite values; NaN for fewer than two."""
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else math.nan


def fluctuation(trial: ArmTrial, name: str) -> tuple[float, float]:
    """Return how much a loss fluctuates between and within the last half of a trial's epochs.

    Between: standard deviation (n - 1) of the epoch means. Within: mean over the epochs of the
    standard deviation (n - 1) of the step values over the absolute value of their mean. NaN with
    too few values. Of an odd number of epochs the larger half counts.
    """
    half = trial.epochs[len(trial.epochs) // 2 :]
    steps = [step_values(entry, name) for entry in half]
    relative = [spread(values) / (abs(mean(values)) or math.nan) for values in steps]
    means = [epoch_mean(entry, name) for entry in half]
    return spread(np.array(means)), mean(np.array(relative))


def clipping_row(name: str, trials: list[ArmTrial]) -> list[str]:
    """Return an arm's steps, clipped steps, their share, and the largest norm before clipping."""
    epochs = [(trial.config, entry) for trial in trials for entry in trial.epochs]
    exceeded = [
        step_values(entry, NORM) > config.get("train.clip_norm", math.inf)
        for config, entry in epochs
    ]
    steps, clipped = sum(map(len, exceeded)), sum(int(step.sum()) for step in exceeded)
    norms = [entry["training_losses"]["gradient_norm"].get("generator_max") for _, entry in epochs]
    largest = max((norm for norm in norms if norm is not None), default=None)
    share = f"{100 * clipped / steps:.1f} %" if steps else ""
    counts = [str(steps), str(clipped), share] if steps else ["-", "-", "-"]
    return [name, *counts, shown(largest)]


def stability_section(pair: Pair) -> list[str]:
    """Return the section "Stability"."""
    titles = {**TITLES, NORM: "gradient norm of the generator"}
    rows = []
    for name in [*(name for name in components(pair) if name != WITHOUT), NORM]:
        sides = [[fluctuation(trial, name) for trial in side] for side in pair.compared]
        between, within = ([mean(np.array(side)[:, i]) for side in sides] for i in (0, 1))
        rows.append(
            [
                cell(titles.get(name, name)),
                *(shown(value) for value in between),
                *(shown(100 * value, "{:.1f} %") for value in within),
            ]
        )
    clipped = [
        clipping_row(arm.name, side) for arm, side in zip(pair.arms, pair.compared, strict=True)
    ]
    names = [arm.name for arm in pair.arms]
    header = [
        "component",
        *(f"between epochs, {name}" for name in names),
        *(f"within, {name}" for name in names),
    ]
    return [
        "*Between epochs* is the standard deviation (n - 1) of the epoch means over the last half "
        "of a trial's epochs. *Within* is the standard deviation (n - 1) of an epoch's step values "
        "over the absolute value of their mean, averaged over the same epochs. Both are means over "
        "the compared trials.",
        "",
        table(header, rows),
        "",
        "A step is clipped if the generator's gradient norm is above `train.clip_norm`; all epochs "
        "count.",
        "",
        table(["arm", "steps", "clipped", "share", "largest norm"], clipped),
        *([] if any(row[1] != "-" for row in clipped) else ["", NO_NORMS]),
    ]


def gain_epoch(trial: ArmTrial, objective: str) -> int | None:
    """Return the first epoch with at least 95 % of the gain from the first to the kept epoch."""
    values, best = trial.objective_values(objective), trial.row.best_epoch
    if best is None or not 1 <= best <= len(values) or not np.isfinite(values[[0, best - 1]]).all():
        return None
    if best == 1:
        return 1
    gains = values - values[0]
    return int(np.argmax(gains >= SHARE * gains[best - 1])) + 1


def convergence_section(pair: Pair, objective: str) -> list[str]:
    """Return the section "Convergence"."""
    rows = []
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        figures = [
            (trial.row.best_epoch, gain_epoch(trial, objective), trial.row.epochs) for trial in side
        ]
        for trial, epochs in zip(side, figures, strict=True):
            cells = [str(epoch) if epoch else "-" for epoch in epochs]
            rows.append([arm.name, trial.row.id, trial.seed_text, *cells])
        if len(side) > 1:
            means = [mean(np.array(column, dtype=float)) for column in zip(*figures, strict=True)]
            rows.append([arm.name, "mean", "", *(shown(value, "{:.1f}") for value in means)])
    return [
        f"The kept epoch is the best by `{objective}`, or the last if the learning rates fall to "
        f"0. *95 % of the gain* is the first epoch whose `{objective}` has at least 95 % of the "
        "gain from the trial's first epoch to the kept one. Epochs count from 1.",
        "",
        table(
            ["arm", "trial", "seed", "kept epoch", "95 % of the gain", "epochs run"],
            rows,
            words=("trial",),
        ),
    ]
