"""What a search found beyond its best trial: the sections on importance, on the good region, and on the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from tune.good_region import good_region
from tune.importance import importance, importance_section
from tune.landscape import landscape
from tune.pareto import pareto_section
from tune.region_image import write_region_image
from tune.region_text import region_section
from tune.space import Space
from tune.study import StudyFolder
from tune.trial_table import Row

IMAGE = "region.png"


def search_sections(folder: StudyFolder, space: Space, rows: Sequence[Row], objectives: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Heading -> lines; nothing of an experiment. Draws region.png where there is a region over two numeric parameters."""
    if space.experiment:
        return {}
    objective = objectives[0]
    held = landscape(space, rows, seed)
    shares = importance(held, seed) if held and held.believed else []
    region = good_region(held, shares, seed) if held and held.believed else None
    drawn = held is not None and region is not None and write_region_image(folder.path / IMAGE, held, region)
    if not drawn:
        (folder.path / IMAGE).unlink(missing_ok=True)  # of a report written earlier
    return {**({"Pareto front": pareto_section(rows, objectives)} if len(objectives) > 1 else {}),
            "Parameter importance": importance_section(held, shares, objective),
            "Good region": region_section(held, region, objective, IMAGE if drawn else None)}
