"""A trained generator applied to images: lines of any size, and pages line by line.

Legend: B batch, H the model's line height, W width of a sheet (a line and the white paper to its right).
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
from ganhtr.train.step import restore

WIDEST = 32  # times data.width at data.height; what is longer is no line, and would take gigabytes
AT_ONCE = 16  # lines of data.width in a batch; of wider ones fewer


@dataclass(frozen=True)
class Restored:
    """A restored line (h, w) uint8, as large as the given one, and what the guide reads in the given and in the restored one."""

    image: np.ndarray = field(repr=False)
    before: str
    after: str


@dataclass(frozen=True)
class RestoredPage:
    """A page (height, width) uint8 with its restored lines in place. `faults` says which lines stay as they were, and why."""

    image: np.ndarray = field(repr=False)
    lines: tuple[tuple[PageLine, Restored], ...]
    faults: tuple[str, ...]


def require_line(model: Model, image: np.ndarray) -> None:
    """Raises: ValueError when an image (h, w) is too small or too long for a line."""
    (h, w), data = image.shape, model.config.data
    if min(h, w) < SMALLEST:
        raise ValueError(
            f"a line must be at least {SMALLEST} px high and {SMALLEST} px wide, got {h} x {w}. Cut the line anew"
        )
    if w * data.height > WIDEST * data.width * h:
        raise ValueError(
            f"a line must be at most {WIDEST * data.width / data.height:g} times as wide as high, got {h} x {w}. "
            "Cut the line anew"
        )


def restore_line(model: Model, image: np.ndarray) -> Restored:
    """One grey line (h, w) uint8, restored; see `restore_lines`."""
    return restore_lines(model, [image])[0]


def restore_lines(model: Model, images: Sequence[np.ndarray]) -> list[Restored]:
    """Grey lines (h, w) uint8, restored, each at its own size.

    A line is scaled to data.height as the training lines were and back afterwards (Lanczos). One that is then wider than data.width
    is not squeezed: the generator takes any width.
    Raises: ValueError for an image that is no line.
    """
    for image in images:
        require_line(model, image)
    degraded = [_at_height(model, image) for image in images]
    restored = _restored(model, degraded)
    read = zip(_readings(model, degraded), _readings(model, restored), strict=True)
    return [
        Restored(_at_size(line, image.shape), *readings)
        for line, image, readings in zip(restored, images, read, strict=True)
    ]


def restore_page(model: Model, page: Page) -> RestoredPage:
    """Every line of a page cut out of its image, restored and laid back; outside the lines' polygons the page stays as it is.

    Raises: Unusable when the image cannot be read.
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
    for line, held in restored:  # only now, for lines may overlap
        lay_back(image, line, held.image)
    return RestoredPage(image, restored, tuple(faults))


def _at_height(model: Model, image: np.ndarray) -> np.ndarray:
    """The line scaled to (H, own width)."""
    height = model.config.data.height
    return fit_line(image, height, max(1, round(image.shape[1] * height / image.shape[0])))[0]


def _at_size(line: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if line.shape == shape:
        return line
    return np.asarray(Image.fromarray(line).resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def _sheet_width(model: Model, own: int) -> int:
    """Pixels of a line's sheet: data.width as in training, or for a wider line the next width that generator and recognizer divide."""
    step = max(2**model.config.generator.levels, model.recognizer.stride)  # powers of 2 both
    return max(model.config.data.width, -(-own // step) * step)


@torch.no_grad()
def _restored(model: Model, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The generator's output (H, own width) uint8 for each line of that size."""
    done: dict[int, np.ndarray] = {}
    require_fp32()
    for indices, width in _batches([_sheet_width(model, line.shape[1]) for line in lines], model):
        sheets, widths = _sheets(model, [lines[i] for i in indices], width)
        inside = (torch.arange(width, device=model.device) < widths[:, None])[:, None, None, :]
        images = (restore(model.generator, sheets, inside) * 255).round().byte()[:, 0].cpu().numpy()
        done |= {
            i: image[:, : lines[i].shape[1]].copy()
            for i, image in zip(indices, images, strict=True)
        }
    return [done[i] for i in range(len(lines))]


@torch.no_grad()
def _readings(model: Model, lines: Sequence[np.ndarray]) -> list[str]:
    """What the guide reads in lines (H, own width). Only a recognizer that knows no other width gets a wide line squeezed."""
    any_width = isinstance(model.recognizer, CRNN)
    done: dict[int, str] = {}
    for indices, width in _batches(
        [_sheet_width(model, line.shape[1] if any_width else 1) for line in lines], model
    ):
        sheets, widths = _sheets(model, [lines[i] for i in indices], width)
        frames = (widths + model.recognizer.stride - 1) // model.recognizer.stride
        done |= dict(
            zip(
                indices,
                greedy_decode(model.recognizer(sheets)[1], frames, model.charset),
                strict=True,
            )
        )
    return [done[i] for i in range(len(lines))]


def _batches(sheet_widths: Sequence[int], model: Model) -> Iterator[tuple[list[int], int]]:
    """Indices of lines whose sheets are equally wide, and that width: what else is restored must not change a line's own sheet."""
    alike = defaultdict(list)
    for i, width in enumerate(sheet_widths):
        alike[width].append(i)
    for width, indices in alike.items():
        size = max(1, AT_ONCE * model.config.data.width // width)
        for first in range(0, len(indices), size):
            yield indices[first : first + size], width


def _sheets(
    model: Model, lines: Sequence[np.ndarray], width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lines as the networks see them. Shapes: (B, 1, H, width) float32 in [0, 1]; each line's own width (B,)."""
    laid, widths = zip(
        *[fit_line(line, model.config.data.height, width) for line in lines], strict=True
    )
    sheets = torch.from_numpy(np.stack(laid)).to(model.device)[:, None].float().div_(255)
    return sheets, torch.tensor(widths, device=model.device)
