"""How fast a trial gets there: the epoch of its best value, and the first epoch with 95 % of its whole gain."""

from __future__ import annotations

import numpy as np

from tune.arm import ArmTrial, Pair
from tune.paired_difference import mean
from tune.report_table import shown, table

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
        figures = [(trial.row.best_epoch, reached(trial, objective), trial.row.epochs) for trial in side]
        rows += [[arm.name, trial.row.id, str(trial.seed if trial.seed is not None else "-"), *(str(f) if f else "-" for f in each)]
                 for trial, each in zip(side, figures, strict=True)]
        if len(side) > 1:
            rows.append([arm.name, "mean", "", *(shown(mean(np.array(column, dtype=float)), "{:.1f}")
                                                 for column in zip(*figures, strict=True))])
    return [
        f"The best epoch is the one of the best `{objective}`. *95 % of the gain* is the first epoch whose `{objective}` lies at least "
        "95 % of the way from the trial's first epoch to its best one. Both count from 1.", "",
        table(["arm", "trial", "seed", "best epoch", "95 % of the gain", "epochs run"], rows, words=("trial",))]
