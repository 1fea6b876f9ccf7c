"""Readings of the lines of a split by a recognizer, clean and degraded, and their errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganhtr.data.batches import LineBatches, chunks
from ganhtr.data.pairs import Lines
from ganhtr.metrics.text import TextErrors, greedy_decode, text_errors
from ganhtr.models.recognizer import LineRecognizer

IMAGES = ("clean", "degraded")
_BATCH = 32  # lines


@dataclass(frozen=True)
class Readings:
    """The readings of both images of each line, with their errors."""

    lines: Lines
    texts: dict[str, list[str]]  # image -> reading of each line
    errors: dict[str, TextErrors]  # image -> errors of all lines

    @classmethod
    def of(cls, recognizer: LineRecognizer, lines: LineBatches) -> Readings:
        """Read every line of a split, clean and degraded."""
        texts = {image: read_lines(recognizer, lines, image) for image in IMAGES}
        errors = {
            image: text_errors(lines.lines.transcripts, readings)
            for image, readings in texts.items()
        }
        return cls(lines.lines, texts, errors)

    def summary(self) -> list[str]:
        """Return CER and WER with their counts, one sentence per kind of image."""
        return [
            f"{image} lines: CER {errors.cer:.1%} ({errors.char_edits.sum()} edits in "
            f"{errors.char_lengths.sum()} characters), WER {errors.wer:.1%} "
            f"({errors.word_edits.sum()} edits in {errors.word_lengths.sum()} words)"
            for image, errors in self.errors.items()
        ]


@torch.no_grad()
def read_lines(recognizer: LineRecognizer, lines: LineBatches, image: str = "clean") -> list[str]:
    """Read the `clean` or `degraded` image of each line. Sets the recognizer to eval mode."""
    recognizer.eval()
    readings: list[str] = []
    for indices in chunks(len(lines), _BATCH):
        batch = lines.take(indices)
        logits = recognizer(batch.clean if image == "clean" else batch.degraded)[1]
        readings += greedy_decode(logits, batch.frames(recognizer.stride), lines.charset)
    return readings


def recognizer_cer(recognizer: LineRecognizer, lines: LineBatches) -> float:
    """Character error rate on the clean lines of a split. Sets the recognizer to eval mode."""
    return text_errors(lines.lines.transcripts, read_lines(recognizer, lines)).cer
