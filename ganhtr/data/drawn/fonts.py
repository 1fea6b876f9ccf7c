"""Fonts that write a text as ink: built-in stroke fonts (Hershey), and font files of a folder.

Lengths without a unit are in heights of a capital letter; `cap` is that height in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from HersheyFonts import HersheyFonts
from PIL import Image, ImageDraw, ImageFont

from ganhtr.data.drawn.register import CHARACTERS

STROKE_FONTS = (
    "futural",
    "futuram",
    "cursive",
    "scripts",
    "scriptc",
    "timesr",
    "timesi",
    "timesrb",
    "timesib",
)
SMALL = 0.5  # height of a file font's small letters
ADVANCE = 0.5  # mean width of a small letter with its spacing
_NOWHERE = "\U0010fffe"  # a code point that no font may give a glyph
_HERSHEY_BASE, _HERSHEY_CAP = 9, 21  # y of the base line, height of a capital; Hershey units
# Hershey fonts have no accents, so they are drawn over a letter. An accent is a list of strokes
# with x from the letter's middle and y upward from its top.
_DOTS = (((-0.13, 0.15), (-0.11, 0.22)), ((0.11, 0.15), (0.13, 0.22)))
ACCENTS = {
    "à": ("a", (((-0.12, 0.33), (0.08, 0.12)),)),
    "é": ("e", (((-0.06, 0.12), (0.14, 0.33)),)),
    "ë": ("e", _DOTS),
    "ï": ("i", _DOTS),
    "ö": ("o", _DOTS),
    "ü": ("u", _DOTS),
}
_SERIFS = (  # top and foot of an I
    np.array([[-0.13, -1.0], [0.13, -1.0]]),
    np.array([[-0.13, 0.0], [0.13, 0.0]]),
)


@dataclass(frozen=True)
class Pen:
    """How a line is written.

    Args:
        width: of a stroke, on average.
        contrast: how much wider a stroke is across the nib than along it, relative to `width`.
        nib: angle of the nib in radians.
        spacing: added between letters.
        jitter: random variation of size and position.
    """

    width: float
    contrast: float
    nib: float
    spacing: float
    jitter: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pen:
        """Draw a random pen."""
        return cls(
            width=rng.uniform(0.06, 0.12),
            contrast=rng.uniform(0.1, 0.6),
            nib=rng.uniform(0.4, 1.2),
            spacing=rng.uniform(-0.02, 0.07),
            jitter=rng.uniform(0.005, 0.035),
        )


@dataclass(frozen=True)
class Glyph:
    """A letter as pen strokes: points (n, 2) with y downward from the base line.

    `lifted` (n,) bool marks the last point of each stroke.
    """

    advance: float
    points: np.ndarray
    lifted: np.ndarray

    @classmethod
    def of(cls, advance: float, strokes: list[np.ndarray]) -> Glyph:
        """Join strokes of shape (n, 2)."""
        points = np.concatenate([np.zeros((0, 2)), *strokes])  # a space has no strokes
        lifted = np.zeros(len(points), dtype=bool)
        lifted[np.cumsum([len(stroke) for stroke in strokes], dtype=int) - 1] = True
        return cls(advance, points, lifted)


@dataclass(frozen=True)
class StrokeFont:
    """A font of pen strokes."""

    name: str
    glyphs: dict[str, Glyph] = field(repr=False)

    def covers(self, text: str) -> bool:
        """Whether every character of `text` can be written."""
        return all(character in self.glyphs for character in text)

    def ink(self, text: str, cap: int, pen: Pen, rng: np.random.Generator) -> Image.Image:
        """Write `text` in white on black. Size and place of each letter vary a little."""
        glyphs = [self.glyphs[character] for character in text]
        size, drop, gap = pen.jitter * rng.standard_normal((3, len(glyphs)))
        ends = np.cumsum(np.array([glyph.advance for glyph in glyphs]) + pen.spacing + gap)
        starts = np.concatenate([[0], ends[:-1]])
        letter = np.repeat(np.arange(len(glyphs)), [len(glyph.points) for glyph in glyphs])
        points = np.concatenate([glyph.points for glyph in glyphs])
        points = points + pen.jitter / 7 * rng.standard_normal(points.shape)
        points *= (1 + 2 * size[letter])[:, None]
        points += np.stack([starts[letter] + 0.5, drop[letter] + 1.7], axis=1)
        sheet = Image.new("L", (int((ends.max() + 1) * cap), int(2.6 * cap)))
        lifted = np.concatenate([glyph.lifted for glyph in glyphs])
        _trace(ImageDraw.Draw(sheet), points * cap, lifted, cap, pen)
        return sheet


def _trace(
    draw: ImageDraw.ImageDraw, points: np.ndarray, lifted: np.ndarray, cap: int, pen: Pen
) -> None:
    """Draw strokes through points (n, 2) in pixels, thicker across the nib, with round joints."""
    run = np.diff(points, axis=0)
    across = np.abs(np.sin(np.arctan2(run[:, 1], run[:, 0]) + pen.nib))
    widths = cap * pen.width * (1 + pen.contrast * (2 * across - 1))
    corners, reaches = points.tolist(), (widths / 2).tolist()
    # A joint is as wide as the segment before it; the first point takes that of the first segment.
    for (x, y), r in zip(corners, reaches[:1] + reaches, strict=False):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    # Where joints are close to each other they overlap, and no line is needed between them.
    apart = np.hypot(run[:, 0], run[:, 1]) > widths / 2
    for k in np.flatnonzero(~lifted[:-1] & apart).tolist():
        draw.line((*corners[k], *corners[k + 1]), fill=255, width=round(2 * reaches[k]))


@dataclass(frozen=True)
class FileFont:
    """A font of a file. `size` is its nominal size, `stem` the width of its strokes."""

    name: str
    path: Path
    size: float
    stem: float
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def covers(self, text: str) -> bool:
        """Whether the font has a glyph for every character.

        A glyph counts if it has ink and does not look like the glyph for missing characters.
        """
        face = _face(self.path, 64)
        for character in set(text) - self._known.keys():
            picture = _picture(face, character)
            visible = any(picture[1]) and picture != _picture(face, _NOWHERE)
            self._known[character] = character == " " or visible
        return all(self._known[character] for character in text)

    def ink(self, text: str, cap: int, pen: Pen, rng: np.random.Generator) -> Image.Image:
        """Write `text` in white on black. Thin strokes are thickened to the width of the pen."""
        face = _face(self.path, round(self.size * cap))
        # At least 1, because an outline thinner than a pixel, such as the hyphen of a script font,
        # leaves no ink.
        stroke = max(1, round(cap * (pen.width - self.stem) / 2))
        left, top, right, bottom = map(int, face.getbbox(text, stroke_width=stroke))
        edge = cap // 2  # ink may reach beyond the box that the font declares
        sheet = Image.new("L", (right - left + 2 * edge, bottom - top + 2 * edge))
        corner = (edge - left, edge - top)
        ImageDraw.Draw(sheet).text(corner, text, fill=255, font=face, stroke_width=stroke)
        return sheet


@cache
def _face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _picture(face: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(character, stroke_width=1)
    return mask.size, bytes(mask)


@cache
def stroke_fonts() -> tuple[StrokeFont, ...]:
    """Return the built-in fonts. Each has all CHARACTERS."""
    return tuple(_stroke_font(name) for name in STROKE_FONTS)


def _stroke_font(name: str) -> StrokeFont:
    hershey = HersheyFonts()
    hershey.load_default_font(name)
    originals = hershey.all_glyphs
    # All fonts get the same mean width, so that the length of a line does not depend on its font.
    letters = "abcdefghijklmnopqrstuvwxyz"
    squeeze = ADVANCE / np.mean([originals[letter].char_width for letter in letters])
    glyphs = {}
    for character in CHARACTERS:
        glyph = originals[ACCENTS[character][0] if character in ACCENTS else character]
        origin, scale = (glyph.left_offset, _HERSHEY_BASE), (squeeze, 1 / _HERSHEY_CAP)
        strokes = [(np.array(stroke, dtype=float) - origin) * scale for stroke in glyph.strokes]
        if character in ACCENTS:
            strokes = _accented(character, strokes)
        elif character == "I" and glyph.strokes == originals["l"].strokes:
            # Serifs, because nobody could tell the two letters apart.
            strokes += [serif + (strokes[0][0, 0], 0) for serif in _SERIFS]
        glyphs[character] = Glyph.of(glyph.char_width * squeeze, strokes)
    return StrokeFont(name, glyphs)


def _accented(character: str, strokes: list[np.ndarray]) -> list[np.ndarray]:
    if character == "ï":  # without the dot of the i, the only stroke above the small letters
        strokes = [stroke for stroke in strokes if stroke[:, 1].max() > -0.3]
    body = np.concatenate(strokes)
    middle, top = (body[:, 0].min() + body[:, 0].max()) / 2, body[:, 1].min()
    marks = ACCENTS[character][1]
    return strokes + [np.array(mark) * (1, -1) + (middle, top) for mark in marks]


def file_fonts(folder: Path) -> tuple[FileFont, ...]:
    """Load every .ttf and .otf file of a folder, in the order of their names.

    Raises: ValueError that names the folder if it has no font, or the file that cannot be loaded.
    """
    paths = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in (".ttf", ".otf"))
    if not paths:
        raise ValueError(
            f"{folder}: no .ttf or .otf file found. Add a font or choose another folder"
        )
    return tuple(_file_font(path) for path in paths)


def _file_font(path: Path) -> FileFont:
    try:
        face = _face(path, 200)
    except OSError as error:
        raise ValueError(
            f"{path}: FreeType cannot read the font: {error}. Remove the file"
        ) from error
    # Fonts are scaled by their small letters. By the capitals, a font with swashes would get tiny
    # small letters.
    _, top, _, bottom = face.getbbox("x")
    size = SMALL * 200 / max(1, bottom - top)
    letter = face.getmask("i")
    stem = sum(letter) / 255 / max(1, letter.size[1]) * size / 200
    return FileFont(path.stem, path, size, stem)
