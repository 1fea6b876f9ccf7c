"""The arrays that a trial trains on: degraded and clean lines with their transcriptions, split once and for all.

Legend: N lines, H height, W width. Images are uint8, 0 black to 255 white; right of a line's own width lies white paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset

SPLITS = ("train", "validation", "test")
PAPER = 255
NARROWEST = 16  # pixels; a narrower line is widened with paper, so that every metric's window fits


@dataclass(frozen=True)
class Lines:
    """One split.

    Shapes: clean, degraded (N, H, W) uint8; widths (N,) int32, each line's own width in pixels.
    transcripts are the untouched references; names and groups say where a line came from.
    """

    clean: np.ndarray
    degraded: np.ndarray
    widths: np.ndarray
    transcripts: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.transcripts)


@dataclass(frozen=True)
class Pairs:
    """What a search may see: train and search-validation lines. The test split is a file of its own and is not opened here."""

    train: Lines
    validation: Lines
    charset: Charset
    name: str
    digest: str  # of the content and every setting that shaped it
    clean_digest: str  # the same without the degradation: what a recognizer trains on
    notes: tuple[
        str, ...
    ] = ()  # what was counted while reading: skipped lines, unknown characters, squeezed lines


def _scaled_width(shape: tuple[int, ...], height: int, width: int) -> int:
    return max(1, min(width, round(shape[1] * height / shape[0])))


def fitted_width(shape: tuple[int, ...], height: int, width: int) -> int:
    """The own width that `fit_line` gives an image (h, w), without fitting it."""
    return max(NARROWEST, _scaled_width(shape, height, width))


def fit_line(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int]:
    """Lays a grey line (h, w) uint8 on white paper (height, width), scaled to the height; one that is then wider than `width` is squeezed.

    Returns the image and the line's own width, which is at least NARROWEST.
    """
    from PIL import Image

    own = _scaled_width(image.shape, height, width)
    if image.shape != (height, own):
        method = Image.Resampling.LANCZOS if image.shape[0] >= height else Image.Resampling.BICUBIC
        image = np.asarray(Image.fromarray(image).resize((own, height), method))
    sheet = np.full((height, width), PAPER, dtype=np.uint8)
    sheet[:, :own] = image
    return sheet, fitted_width(image.shape, height, width)


def save_lines(path: Path, lines: Lines) -> None:
    """Writes a split as .npz (no pickles inside)."""
    np.savez(
        path,
        clean=lines.clean,
        degraded=lines.degraded,
        widths=lines.widths,
        transcripts=np.array(lines.transcripts, dtype=str),
        names=np.array(lines.names, dtype=str),
        groups=np.array(lines.groups, dtype=str),
    )


def load_lines(path: Path) -> Lines:
    """Reads what `save_lines` wrote. Raises: OSError, ValueError."""
    with np.load(path, allow_pickle=False) as held:
        words = {key: tuple(map(str, held[key])) for key in ("transcripts", "names", "groups")}
        return Lines(held["clean"], held["degraded"], held["widths"], **words)
