"""What a recognizer makes of the lines of a split, clean and degraded, measured against their transcriptions."""

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
    texts: dict[str, list[str]]  # by the name of the image
    errors: dict[str, TextErrors]

    @classmethod
    def of(cls, recognizer: LineRecognizer, lines: LineBatches) -> Readings:
        """Reads every line of a split, clean and degraded, each once."""
        texts = {image: read_lines(recognizer, lines, image) for image in IMAGES}
        return cls(
            lines.lines,
            texts,
            {image: text_errors(lines.lines.transcripts, read) for image, read in texts.items()},
        )

    def words(self) -> list[str]:
        """The rates with their counts, a text a kind of image."""
        return [
            f"{image} lines: CER {held.cer:.1%} ({held.char_edits.sum()} edits to {held.char_lengths.sum()} characters), "
            f"WER {held.wer:.1%} ({held.word_edits.sum()} edits to {held.word_lengths.sum()} words)"
            for image, held in self.errors.items()
        ]


@torch.no_grad()
def read_lines(recognizer: LineRecognizer, lines: LineBatches, image: str = "clean") -> list[str]:
    """The reading of each line's clean or degraded image, recognizer in eval mode."""
    recognizer.eval()
    readings: list[str] = []
    for indices in chunks(len(lines), _BATCH):
        batch = lines.take(indices)
        logits = recognizer(batch.clean if image == "clean" else batch.degraded)[1]
        readings += greedy_decode(logits, batch.frames(recognizer.stride), lines.charset)
    return readings


def recognizer_cer(recognizer: LineRecognizer, lines: LineBatches) -> float:
    """Character error rate on the clean lines of a split, recognizer in eval mode."""
    return text_errors(lines.lines.transcripts, read_lines(recognizer, lines)).cer
