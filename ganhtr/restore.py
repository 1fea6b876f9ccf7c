"""Restoration of images with a trained generator: lines of any size, and pages line by line.

Legend: B lines of a batch, H line height of the model, W width of a sheet: a line, padded with
white paper.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image

from ganhtr.data.pages.page_image import read_image
from ganhtr.data.pages.page_line import PageLine, cut, lay_back
from ganhtr.data.pages.pages import Page
from ganhtr.data.pairs import fit_line
from ganhtr.data.raw import SMALLEST
from ganhtr.metrics.text import greedy_decode
from ganhtr.models.recognizer import CRNN
from ganhtr.precision import require_fp32
from ganhtr.train.model_folder import Model
from ganhtr.train.view import restore

WIDEST = 32  # times data.width at data.height; anything longer is not a line and needs gigabytes
AT_ONCE = 16  # lines of data.width in a batch; fewer if they are wider


@dataclass(frozen=True)
class Restored:
    """A restored line (h, w) uint8 at its original size; the guide's readings before and after."""

    image: np.ndarray = field(repr=False)
    before: str
    after: str


@dataclass(frozen=True)
class RestoredPage:
    """A page (height, width) uint8 with its restored lines; `faults` name the unchanged ones."""

    image: np.ndarray = field(repr=False)
    lines: tuple[tuple[PageLine, Restored], ...]
    faults: tuple[str, ...]


def require_line(model: Model, image: np.ndarray) -> None:
    """Raises: ValueError if an image (h, w) is too small or too long for a line."""
    (h, w), data = image.shape, model.config.data
    if min(h, w) < SMALLEST:
        raise ValueError(
            f"a line must be at least {SMALLEST} px high and {SMALLEST} px wide, got {h} x {w}. "
            "Crop the line again"
        )
    if w * data.height > WIDEST * data.width * h:
        raise ValueError(
            f"a line must be at most {WIDEST * data.width / data.height:g} times as wide as high, "
            f"got {h} x {w}. Crop the line again"
        )


def restore_lines(model: Model, images: Sequence[np.ndarray]) -> list[Restored]:
    """Restore grey lines (h, w) uint8, each at its own size.

    A line is scaled to data.height as in training, and back afterwards (Lanczos). A line that is
    then wider than data.width is not squeezed: the generator accepts any width.
    Raises: ValueError as `require_line` does.
    """
    for image in images:
        require_line(model, image)
    degraded = [_at_height(model, image) for image in images]
    restored = _restored(model, degraded)
    before, after = _readings(model, degraded), _readings(model, restored)
    return [
        Restored(_at_size(restored[i], image.shape), before[i], after[i])
        for i, image in enumerate(images)
    ]


def restore_page(model: Model, page: Page) -> RestoredPage:
    """Cut out the lines of a page, restore them, and paste them back.

    Pixels outside the lines' polygons do not change.
    Raises: Unusable if the image cannot be read.
    """
    image = read_image(page.xml, page.image, (page.height, page.width)).copy()
    faults = [f"{fault.place}: {fault}" for fault in page.faults]
    lines, crops = [], []
    for line in page.lines:
        crop = cut(image, line)
        try:
            require_line(model, crop)
        except ValueError as fault:
            faults.append(f"{page.xml}: line {line.id}: {fault}")
            continue
        lines.append(line)
        crops.append(crop)
    restored = tuple(zip(lines, restore_lines(model, crops), strict=True))
    for line, result in restored:  # after all lines are cut, because they may overlap
        lay_back(image, line, result.image)
    return RestoredPage(image, restored, tuple(faults))


def _at_height(model: Model, image: np.ndarray) -> np.ndarray:
    """Scale a line to height H; its width keeps the proportion."""
    height = model.config.data.height
    return fit_line(image, height, max(1, round(image.shape[1] * height / image.shape[0])))[0]


def _at_size(line: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if line.shape == shape:
        return line
    return np.asarray(Image.fromarray(line).resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def _sheet_width(model: Model, width: int) -> int:
    """Width of the sheet of a line: data.width as in training, more for a wider line.

    Generator and recognizer must be able to divide it; both divisors are powers of 2.
    """
    step = max(2**model.config.generator.levels, model.recognizer.stride)
    return max(model.config.data.width, -(-width // step) * step)


@torch.no_grad()
def _restored(model: Model, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run the generator on lines of height H. Returns images uint8 of the same sizes."""
    results: dict[int, np.ndarray] = {}
    require_fp32()
    for indices, width in _batches([_sheet_width(model, line.shape[1]) for line in lines], model):
        sheets_B1HW, widths_B = _sheets(model, [lines[i] for i in indices], width)
        columns_W = torch.arange(width, device=model.device)
        inside_B11W = (columns_W < widths_B[:, None])[:, None, None, :]
        restored_B1HW = restore(model.generator, sheets_B1HW, inside_B11W)
        images_BHW = (restored_B1HW * 255).round().byte()[:, 0].cpu().numpy()
        for i, image in zip(indices, images_BHW, strict=True):
            results[i] = image[:, : lines[i].shape[1]].copy()
    return [results[i] for i in range(len(lines))]


@torch.no_grad()
def _readings(model: Model, lines: Sequence[np.ndarray]) -> list[str]:
    """The guide's readings of lines of height H.

    A transformer reads one width only, so it gets wide lines squeezed.
    """
    any_width = isinstance(model.recognizer, CRNN)
    sheet_widths = [_sheet_width(model, line.shape[1] if any_width else 1) for line in lines]
    results: dict[int, str] = {}
    for indices, width in _batches(sheet_widths, model):
        sheets_B1HW, widths_B = _sheets(model, [lines[i] for i in indices], width)
        frames_B = (widths_B + model.recognizer.stride - 1) // model.recognizer.stride
        logits_BTK = model.recognizer(sheets_B1HW)[1]
        readings = greedy_decode(logits_BTK, frames_B, model.charset)
        results |= dict(zip(indices, readings, strict=True))
    return [results[i] for i in range(len(lines))]


def _batches(sheet_widths: Sequence[int], model: Model) -> Iterator[tuple[list[int], int]]:
    """Yield batches of indices of lines with equal sheet widths, and that width.

    So the sheet of a line does not depend on the other lines.
    """
    by_width = defaultdict(list)
    for i, width in enumerate(sheet_widths):
        by_width[width].append(i)
    for width, indices in by_width.items():
        size = max(1, AT_ONCE * model.config.data.width // width)
        for first in range(0, len(indices), size):
            yield indices[first : first + size], width


def _sheets(
    model: Model, lines: Sequence[np.ndarray], width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay lines on sheets. Returns images (B, 1, H, W) float32 in [0, 1] and line widths (B,)."""
    height = model.config.data.height
    fitted, widths = zip(*[fit_line(line, height, width) for line in lines], strict=True)
    sheets_BHW = torch.from_numpy(np.stack(fitted)).to(model.device)
    return sheets_BHW[:, None].float().div_(255), torch.tensor(widths, device=model.device)
