"""Strips of a trial's samples: one line at every sampled epoch, stacked, the epoch's number at the left."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganhtr.atomic import write_atomically

MARGIN, GAP = 32, 4  # pixels: for the number, between two epochs
TALLEST = 24  # epochs in one strip; of more, some are left out evenly


def sampled_epochs(samples: Path, sample: int) -> dict[int, Path]:
    """The comparison of one line at every epoch at which it was kept (degraded, restored and clean side by side)."""
    found = {
        int(match[1]): path
        for path in samples.glob(f"comparison_epoch_*_sample_{sample}.png")
        if (match := re.fullmatch(r"comparison_epoch_(\d+)_sample_\d+\.png", path.name))
    }
    return dict(sorted(found.items()))


def thinned(images: Mapping[int, Path]) -> dict[int, Path]:
    """All of them, or the first, the last and so many between as one strip takes."""
    epochs = list(images)
    if len(epochs) > TALLEST:
        epochs = [epochs[i] for i in np.linspace(0, len(epochs) - 1, TALLEST).round().astype(int)]
    return {epoch: images[epoch] for epoch in epochs}


def write_strip(target: Path, images: Mapping[int, Path]) -> list[int]:
    """Stacks the images into one PNG. Returns the epochs whose image does not open and is left out; writes nothing if none does."""
    opened: dict[int, Image.Image] = {}
    lost = []
    for epoch, path in images.items():
        try:
            with Image.open(path, formats=["PNG"]) as file:
                opened[epoch] = file.convert("L")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            lost.append(epoch)
    if opened:
        width = MARGIN + max(image.width for image in opened.values())
        strip = Image.new(
            "L", (width, sum(image.height + GAP for image in opened.values()) - GAP), 255
        )
        pen, font, top = ImageDraw.Draw(strip), ImageFont.load_default(), 0
        for epoch, image in opened.items():
            strip.paste(image, (MARGIN, top))
            _, above, _, below = pen.textbbox((0, 0), str(epoch), font=font)
            pen.text((4, top + (image.height - above - below) / 2), str(epoch), fill=0, font=font)
            top += image.height + GAP
        buffer = io.BytesIO()
        strip.save(buffer, "PNG")
        target.parent.mkdir(exist_ok=True)
        write_atomically(target, buffer.getvalue())
    return lost
