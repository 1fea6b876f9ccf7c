"""The section "Good region" of a report: the region in a sentence, a table and a map."""

from __future__ import annotations

import numpy as np

from tune.landscape.good_region import Region, choice_text, short_name
from tune.landscape.importance import percent
from tune.landscape.landscape import Landscape
from tune.landscape.trial_points import number_at
from tune.metric import OBJECTIVES
from tune.report_markup import cell, listed, table

WHOLE = 0.95  # a larger share of the space is no region
MAP_ROWS = 12


def region_section(
    fitted: Landscape | None, region: Region | None, objective: str, image: str | None = None
) -> list[str]:
    """The section "Good region". image: the name of the file that shows the region."""
    if fitted is None or region is None:
        return [
            "No region stands out: there are too few finished trials, or the model does not "
            "predict left-out trials."
        ]
    axes = [*region.numbers, *([region.choice] if region.choice else [])]
    if region.share >= WHOLE:
        return [
            f"No region stands out over {listed(f'`{axis.key}`' for axis in axes)}: in "
            f"{percent(region.share)} of that space the model cannot distinguish the expected "
            f"{objective} from the best."
        ]
    reach = region.ranges(np.asarray(region.inside[region.named].any(axis=0)))
    parts = [f"{short_name(axis)} {ends}" for axis, ends in zip(region.numbers, reach, strict=True)]
    if region.choice:
        names = [cell(choice_text(region.choices[index])) for index in region.named]
        parts.append(f"{short_name(region.choice)} {' or '.join(names)}")
    averaged = len(axes) < len(fitted.space.parameters)
    others = ", averaged over the other parameters," if averaged else ""
    return [
        f"**{', '.join(parts)}; {percent(region.share)} of the space.** In this region the "
        f"expected {objective} of a run{others} is as good as the best: the model above cannot "
        "distinguish them (90 % interval of the difference), or they differ by less than half the "
        "standard deviation of a run. The ranges are the outer bounds of the region. No point in "
        "it is preferable to another.",
        "",
        choice_table(region, objective),
        *text_map(region),
        *(["", f"![the expected {cell(objective)} over the space]({image})"] if image else []),
    ]


def choice_table(region: Region, objective: str) -> str:
    """A row for each choice that is not wholly forbidden."""
    rows = []
    for choice, inside, expected in zip(
        region.choices, region.inside, region.expected, strict=True
    ):
        allowed = np.isfinite(expected)
        if allowed.any():
            name, share = cell(choice_text(choice)) or "all", percent(inside.sum() / allowed.sum())
            best = OBJECTIVES[objective].shown(float(np.nanmax(expected)))
            rows.append([name, share, *region.ranges(inside), best])
    title = short_name(region.choice) if region.choice else ""
    names = [short_name(parameter) for parameter in region.numbers]
    return table([title, "share inside", *names, f"best expected {objective}"], rows)


def text_map(region: Region) -> list[str]:
    """A map over both numeric parameters, of the choice with the best expected value.

    Empty if the region has fewer than two numeric parameters.
    """
    if len(region.numbers) < 2:
        return []
    best, x, y = region.best
    marks = np.where(region.inside[best], "o", ".")
    marks[x, y] = "X"
    # A line of the map covers `step` cells and shows the most important mark among them.
    step = max(1, marks.shape[1] // MAP_ROWS)
    first, second = map(number_at, region.numbers, region.coordinates)
    labels = [f"{value:.2g}" for value in second[::step]]
    width = max(map(len, labels))
    lines = []
    for label, row in zip(labels, range(0, marks.shape[1], step), strict=True):
        # In ASCII "." < "X" < "o", so the order of importance is spelled out.
        line = [max(column, key=".oX".index) for column in marks[:, row : row + step].tolist()]
        lines.append(f"{label:>{width}} {' '.join(line)}")
    where = ""
    if region.choice:
        choice = cell(choice_text(region.choices[best]))
        where = f", with {short_name(region.choice)} {choice}"
    names = [short_name(parameter) for parameter in region.numbers]
    return [
        "",
        f"Map over {names[0]} (horizontal, {first[0]:.2g} to {first[-1]:.2g}) and {names[1]} "
        f"(vertical){where}: `o` is in the region, `X` has the best expected value.",
        "",
        "```",
        *lines[::-1],
        "```",
    ]
