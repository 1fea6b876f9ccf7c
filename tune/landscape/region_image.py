"""The good region as an image: one panel per choice, darker for higher expected values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from ganhtr.atomic import write_png
from tune.landscape.good_region import Region, choice_text, short_name
from tune.landscape.landscape import Landscape
from tune.landscape.trial_points import number_at

PANEL, GAP, LEFT, TOP, BOTTOM = 216, 16, 88, 24, 40  # pixels
PANELS_PER_ROW = 5
LINE, DOT = 2, 2  # pixels: width of the outline, radius of a trial
# Colours of the lowest and of the highest value.
LOW, HIGH = np.array([235, 238, 242]), np.array([8, 81, 156])
OUTLINE, FINISHED, PRUNED, WHITE = (204, 76, 2), (0, 0, 0), (150, 150, 150), (255, 255, 255)


def write_region_image(target: Path, fitted: Landscape, region: Region) -> bool:
    """Draw the region, outlined, with the trials as dots.

    Returns False, and writes no file, if the region has fewer than two numeric parameters.
    """
    if len(region.numbers) < 2:
        return False
    columns = min(PANELS_PER_ROW, len(region.choices))
    rows = -(-len(region.choices) // columns)
    size = (LEFT + columns * (PANEL + GAP), rows * (TOP + PANEL + BOTTOM))
    image = Image.new("RGB", size, WHITE)
    pen = ImageDraw.Draw(image)
    for index, choice in enumerate(region.choices):
        row, column = divmod(index, columns)
        left, top = LEFT + column * (PANEL + GAP), TOP + row * (TOP + PANEL + BOTTOM)
        image.paste(heat_map(region, index), (left, top))
        draw_trials(pen, fitted, region, index, left, top)
        if region.choice:
            title = f"{short_name(region.choice)} {choice_text(choice)}"
            pen.text((left, top - 16), title, fill=0)
        draw_labels(pen, region, left, top, first=column == 0)
    write_png(target, image)
    return True


def heat_map(region: Region, index: int) -> Image.Image:
    """The panel of one choice, white where every combination is forbidden.

    All panels share one colour scale.
    """
    low, high = np.nanquantile(region.expected, 0.05), np.nanmax(region.expected)
    scale = np.clip((region.expected[index] - low) / max(high - low, 1e-12), 0, 1)[..., None]
    colours = np.where(np.isnan(scale), WHITE, LOW + np.nan_to_num(scale) * (HIGH - LOW))
    # Enlarge each cell to the pixels that it covers.
    pixels = np.ix_(*(np.arange(PANEL) * cells // PANEL for cells in colours.shape[:2]))
    panel, inside = colours.astype(np.uint8)[pixels], region.inside[index][pixels]
    panel[inside & ~binary_erosion(inside, iterations=LINE)] = OUTLINE
    # Images have rows first and the origin at the top; the second parameter grows upwards.
    return Image.fromarray(panel.transpose(1, 0, 2)[::-1].copy())


def draw_trials(
    pen: ImageDraw.ImageDraw, fitted: Landscape, region: Region, index: int, left: int, top: int
) -> None:
    """Draw the trials of one choice, grey if they were pruned."""
    observations, parameters = fitted.observations, fitted.space.parameters
    points, axes = observations.points, [parameters.index(each) for each in region.numbers]
    shown = points.active[:, axes].all(axis=1)
    if region.choice:
        shown &= points.matches(region.choice.key, (region.choices[index],))
    for number in np.flatnonzero(shown):
        across, up = points.coordinates[number, axes]
        x, y = left + across * (PANEL - 1), top + (1 - up) * (PANEL - 1)
        fill = FINISHED if observations.finished[number] else PRUNED
        pen.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=fill, outline=WHITE)


def draw_labels(pen: ImageDraw.ImageDraw, region: Region, left: int, top: int, first: bool) -> None:
    """Label both axes with their ends and names; the vertical one at the first panel of a row."""
    ends = np.array([0.0, 1.0])
    across, up = (
        [f"{value:.2g}" for value in number_at(parameter, ends)] for parameter in region.numbers
    )
    below, middle = top + PANEL + 4, left + PANEL // 2
    pen.text((left, below), across[0], fill=0, anchor="la")
    pen.text((middle, below), short_name(region.numbers[0]), fill=0, anchor="ma")
    pen.text((left + PANEL, below), across[1], fill=0, anchor="ra")
    if first:
        x, title = left - 6, short_name(region.numbers[1])[:13]
        pen.text((x, top), up[1], fill=0, anchor="ra")
        pen.text((x, top + PANEL // 2), title, fill=0, anchor="rm")
        pen.text((x, top + PANEL), up[0], fill=0, anchor="rd")
