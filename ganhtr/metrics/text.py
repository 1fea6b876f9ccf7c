"""Greedy CTC decoding, character and word errors, and feasibility for CTC.

References are never normalised: case, accents, doubled letters, punctuation and spaces at the ends
count.

Legend: B lines of a batch, N lines of a split, T frames, K classes (0 is the blank), L characters.
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
    """Edits (substitutions, deletions, insertions) of N lines, and the lengths of their references.

    An error rate is edits / length, so it can exceed 1. If the length is 0, it is the number of
    edits (as if the length were 1), and never NaN.
    Shapes: all (N,) int64. Units: characters, or words.
    """

    char_edits: np.ndarray
    char_lengths: np.ndarray
    word_edits: np.ndarray
    word_lengths: np.ndarray

    @property
    def cer(self) -> float:
        """Character error rate of all lines: summed edits / summed lengths."""
        return float(self.char_edits.sum() / max(self.char_lengths.sum(), 1))

    @property
    def wer(self) -> float:
        """Word error rate of all lines: summed edits / summed lengths."""
        return float(self.word_edits.sum() / max(self.word_lengths.sum(), 1))

    @property
    def line_cer(self) -> np.ndarray:
        """Character error rate (N,) of each line."""
        return self.char_edits / np.maximum(self.char_lengths, 1)


def text_errors(references: Sequence[str], readings: Sequence[str]) -> TextErrors:
    """Count character and word errors with jiwer. Words are separated by white space.

    Raises: ValueError if the numbers of readings and references differ.
    """
    if len(references) != len(readings):
        raise ValueError(
            f"there must be one reading per reference, got {len(readings)} for {len(references)}"
        )
    return TextErrors(
        *_edits([list(text) for text in references], [list(text) for text in readings]),
        *_edits([text.split() for text in references], [text.split() for text in readings]),
    )


def _edits(references: list[list[str]], readings: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Edit distance (N,) and reference length (N,) of each line of tokens."""
    import jiwer  # here, because importing it takes half a second

    # jiwer's default transforms strip the ends of a text; `list` passes the tokens unchanged, which
    # its type hints do not know. Its counts are sums over lines, so those of a line come from its
    # alignment (one call per line would take up to half as long again).
    output = jiwer.process_words(references, readings, list, list)  # type: ignore[arg-type]
    edits = [
        sum(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            for chunk in line
            if chunk.type != "equal"
        )
        for line in output.alignments
    ]
    lengths = [len(line) for line in references]
    return np.array(edits, dtype=np.int64), np.array(lengths, dtype=np.int64)


def greedy_decode(logits_BTK: Tensor, frames_B: Tensor, charset: Charset) -> list[str]:
    """Best path decoding: the best class of each frame, with repeats merged and blanks removed.

    Shapes: logits (B, T, K), frame counts (B,) -> B texts. Frames beyond a line's count are
    ignored.
    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.2.
    """
    best_BT = logits_BTK.argmax(dim=-1).cpu().numpy()
    inside_BT = np.arange(best_BT.shape[1]) < frames_B.cpu().numpy()[:, None]
    # a blank is prepended: the first frame starts a character unless it is blank itself
    starts_BT = np.diff(best_BT, axis=1, prepend=BLANK) != 0
    keep_BT = inside_BT & starts_BT & (best_BT != BLANK)
    return [
        charset.decode(best[keep].tolist()) for best, keep in zip(best_BT, keep_BT, strict=True)
    ]


def infeasible(labels: Sequence[np.ndarray], frames: np.ndarray) -> np.ndarray:
    """Mark the lines that have too few frames for their labels.

    CTC needs a frame per character, and one for the blank between equal neighbours.
    Shapes: N arrays (L,) of class indices, frame counts (N,) -> (N,) bool.
    """
    needed = [len(label) + int(np.count_nonzero(label[1:] == label[:-1])) for label in labels]
    return np.array(needed, dtype=np.int64) > np.asarray(frames)
