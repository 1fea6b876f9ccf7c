"""How much each parameter of a search matters, with an interval: "Parameter importance"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tune.landscape.landscape import FEWEST, RESAMPLES, Landscape
from tune.report_markup import cell, table


@dataclass(frozen=True)
class Importance:
    """A parameter's total effect: median and 90 % interval over resampled trials.

    Units: shares of the model's variance over the space. trials: those that have the parameter.
    """

    key: str
    median: float
    low: float
    high: float
    trials: int


def importance(fitted: Landscape, seed: int = 0) -> list[Importance]:
    """The importance of each parameter, largest first."""
    assert fitted.better_than_chance, "a model that predicts nothing has no importances"
    effects = fitted.total_effects(fitted.resampled, seed)
    low, median, high = np.quantile(effects, [0.05, 0.5, 0.95], axis=0)
    trials = fitted.observations.points.active.sum(axis=0)
    shares = [
        Importance(parameter.key, float(median[i]), float(low[i]), float(high[i]), int(trials[i]))
        for i, parameter in enumerate(fitted.space.parameters)
    ]
    return sorted(shares, key=lambda share: -share.median)


def percent(share: float) -> str:
    """A share in percent. A small one is not shown as zero."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def model_summary(fitted: Landscape, objective: str) -> str:
    """What the model is fitted to, and how well it predicts."""
    observations = fitted.observations
    finished = int(observations.finished.sum())
    pruned = len(observations.finished) - finished
    also = f" and {pruned} pruned ones (at their best value so far)" if pruned else ""
    text = (
        f"A model of {cell(objective)} over the search space, fitted to {finished} finished "
        f"contrastive trials{also}. R² on left-out trials: {fitted.skill:.2f}."
    )
    if observations.clipped:
        text += f" {observations.clipped} very low values were raised to Tukey's lower fence."
    return text


def importance_section(
    fitted: Landscape | None, shares: Sequence[Importance], objective: str
) -> list[str]:
    """The section "Parameter importance", or the reason why it is empty."""
    if fitted is None:
        return [
            f"Not enough trials: parameter importance needs {FEWEST} finished contrastive trials "
            "with different values."
        ]
    summary = model_summary(fitted, objective)
    if not fitted.better_than_chance:
        return [
            summary,
            "",
            "No importance is shown: on left-out trials the model is hardly better than their mean "
            f"(by chance alone R² reaches {fitted.chance:.2f}). The differences between the trials "
            "may be noise.",
        ]
    rows = [
        [
            f"`{share.key}`",
            f"{100 * share.median:.0f} %",
            f"{100 * share.low:.0f} to {100 * share.high:.0f} %",
            str(share.trials),
        ]
        for share in shares
    ]
    return [
        f"{summary} Importance is the share of the model's variance over the search space that "
        "disappears if the parameter is fixed (total Sobol' index). An interaction counts for both "
        "of its parameters, so the column can add up to more than 100 %. Median and 90 % interval "
        f"over {RESAMPLES} resamples of the trials.",
        "",
        table(["parameter", "importance", "90 % interval", "trials with it"], rows),
    ]
