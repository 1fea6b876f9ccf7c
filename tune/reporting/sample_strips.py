"""Strips of sample images: one line at every sampled epoch, stacked, with the epoch at the left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganhtr.atomic import write_png
from tune.report_markup import listed
from tune.reporting.pair import ArmTrial
from tune.study.folder import StudyFolder
from tune.study.sample_name import comparisons

STRIPS = "strips"
SAMPLES = 2  # lines shown at every sampled epoch
MARGIN, GAP = 32, 4  # pixels: beside the image for the epoch, and between two epochs
MAX_EPOCHS = 24  # epochs in one strip


def thinned(images: Mapping[int, Path]) -> dict[int, Path]:
    """Return all images, or the first, the last and evenly spaced ones between them."""
    epochs = list(images)
    if len(epochs) > MAX_EPOCHS:
        places = np.linspace(0, len(epochs) - 1, MAX_EPOCHS).round().astype(int)
        epochs = [epochs[place] for place in places]
    return {epoch: images[epoch] for epoch in epochs}


def write_strip(target: Path, images: Mapping[int, Path]) -> list[int]:
    """Stack the images into one PNG and return the epochs whose image does not open.

    Nothing is written if none opens.
    """
    opened: dict[int, Image.Image] = {}
    broken = []
    for epoch, path in images.items():
        try:
            with Image.open(path, formats=["PNG"]) as file:
                opened[epoch] = file.convert("L")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            broken.append(epoch)
    if not opened:
        return broken
    width = MARGIN + max(image.width for image in opened.values())
    height = sum(image.height + GAP for image in opened.values()) - GAP
    strip = Image.new("L", (width, height), 255)
    pen, font, top = ImageDraw.Draw(strip), ImageFont.load_default(), 0
    for epoch, image in opened.items():
        strip.paste(image, (MARGIN, top))
        _, above, _, below = pen.textbbox((0, 0), str(epoch), font=font)
        middle = top + (image.height - above - below) / 2
        pen.text((4, middle), str(epoch), fill=0, font=font)
        top += image.height + GAP
    target.parent.mkdir(exist_ok=True)
    write_png(target, strip)
    return broken


def sample_section(
    folder: StudyFolder, shown_trials: Mapping[str, ArmTrial], images: bool
) -> list[str]:
    """Show one trial of each arm: its lines at the kept epoch, and strips over the epochs.

    shown_trials: name of the arm -> its trial. images: False leaves the images out.
    """
    if not images:
        return ["This report was written without images."]
    lines = []
    for name, trial in shown_trials.items():
        trial_id, samples = trial.row.id, f"trials/{trial.row.id}/samples"
        title = trial_id if name == trial_id else f"{name} ({trial_id}, seed {trial.seed_text})"
        all_images = comparisons(folder.path / samples)
        best = [path for (_, epoch), path in all_images.items() if epoch is None]
        if best:
            epoch = trial.row.best_epoch
            lines += [f"**{title}, epoch {epoch}**: degraded, restored, clean.", ""]
        for path in best:
            lines += [f"![{trial_id}, {path.stem}]({samples}/{path.name})", ""]
        for sample in range(SAMPLES):
            by_epoch = {
                epoch: path
                for (line, epoch), path in all_images.items()
                if line == sample and epoch is not None
            }
            kept = thinned(by_epoch)
            strip = f"{STRIPS}/{trial_id}_sample_{sample}.png"
            broken = write_strip(folder.path / strip, kept)
            if len(broken) < len(kept):
                links = [f"[{epoch}]({samples}/{path.name})" for epoch, path in kept.items()]
                left_out = f" ({len(by_epoch)} in total)" if len(kept) < len(by_epoch) else ""
                lines += [
                    f"**{title}, sample {sample}**: degraded, restored, clean at the epochs "
                    f"{', '.join(links)}{left_out}.",
                    "",
                    f"![{trial_id}, sample {sample}, by epoch]({strip})",
                    "",
                ]
            if broken:
                lines += [
                    f"{title}, sample {sample}: the images of epoch {listed(broken)} cannot be "
                    "opened.",
                    "",
                ]
    return lines or ["There are no images: no trial reached an epoch whose samples are kept."]
