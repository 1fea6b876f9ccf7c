"""How much each parameter of a search matters, with the spread of that: the section "Parameter importance"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tune.landscape.landscape import FEWEST, RESAMPLES, Landscape
from tune.landscape.surrogate import total_effects
from tune.report_markup import cell, table


@dataclass(frozen=True)
class Importance:
    """A parameter's part of the variance that the model sees over the space: median and 90 % interval over resampled trials.

    trials: those it took part in.
    """

    key: str
    median: float
    low: float
    high: float
    trials: int


def importance(held: Landscape, seed: int = 0) -> list[Importance]:
    """The parameters, the strongest first."""
    assert held.believed, "a model that predicts nothing has no importances"
    places = held.effect_columns(seed)
    found = [total_effects(coefficients, places) for coefficients in held.resampled]
    low, median, high = np.quantile(found, [0.05, 0.5, 0.95], axis=0)
    active = held.seen.points.active.sum(axis=0)
    shares = [
        Importance(parameter.key, float(median[i]), float(low[i]), float(high[i]), int(active[i]))
        for i, parameter in enumerate(held.space.parameters)
    ]
    return sorted(shares, key=lambda share: -share.median)


def percent(part: float) -> str:
    """A part in percent; a small one is not shown as none."""
    return "< 1 %" if 0 < part < 0.005 else f"{100 * part:.0f} %"


def seen_in_words(held: Landscape, objective: str) -> str:
    """What the model rests on."""
    seen = held.seen
    lost = len(seen.ended) - seen.finished
    given_up = f" and {lost} that were given up, at the best they had reached" if lost else ""
    lifted = f" {seen.lifted} very low values count as Tukey's lower fence." if seen.lifted else ""
    return (
        f"From {seen.finished} finished contrastive trials{given_up}, by a model of {cell(objective)} over the space (R2 "
        f"{held.skill:.2f} on trials left out).{lifted}"
    )


def importance_section(
    held: Landscape | None, shares: Sequence[Importance], objective: str
) -> list[str]:
    """The section, or why nothing can be said."""
    if held is None:
        return [
            f"Nothing can be said: that takes {FEWEST} finished contrastive trials with different values."
        ]
    if not held.believed:
        return [
            seen_in_words(held, objective),
            "",
            "Nothing can be said: the model predicts trials left out hardly better than their mean "
            f"does (chance alone reaches an R2 of {held.chance:.2f}), so that the trials' differences may be noise.",
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
        f"{seen_in_words(held, objective)} Importance is the part of the model's variance over the space that would go if the "
        "parameter were fixed. What two parameters do together counts for both, so that the column may add up to more than 100 %. "
        f"Median and 90 % interval over {RESAMPLES} resamples of the trials.",
        "",
        table(["parameter", "importance", "90 % interval", "trials with it"], rows),
    ]
