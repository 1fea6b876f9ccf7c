"""The sections on the search space: importance, good region and Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tune.landscape.good_region import good_region
from tune.landscape.importance import importance, importance_section
from tune.landscape.landscape import landscape
from tune.landscape.region_image import write_region_image
from tune.landscape.region_text import region_section
from tune.metric import OBJECTIVES, objective_value
from tune.report_markup import cell, listed, short, table
from tune.space.space import Space
from tune.study.folder import StudyFolder
from tune.study.trial_table import Row

IMAGE = "region.png"
MAX_SHOWN = 50  # trials of the front in the table


def search_sections(
    folder: StudyFolder, space: Space, rows: Sequence[Row], objectives: Sequence[str], seed: int
) -> dict[str, list[str]]:
    """Return heading -> lines; empty for an experiment, which searches nothing.

    Writes region.png if there is a good region over two numeric parameters.
    """
    if space.experiment:
        return {}
    objective, path = objectives[0], folder.path / IMAGE
    model = landscape(space, rows, seed)
    shares = importance(model, seed) if model and model.better_than_chance else []
    region = good_region(model, shares, seed) if model and model.better_than_chance else None
    drawn = bool(model and region and write_region_image(path, model, region))
    if not drawn:
        path.unlink(missing_ok=True)  # written by an earlier report
    return {
        **({"Pareto front": pareto_section(rows, objectives)} if len(objectives) > 1 else {}),
        "Parameter importance": importance_section(model, shares, objective),
        "Good region": region_section(model, region, objective, IMAGE if drawn else None),
    }


def front(rows: Sequence[Row], objectives: Sequence[str]) -> list[Row]:
    """Return the finished trials that no other dominates, sorted by the first objective.

    Only trials that meet the constraints count, if there are any.
    """
    finished = [row for row in rows if row.finished and row.metrics]
    rows = [row for row in finished if row.feasible] or finished
    if not rows:
        return []
    values = np.array([[objective_value(name, row.metrics) for name in objectives] for row in rows])
    return [rows[number] for number in undominated(values)]


def undominated(values: np.ndarray) -> list[int]:
    """Return the indices of the points that no other dominates, the largest first value first.

    Shapes: values (points, objectives).
    """
    kept: list[int] = []
    for index in np.lexsort(-values.T[::-1]):  # a point comes after all points that dominate it
        point, others = values[index], values[kept]
        if not ((others >= point).all(axis=1) & (others > point).any(axis=1)).any():
            kept.append(int(index))
    return kept


def pareto_section(rows: Sequence[Row], objectives: Sequence[str]) -> list[str]:
    """Return the front as a table."""
    best = front(rows, objectives)
    if not best:
        return ["No trial has finished yet."]
    table_rows = [
        [
            cell(row.id),
            *(OBJECTIVES[name].shown(objective_value(name, row.metrics)) for name in objectives),
            f"{row.best_epoch or '-'}",
            cell(short(row.values)),
        ]
        for row in best[:MAX_SHOWN]
    ]
    trials = "trial is" if len(best) == 1 else "trials are"
    text = (
        f"{len(best)} finished {trials} not dominated by another in {listed(objectives)}, each "
        "with the weights that it kept."
    )
    if not best[0].feasible:
        text += " No trial meets the constraints; these are the best of the others."
    if len(best) > MAX_SHOWN:
        text += f" The {MAX_SHOWN} best by {objectives[0]} are shown; the others are in trials.csv."
    return [text, "", table(["trial", *objectives, "epoch", "values"], table_rows)]
