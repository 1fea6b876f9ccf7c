"""The arrays that a trial trains on: degraded and clean lines with their transcriptions.

Legend: N lines, H height, W width. Images are uint8, 0 black to 255 white, and white to the right
of a line's own width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset

SPLITS = ("train", "validation", "test", "recognizer")
PAPER = 255
NARROWEST = 16  # pixels; narrower lines get more paper, so that the window of every metric fits


@dataclass(frozen=True)
class Lines:
    """The lines of one split.

    Shapes: clean, degraded (N, H, W) uint8; widths (N,) int32, each line's own width in pixels.
    `transcripts` are the unchanged references; `names` and `groups` say where a line comes from.
    Of the lines that only recognizers are trained on, `degraded` is `clean`.
    """

    clean: np.ndarray
    degraded: np.ndarray
    widths: np.ndarray
    transcripts: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.transcripts)

    def spaced(self, count: int) -> Lines:
        """Return `count` lines evenly spaced over the split; all if it has no more, or for 0."""
        if not 0 < count < len(self):
            return self
        chosen = np.linspace(0, len(self) - 1, count).round().astype(int)
        arrays = (self.clean[chosen], self.degraded[chosen], self.widths[chosen])
        texts = (
            tuple(rows[i] for i in chosen) for rows in (self.transcripts, self.names, self.groups)
        )
        return Lines(*arrays, *texts)


@dataclass(frozen=True)
class Pairs:
    """The data of a search: train and search-validation lines, never the test lines.

    `recognizer_lines` loads the lines that only guide and judge are trained on, so that they do not
    know the lines that the generator is trained on. Without it they are trained on `train`.
    """

    train: Lines
    validation: Lines
    charset: Charset
    name: str
    digest: str  # of the content and of every setting that affects the arrays
    clean_digest: str  # the same without the degradation: the data that a recognizer trains on
    notes: tuple[str, ...] = ()  # on skipped lines, unknown characters and squeezed lines
    recognizer_lines: Callable[[], Lines] | None = None


def _scaled_width(shape: tuple[int, ...], height: int, width: int) -> int:
    return max(1, min(width, round(shape[1] * height / shape[0])))


def fitted_width(shape: tuple[int, ...], height: int, width: int) -> int:
    """Return the line width that `fit_line` gives an image (h, w), without fitting it."""
    return max(NARROWEST, _scaled_width(shape, height, width))


def fit_line(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int]:
    """Scale a grey line (h, w) uint8 to `height` and lay it on white paper (height, width).

    A line that is then wider than `width` is squeezed. Returns the image and the line's own
    width, which is at least NARROWEST.
    """
    from PIL import Image

    scaled = _scaled_width(image.shape, height, width)
    if image.shape != (height, scaled):
        smaller = image.shape[0] >= height
        method = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
        image = np.asarray(Image.fromarray(image).resize((scaled, height), method))
    sheet = np.full((height, width), PAPER, dtype=np.uint8)
    sheet[:, :scaled] = image
    return sheet, fitted_width(image.shape, height, width)


def save_lines(path: Path, lines: Lines) -> None:
    """Write a split as .npz without pickles."""
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
    """Read a file written by `save_lines`. Raises: OSError, ValueError."""
    with np.load(path, allow_pickle=False) as file:
        words = {key: tuple(map(str, file[key])) for key in ("transcripts", "names", "groups")}
        return Lines(file["clean"], file["degraded"], file["widths"], **words)
