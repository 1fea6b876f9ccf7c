"""How near a reading is to the transcription: greedy CTC decoding, character and word errors, feasibility for CTC.

Legend of shapes: B lines of a batch, N lines of a split, T frames, K classes (0 is the blank). References are never
touched: case, accents, doubled letters, punctuation and spaces at the ends all count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganhtr.charset import BLANK, Charset

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TextErrors:
    """Errors of N lines: substitutions, deletions and insertions together, and what the references are long.

    Shapes: all (N,) int64. Unit: characters, or words.

    A rate is edits / length, so it can exceed 1. Where the length is 0 it is the number of insertions itself (as if
    the length were 1): 0 when nothing was read, and never NaN.
    """

    char_edits: np.ndarray
    char_lengths: np.ndarray
    word_edits: np.ndarray
    word_lengths: np.ndarray

    @property
    def cer(self) -> float:
        """Character error rate of all lines together: summed edits / summed lengths."""
        return float(self.char_edits.sum() / max(self.char_lengths.sum(), 1))

    @property
    def wer(self) -> float:
        """Word error rate of all lines together: summed edits / summed lengths."""
        return float(self.word_edits.sum() / max(self.word_lengths.sum(), 1))

    @property
    def line_cer(self) -> np.ndarray:
        """Character error rate (N,) of each line."""
        return self.char_edits / np.maximum(self.char_lengths, 1)

    @property
    def line_wer(self) -> np.ndarray:
        """Word error rate (N,) of each line."""
        return self.word_edits / np.maximum(self.word_lengths, 1)


def text_errors(references: Sequence[str], readings: Sequence[str]) -> TextErrors:
    """Character and word errors of readings against untouched references, counted by jiwer.

    Words are what stands between white space. An empty reference's edits are the characters or words read.

    Raises: ValueError when there are not as many readings as references.
    """
    if len(references) != len(readings):
        raise ValueError(
            f"readings must be one for each reference, got {len(readings)} for {len(references)}"
        )
    return TextErrors(
        *_edits([list(text) for text in references], [list(text) for text in readings]),
        *_edits([text.split() for text in references], [text.split() for text in readings]),
    )


def _edits(references: list[list[str]], readings: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Fewest edits and reference length (N,) of each line of tokens."""
    import jiwer  # here, for half a second's import is nothing for those who never read a line

    # Jiwer's default transforms strip the ends of a text; `list` hands the tokens over as they are. Its counts are
    # sums over lines, so each line's own are taken from its alignment (a call a line takes up to half as long again).
    # It takes any callable for a transform and whatever that takes; only its type hints say less.
    output = jiwer.process_words(references, readings, list, list)  # type: ignore[arg-type]
    edits = [
        sum(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            for chunk in line
            if chunk.type != "equal"
        )
        for line in output.alignments
    ]
    return np.array(edits, dtype=np.int64), np.array(
        [len(line) for line in references], dtype=np.int64
    )


def greedy_decode(logits_BTK: Tensor, frames_B: Tensor, charset: Charset) -> list[str]:
    """The text of the best class of each frame by the rules of CTC: repeats count once, then blanks go.

    Shapes: frames_B (B,), each line's own frames; later frames are not read.
    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.2 (best path decoding).
    """
    best_BT = logits_BTK.argmax(dim=-1).cpu().numpy()
    inside_BT = np.arange(best_BT.shape[1]) < frames_B.cpu().numpy()[:, None]
    starts_BT = (
        np.diff(best_BT, axis=1, prepend=BLANK) != 0
    )  # a blank first frame starts nothing, and goes anyway
    keep_BT = inside_BT & starts_BT & (best_BT != BLANK)
    return [
        charset.decode(best[keep].tolist()) for best, keep in zip(best_BT, keep_BT, strict=True)
    ]


def infeasible(labels: Sequence[np.ndarray], frames: np.ndarray) -> np.ndarray:
    """Which lines no CTC path can spell: a label needs a frame for each character and a blank between equal neighbours.

    Shapes: labels N arrays (L,) of class indices, frames (N,); returns (N,) bool.
    """
    needed = [len(label) + int(np.count_nonzero(label[1:] == label[:-1])) for label in labels]
    return np.array(needed, dtype=np.int64) > np.asarray(frames)
