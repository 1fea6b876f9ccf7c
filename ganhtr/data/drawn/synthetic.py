"""Built-in lines: entries of a register, written in stroke fonts and in font files of a folder.

A font draws the ink on a large sheet. `render_line` slants it, bends its base line and scales it
down to the height of the line.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from ganhtr.data.drawn.fonts import FileFont, Pen, StrokeFont, file_fonts, stroke_fonts
from ganhtr.data.drawn.register import CHARACTERS, draw_text
from ganhtr.data.pairs import NARROWEST, PAPER, SPLITS

__all__ = [
    "CHARACTERS",
    "draw_text",
    "file_fonts",
    "render_line",
    "split_of",
    "stroke_fonts",
    "synthesize",
]

MARGIN = 0.05  # space above and below the ink, relative to the line's height
LETTER = 0.56  # height of a capital before jitter, relative to the line's height
FINER = 3  # scale of the large sheet, relative to the line


def render_line(
    text: str,
    height: int,
    rng: np.random.Generator,
    font: StrokeFont | FileFont,
    width: int | None = None,
) -> np.ndarray:
    """Render one line of handwriting that contains the whole text.

    A line that would be wider than `width` is squeezed.

    Shapes: returns (height, w) uint8, dark ink on white paper.
    Raises: ValueError when the font lacks a character.
    """
    if not font.covers(text):
        raise ValueError(f"{font.name}: the font lacks a character of {text!r}. Use another font")
    cap = max(1, round(FINER * LETTER * height))
    ink = _trimmed(font.ink(text, cap, Pen.draw(rng), rng))
    ink = _trimmed(_drift(_slant(ink, rng.uniform(-0.05, 0.3)), cap, rng))
    margin = max(1, round(height * MARGIN))
    room = height - 2 * margin
    scale = min(rng.uniform(0.85, 1.08) / FINER, room / ink.height)
    sides = rng.integers(margin, 4 * margin, size=2)
    high = max(1, min(room, round(ink.height * scale)))
    wide = max(1, round(ink.width * scale * rng.uniform(0.92, 1.1)))
    if width is not None:
        sides = np.minimum(sides, width // 8)
        wide = min(wide, width - int(sides.sum()))
    small = np.asarray(ink.resize((wide, high), Image.Resampling.BOX), dtype=np.float32) / 255
    line = np.zeros((height, max(NARROWEST, wide + int(sides.sum()))), dtype=np.float32)
    top = margin + round((room - high) * rng.uniform(0.25, 0.75))
    line[top : top + high, sides[0] : sides[0] + wide] = small * _flow(wide, rng)
    return np.rint(PAPER * (1 - line)).astype(np.uint8)


def _trimmed(ink: Image.Image) -> Image.Image:
    return ink.crop(ink.getbbox() or (0, 0, 1, 1))


def _slant(ink: Image.Image, slope: float) -> Image.Image:
    reach = int(abs(slope) * ink.height) + 1
    shear = (1, slope, min(0.0, -slope * ink.height), 0, 1, 0)
    return ink.transform(
        (ink.width + reach, ink.height), Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR
    )


def _drift(ink: Image.Image, cap: int, rng: np.random.Generator) -> Image.Image:
    """Bend the base line: each column moves up or down."""
    x = np.arange(ink.width) / cap
    sway = np.sin(x * rng.uniform(0.3, 1.0) + rng.uniform(0, 2 * np.pi))
    rise = 0.01 * rng.standard_normal() * x + rng.uniform(0, 0.05) * sway
    shift = np.rint(cap * (rise - rise.min())).astype(int)
    pixels = np.pad(np.asarray(ink), ((int(shift.max()), 0), (0, 0)))
    rows = (np.arange(pixels.shape[0])[:, None] + shift) % pixels.shape[0]
    return Image.fromarray(np.take_along_axis(pixels, rows, axis=0))


def _flow(width: int, rng: np.random.Generator) -> np.ndarray:
    """Darkness of the ink along a line (width,), as when the quill runs dry and is dipped again."""
    knots = rng.uniform(0.85, 1.0) * rng.uniform(0.82, 1.0, size=max(2, width // 40))
    return np.interp(np.linspace(0, len(knots) - 1, width), np.arange(len(knots)), knots).astype(
        np.float32
    )


def split_of(text: str) -> str:
    """Return the split of a transcript, independent of the seed.

    A tenth of all transcripts belongs to validation, a tenth to test, four to the recognizers and
    four to train.
    """
    tenth = zlib.crc32(text.encode()) % 10
    return ("validation", "test")[tenth] if tenth < 2 else ("recognizer", "train")[tenth % 2]


def synthesize(
    counts: dict[str, int], height: int, width: int, seed: int, fonts_folder: Path | None = None
) -> dict[str, list[tuple[np.ndarray, str]]]:
    """Draw `counts` lines with their transcripts for each split. No transcript occurs twice.

    A line depends only on the seed and on its position in its split, so more lines do not change
    the lines before them.

    Shapes: images (height, w <= width) uint8.
    Raises: ValueError for an unknown split or a folder without fonts.
    """
    unknown = sorted(set(counts) - set(SPLITS))
    if unknown:
        raise ValueError(
            f"synthetic lines: a split must be one of {', '.join(SPLITS)}, got {', '.join(unknown)}"
        )
    fonts: tuple[StrokeFont | FileFont, ...] = stroke_fonts()
    if fonts_folder:
        fonts += file_fonts(fonts_folder)
    lines: dict[str, list[tuple[np.ndarray, str]]] = {}
    for split, count in counts.items():
        seen: set[str] = set()
        lines[split] = []
        for i in range(count):
            rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), i]))
            text = draw_text(rng)
            while text in seen or split_of(text) != split:
                text = draw_text(rng)
            seen.add(text)
            font = next(fonts[k] for k in rng.permutation(len(fonts)) if fonts[k].covers(text))
            lines[split].append((render_line(text, height, rng, font, width), text))
    return lines
