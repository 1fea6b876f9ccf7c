"""Fonts: what turns a text into ink. Stroke fonts are built in (Hershey); font files come from a folder.

Lengths without a unit are in heights of a capital; `cap` is that height in pixels.
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
ADVANCE = 0.5  # of a capital's height: what a small letter takes in width, on average
_NOWHERE = "\U0010fffe"  # a code point that no font may give a glyph
_HERSHEY_BASE, _HERSHEY_CAP = (
    9,
    21,
)  # y of the base line, height of a capital, in units of the Hershey fonts
# Hershey fonts have no accents: strokes over a letter, x from its middle, y up from its top, in heights of a capital.
_DOTS = (((-0.13, 0.15), (-0.11, 0.22)), ((0.11, 0.15), (0.13, 0.22)))
ACCENTS = {
    "à": ("a", (((-0.12, 0.33), (0.08, 0.12)),)),
    "é": ("e", (((-0.06, 0.12), (0.14, 0.33)),)),
    "ë": ("e", _DOTS),
    "ï": ("i", _DOTS),
    "ö": ("o", _DOTS),
    "ü": ("u", _DOTS),
}
_SERIFS = (
    np.array([[-0.13, -1.0], [0.13, -1.0]]),
    np.array([[-0.13, 0.0], [0.13, 0.0]]),
)  # top and foot of an I


@dataclass(frozen=True)
class Pen:
    """How a line is written: width of a stroke, its contrast across the nib (an angle in radians), spacing, unrest."""

    width: float
    contrast: float
    nib: float
    spacing: float
    jitter: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pen:
        """A pen at random."""
        return cls(
            rng.uniform(0.06, 0.12),
            rng.uniform(0.1, 0.6),
            rng.uniform(0.4, 1.2),
            rng.uniform(-0.02, 0.07),
            rng.uniform(0.005, 0.035),
        )


@dataclass(frozen=True)
class Glyph:
    """A letter of pen strokes: points (n, 2), y downward from the base line; lifted (n,) says where a stroke ends."""

    advance: float
    points: np.ndarray
    lifted: np.ndarray

    @classmethod
    def of(cls, advance: float, strokes: list[np.ndarray]) -> Glyph:
        """The strokes (n, 2) one after another."""
        points = np.concatenate([np.zeros((0, 2)), *strokes])  # a space has none
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
        """`text` written with `pen`, white ink on black; each letter a little off in size and place."""
        glyphs = [self.glyphs[character] for character in text]
        size, drop, gap = pen.jitter * rng.standard_normal((3, len(glyphs)))
        ends = np.cumsum(np.array([glyph.advance for glyph in glyphs]) + pen.spacing + gap)
        starts = np.concatenate([[0], ends[:-1]])
        letter = np.repeat(np.arange(len(glyphs)), [len(glyph.points) for glyph in glyphs])
        points = np.concatenate([glyph.points for glyph in glyphs])
        points = (points + pen.jitter / 7 * rng.standard_normal(points.shape)) * (
            1 + 2 * size[letter]
        )[:, None]
        points += np.stack([starts[letter] + 0.5, drop[letter] + 1.7], axis=1)
        sheet = Image.new("L", (int((ends.max() + 1) * cap), int(2.6 * cap)))
        _trace(
            ImageDraw.Draw(sheet),
            points * cap,
            np.concatenate([glyph.lifted for glyph in glyphs]),
            cap,
            pen,
        )
        return sheet


def _trace(
    draw: ImageDraw.ImageDraw, points: np.ndarray, lifted: np.ndarray, cap: int, pen: Pen
) -> None:
    """Strokes through points (n, 2) in pixels, thicker across the nib, with round joints."""
    run = np.diff(points, axis=0)
    across = np.abs(np.sin(np.arctan2(run[:, 1], run[:, 0]) + pen.nib))
    widths = cap * pen.width * (1 + pen.contrast * (2 * across - 1))
    corners, reaches = points.tolist(), (widths / 2).tolist()
    for (x, y), r in zip(corners, reaches[:1] + reaches, strict=False):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    apart = (
        np.hypot(run[:, 0], run[:, 1]) > widths / 2
    )  # nearer joints close the stroke by themselves
    for k in np.flatnonzero(~lifted[:-1] & apart).tolist():
        draw.line((*corners[k], *corners[k + 1]), fill=255, width=round(2 * reaches[k]))


@dataclass(frozen=True)
class FileFont:
    """A font of a file. size is its nominal size, stem the width of its strokes."""

    name: str
    path: Path
    size: float
    stem: float
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def covers(self, text: str) -> bool:
        """Whether the font has a glyph of every character: one with ink that is not the picture of a missing glyph."""
        face = _face(self.path, 64)
        for character in set(text) - self._known.keys():
            picture = _picture(face, character)
            self._known[character] = character == " " or (
                any(picture[1]) and picture != _picture(face, _NOWHERE)
            )
        return all(self._known[character] for character in text)

    def ink(self, text: str, cap: int, pen: Pen, rng: np.random.Generator) -> Image.Image:
        """`text` in this font, white ink on black; hair lines are thickened to the pen's width."""
        # At least 1: a filled outline thinner than a pixel, as of a hyphen in a script font, leaves no ink at all.
        face, stroke = (
            _face(self.path, round(self.size * cap)),
            max(1, round(cap * (pen.width - self.stem) / 2)),
        )
        left, top, right, bottom = map(int, face.getbbox(text, stroke_width=stroke))
        edge = cap // 2  # what reaches beyond the box that the font declares
        sheet = Image.new("L", (right - left + 2 * edge, bottom - top + 2 * edge))
        ImageDraw.Draw(sheet).text(
            (edge - left, edge - top), text, fill=255, font=face, stroke_width=stroke
        )
        return sheet


