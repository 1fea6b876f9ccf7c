"""What a search found beyond its best trial: the sections on importance, on the good region, and on the Pareto front."""

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


def search_sections(
    folder: StudyFolder, space: Space, rows: Sequence[Row], objectives: Sequence[str], seed: int
) -> dict[str, list[str]]:
    """Heading -> lines; nothing of an experiment. Draws region.png where there is a region over two numeric parameters."""
    if space.experiment:
        return {}
    objective = objectives[0]
    held = landscape(space, rows, seed)
    shares = importance(held, seed) if held and held.believed else []
    region = good_region(held, shares, seed) if held and held.believed else None
    drawn = (
        held is not None
        and region is not None
        and write_region_image(folder.path / IMAGE, held, region)
    )
    if not drawn:
        (folder.path / IMAGE).unlink(missing_ok=True)  # of a report written earlier
    return {
        **({"Pareto front": pareto_section(rows, objectives)} if len(objectives) > 1 else {}),
        "Parameter importance": importance_section(held, shares, objective),
        "Good region": region_section(held, region, objective, IMAGE if drawn else None),
    }


SHOWN = 50


def front(rows: Sequence[Row], objectives: Sequence[str]) -> list[Row]:
    """The finished trials that none dominates, the best by the first objective first. Those that keep the constraints, where any does."""
    finished = [row for row in rows if row.finished and row.metrics]
    held = [row for row in finished if row.feasible] or finished
    if not held:
        return []
    values = np.array([[objective_value(name, row.metrics) for name in objectives] for row in held])
    return [held[number] for number in undominated(values)]


def undominated(values: np.ndarray) -> list[int]:
    """The points that no other one reaches everywhere and exceeds somewhere, by falling first value. Shape: (points, objectives)."""
    kept: list[int] = []
    for number in np.lexsort(-values.T[::-1]):  # whatever dominates a point comes before it
        above = values[kept]
        if not ((above >= values[number]).all(axis=1) & (above > values[number]).any(axis=1)).any():
            kept.append(int(number))
    return kept


def pareto_section(rows: Sequence[Row], objectives: Sequence[str]) -> list[str]:
    """The front as a table."""
    best = front(rows, objectives)
    if not best:
        return ["No trial has finished yet."]
    shown = [
        [
            cell(row.id),
            *(OBJECTIVES[name].shown(objective_value(name, row.metrics)) for name in objectives),
            f"{row.best_epoch or '-'}",
            cell(short(row.values)),
        ]
        for row in best[:SHOWN]
    ]
    more = (
        f" The {SHOWN} best by {objectives[0]} are shown; the others are in trials.csv."
        if len(best) > SHOWN
        else ""
    )
    kept = (
        "" if best[0].feasible else " None keeps the constraints; these are the best that do not."
    )
    return [
        f"{len(best)} finished {'trial is' if len(best) == 1 else 'trials are'} beaten by no other one in all of {listed(objectives)}, "
        f"each at its best epoch by {objectives[0]}.{kept}{more}",
        "",
        table(["trial", *objectives, "epoch", "values"], shown),
    ]
