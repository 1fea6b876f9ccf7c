"""The section "Good region" of a report: the region in a sentence, a row for each choice, and a map."""

from __future__ import annotations

import numpy as np

from tune.landscape.good_region import Region, short_name, word
from tune.landscape.importance import percent
from tune.landscape.landscape import Landscape
from tune.landscape.trial_points import number_at
from tune.metric import OBJECTIVES
from tune.report_markup import cell, listed, table

WHOLE = 0.95  # a larger part of the space is no region
MAP_ROWS = 12


def region_section(
    held: Landscape | None, region: Region | None, objective: str, image: str | None = None
) -> list[str]:
    """The section "Good region"; `image` is the file that shows it."""
    if held is None or region is None:
        return [
            "No region stands out: there are too few finished trials, or the model does not predict those that it has not seen."
        ]
    over = [*region.numbers, *([region.choice] if region.choice else [])]
    if region.share >= WHOLE:
        return [
            f"No region stands out over {listed(f'`{parameter.key}`' for parameter in over)}: in {percent(region.share)} of that space "
            f"the expected {objective} is as good as the best, as far as the trials tell."
        ]
    parts = [
        f"{short_name(parameter)} {reach}"
        for parameter, reach in zip(
            region.numbers,
            region.ranges(np.asarray(region.inside[region.named].any(axis=0))),
            strict=True,
        )
    ]
    if region.choice is not None:
        parts.append(
            f"{short_name(region.choice)} {' or '.join(cell(word(region.choices[index])) for index in region.named)}"
        )
    others = (
        ", averaged over the other parameters," if len(over) < len(held.space.parameters) else ""
    )
    return [
        f"**{', '.join(parts)}; {percent(region.share)} of the space.** There the expected {objective} of a run{others} is as good as "
        "the best: the model above cannot tell them apart (90 % interval of the difference), or they differ by less than half the SD "
        "of a run. The ranges are outer bounds of the region; no point in it is to be preferred.",
        "",
        *choice_table(region, objective),
        *text_map(region),
        *(["", f"![the expected {cell(objective)} over the space]({image})"] if image else []),
    ]


def choice_table(region: Region, objective: str) -> list[str]:
    """A row for each choice."""
    say = OBJECTIVES[objective].shown
    rows = []
    for choice, inside, expected in zip(
        region.choices, region.inside, region.expected, strict=True
    ):
        allowed = np.isfinite(expected)
        if allowed.any():
            rows.append(
                [
                    cell(word(choice)) or "all",
                    percent(inside.sum() / allowed.sum()),
                    *region.ranges(inside),
                    say(float(np.nanmax(expected))),
                ]
            )
    titles = [short_name(parameter) for parameter in region.numbers]
    return [
        table(
            [
                short_name(region.choice) if region.choice else "",
                "part of it inside",
                *titles,
                f"best expected {objective}",
            ],
            rows,
        )
    ]


def text_map(region: Region) -> list[str]:
    """The region over both numeric parameters, for the choice that is expected to do best; nothing with fewer parameters."""
    if len(region.numbers) < 2:
        return []
    first, second = region.numbers
    best, x, y = region.best
    inside = region.inside[best]
    step = max(1, inside.shape[1] // MAP_ROWS)
    labels = [f"{value:.2g}" for value in number_at(second, region.places[1])]
    pad = max(map(len, labels))
    lines = []
    for row in range(0, inside.shape[1], step):
        marks = [
            "X"
            if y in range(row, row + step) and column == x
            else "o"
            if inside[column, row : row + step].any()
            else "."
            for column in range(inside.shape[0])
        ]
        lines.append(f"{labels[row]:>{pad}} {' '.join(marks)}")
    ends = number_at(first, region.places[0][[0, -1]])
    where = (
        f" with {region.choice.key.split('.')[-1]} {cell(word(region.choices[best]))}"
        if region.choice
        else ""
    )
    return [
        "",
        f"Over {short_name(first)} (across, {ends[0]:.2g} to {ends[1]:.2g}) and {short_name(second)} (down){where}: `o` in the "
        "region, `X` expected best.",
        "",
        "```",
        *lines[::-1],
        "```",
    ]