@cache
def _face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _picture(face: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(character, stroke_width=1)
    return mask.size, bytes(mask)


@cache
def stroke_fonts() -> tuple[StrokeFont, ...]:
    """The built-in fonts, which write every one of CHARACTERS."""
    return tuple(_stroke_font(name) for name in STROKE_FONTS)


def _stroke_font(name: str) -> StrokeFont:
    hershey = HersheyFonts()
    hershey.load_default_font(name)
    held = hershey.all_glyphs
    # Fonts are spaced alike, so that a line's length does not hang on its font.
    squeeze = ADVANCE / np.mean(
        [held[character].char_width for character in "abcdefghijklmnopqrstuvwxyz"]
    )
    glyphs = {}
    for character in CHARACTERS:
        glyph = held[ACCENTS[character][0] if character in ACCENTS else character]
        strokes = [np.array(stroke, dtype=float) for stroke in glyph.strokes]
        strokes = [
            (s - (glyph.left_offset, _HERSHEY_BASE)) * (squeeze, 1 / _HERSHEY_CAP) for s in strokes
        ]
        if character in ACCENTS:
            strokes = _accented(character, strokes)
        elif (
            character == "I" and glyph.strokes == held["l"].strokes
        ):  # else nobody could tell them apart
            strokes += [serif + (strokes[0][0, 0], 0) for serif in _SERIFS]
        glyphs[character] = Glyph.of(glyph.char_width * squeeze, strokes)
    return StrokeFont(name, glyphs)


def _accented(character: str, strokes: list[np.ndarray]) -> list[np.ndarray]:
    if (
        character == "ï"
    ):  # its dots take the place of the i's own, the part that stays above the small letters
        strokes = [stroke for stroke in strokes if stroke[:, 1].max() > -0.3]
    body = np.concatenate(strokes)
    middle, top = (body[:, 0].min() + body[:, 0].max()) / 2, body[:, 1].min()
    return strokes + [np.array(mark) * (1, -1) + (middle, top) for mark in ACCENTS[character][1]]


def file_fonts(folder: Path) -> tuple[FileFont, ...]:
    """Every .ttf and .otf of a folder, in the order of their names.

    Raises: ValueError naming the folder when it holds none, or the file that does not load.
    """
    paths = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in (".ttf", ".otf"))
    if not paths:
        raise ValueError(
            f"{folder}: a folder of fonts must hold at least one .ttf or .otf file, got none"
        )
    return tuple(_file_font(path) for path in paths)


def _file_font(path: Path) -> FileFont:
    try:
        face = _face(path, 200)
    except OSError as error:
        raise ValueError(
            f"{path}: a font must be a file that FreeType reads, got: {error}. Remove the file"
        ) from error
    # Small letters of one size: swashed capitals would otherwise leave nothing of the rest.
    _, top, _, bottom = face.getbbox("x")
    size = SMALL * 200 / max(1, bottom - top)
    letter = face.getmask("i")
    stem = sum(letter) / 255 / max(1, letter.size[1]) * size / 200
    return FileFont(path.stem, path, size, stem)
