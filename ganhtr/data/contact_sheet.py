"""A contact sheet: one image of some lines of a source, each with its name and its transcript."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganhtr.data.raw import RawLine, RawLines

MOST = 24  # lines
COLUMNS = 2  # cells per row
CELL, GAP = 640, 16  # pixels: width of a cell, space between cells
HIGH, TYPE = 72, 14  # pixels: largest height of a line image, font size
LONGEST = 200  # characters of a text that a caption considers


def contact_sheet(lines: RawLines, most: int = MOST) -> Image.Image:
    """Draw up to `most` lines, spread evenly over the source.

    A cell shows the clean image, the degraded image if the source has one, the name and the
    transcript. If the built-in font of Pillow lacks a letter with an accent, the letter is drawn
    without it. Any other missing character becomes a `?`.
    """
    places = np.unique(np.linspace(0, len(lines) - 1, min(most, len(lines))).round().astype(int))
    write = _caption(ImageFont.load_default(TYPE))
    cells = [_cell(lines.lines[i], write) for i in places]
    rows = [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]
    width = min(COLUMNS, len(cells)) * (CELL + GAP) + GAP
    height = sum(_high(row) + GAP for row in rows) + GAP
    sheet = Image.new("L", (width, height), 255)
    top = GAP
    for row in rows:
        for k, cell in enumerate(row):
            sheet.paste(cell, (GAP + k * (CELL + GAP), top))
        top += _high(row) + GAP
    return sheet


def _high(row: list[Image.Image]) -> int:
    return max(cell.height for cell in row)


def _cell(line: RawLine, write: Callable[[str, int], Image.Image]) -> Image.Image:
    """Draw one line: its images at the same scale, one below the other, and its captions."""
    height, width = line.clean.shape
    scale = min(CELL / width, HIGH / height, 2.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    images = [image for image in (line.clean, line.degraded) if image is not None]
    parts = [Image.fromarray(image).resize(size, Image.Resampling.LANCZOS) for image in images]
    parts += [write(line.name, 110), write(line.transcript, 0)]
    cell = Image.new("L", (CELL, sum(part.height + 3 for part in parts)), 255)
    top = 0
    for part in parts:
        cell.paste(part, (0, top))
        top += part.height + 3
    return cell


def _caption(
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> Callable[[str, int], Image.Image]:
    """Return a function that draws a text, in a tone of grey, on a strip as wide as a cell.

    A text that does not fit is shortened and ends in an ellipsis.
    """
    lacking = _looks(font, "\U0010fffd")  # a code point without a glyph
    known: dict[str, bool] = {}

    def has(character: str) -> bool:
        if character not in known:
            known[character] = character.isprintable() and _looks(font, character) != lacking
        return known[character]

    def drawable(character: str) -> str:
        if has(character) or character == " ":
            return character
        decomposed = unicodedata.normalize("NFKD", character)
        parts = [c for c in decomposed if not unicodedata.combining(c)]
        return "".join(parts) if all(map(has, parts)) else "?"

    def write(text: str, tone: int) -> Image.Image:
        """Draw the text on a strip."""
        strip = Image.new("L", (CELL, TYPE + 4), 255)
        shown = "".join(map(drawable, text[:LONGEST]))
        if font.getlength(shown) > CELL or len(text) > LONGEST:
            while font.getlength(shown + "...") > CELL:
                shown = shown[:-1]
            shown += "..."
        ImageDraw.Draw(strip).text((0, 0), shown, fill=tone, font=font)
        return strip

    return write


def _looks(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, character: str) -> tuple:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
