"""The good region as an image: a panel for each choice, weight across and temperature up, darker where the model expects more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganhtr.atomic import write_png
from tune.landscape.good_region import Region, short_name, word
from tune.landscape.landscape import Landscape
from tune.landscape.trial_points import choice_at, number_at

PANEL, GAP, LEFT, TOP, BOTTOM = 216, 16, 88, 24, 40  # pixels
IN_A_ROW = 5
LOW, HIGH = (
    np.array([235, 238, 242]),
    np.array([8, 81, 156]),
)  # colours of the lowest and the highest value
OUTLINE, FINISHED, GIVEN_UP = (204, 76, 2), (0, 0, 0), (150, 150, 150)


def write_region_image(target: Path, held: Landscape, region: Region) -> bool:
    """Draws the region, outlined, with the trials as dots. Returns False, and draws nothing, where it has not two numeric parameters."""
    if len(region.numbers) < 2:
        return False
    across = min(IN_A_ROW, len(region.choices))
    down = -(-len(region.choices) // across)
    image = Image.new(
        "RGB", (LEFT + across * (PANEL + GAP), down * (TOP + PANEL + BOTTOM)), (255, 255, 255)
    )
    pen, font = ImageDraw.Draw(image), ImageFont.load_default()
    for index, choice in enumerate(region.choices):
        left, top = (
            LEFT + index % across * (PANEL + GAP),
            TOP + index // across * (TOP + PANEL + BOTTOM),
        )
        image.paste(heat(region, index), (left, top))
        outline(pen, region.inside[index], left, top)
        dots(pen, held, region, index, left, top)
        pen.text(
            (left, top - 16),
            f"{short_name(region.choice)} {word(choice)}" if region.choice else "",
            fill=0,
            font=font,
        )
        label(pen, font, region, left, top, first=index % across == 0)
    write_png(target, image)
    return True


def heat(region: Region, index: int) -> Image.Image:
    """A choice's panel in colours that all panels share; white where every combination is forbidden."""
    low, high = np.nanquantile(region.expected, 0.05), np.nanmax(region.expected)
    part = np.clip((region.expected[index] - low) / max(high - low, 1e-12), 0, 1)[..., None]
    colours = np.where(np.isnan(part), 255, LOW + np.nan_to_num(part) * (HIGH - LOW)).astype(
        np.uint8
    )
    return Image.fromarray(colours.transpose(1, 0, 2)[::-1].copy()).resize(
        (PANEL, PANEL), Image.Resampling.NEAREST
    )


def outline(pen: ImageDraw.ImageDraw, inside: np.ndarray, left: int, top: int) -> None:
    """A line around the cells of the region."""
    wide, tall = PANEL / inside.shape[0], PANEL / inside.shape[1]
    framed = np.pad(inside, 1)
    for x, y in np.argwhere(inside):
        box = (
            left + x * wide,
            top + PANEL - (y + 1) * tall,
            left + (x + 1) * wide - 1,
            top + PANEL - y * tall - 1,
        )
        for beside, ends in (
            ((x, y + 1), (box[0], box[1], box[0], box[3])),
            ((x + 2, y + 1), (box[2], box[1], box[2], box[3])),
            ((x + 1, y), (box[0], box[3], box[2], box[3])),
            ((x + 1, y + 2), (box[0], box[1], box[2], box[1])),
        ):
            if not framed[beside]:
                pen.line(ends, fill=OUTLINE, width=2)


def dots(
    pen: ImageDraw.ImageDraw, held: Landscape, region: Region, index: int, left: int, top: int
) -> None:
    """The trials of one choice; grey where the pruner gave them up."""
    points, keys = held.seen.points, [parameter.key for parameter in held.seen.points.parameters]
    axes = [keys.index(parameter.key) for parameter in region.numbers]
    kept = points.active[:, axes].all(axis=1)
    if region.choice is not None:
        column = keys.index(region.choice.key)
        kept &= points.active[:, column] & (
            choice_at(region.choice, points.place[:, column]) == index
        )
    for number in np.flatnonzero(kept):
        across, up = points.place[number, axes]
        x, y = left + across * (PANEL - 1), top + (1 - up) * (PANEL - 1)
        pen.ellipse(
            (x - 2, y - 2, x + 2, y + 2),
            fill=FINISHED if held.seen.ended[number] else GIVEN_UP,
            outline=(255, 255, 255),
        )


def label(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    region: Region,
    left: int,
    top: int,
    first: bool,
) -> None:
    """The ends of both ranges, and what they are of; up the side only at the first panel of a row."""
    (low, high), (under, above) = (
        number_at(parameter, np.array([0.0, 1.0])) for parameter in region.numbers
    )
    below = top + PANEL + 4
    pen.text((left, below), f"{low:.2g}", fill=0, font=font)
    pen.text(
        (left + PANEL - pen.textlength(f"{high:.2g}", font=font), below),
        f"{high:.2g}",
        fill=0,
        font=font,
    )
    name = short_name(region.numbers[0])
    pen.text((left + (PANEL - pen.textlength(name, font=font)) / 2, below), name, fill=0, font=font)
    if first:
        title = short_name(region.numbers[1])[:13]
        for text, y in (
            (f"{above:.2g}", top),
            (title, top + PANEL // 2 - 6),
            (f"{under:.2g}", top + PANEL - 12),
        ):
            pen.text((left - 6 - pen.textlength(text, font=font), y), text, fill=0, font=font)
