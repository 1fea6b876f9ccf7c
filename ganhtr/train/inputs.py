"""The inputs that all trials of a study share: lines, recognizers and cached features."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ganhtr.config import Config
from ganhtr.data.batches import LineBatches, chunks
from ganhtr.data.pairs import Pairs
from ganhtr.metrics.text import infeasible
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.recognizers.obtain import obtain_recognizer
from ganhtr.recognizers.training import Say
from ganhtr.recognizers.weights import RecognizerWeights

WEAK_RECOGNIZER = 0.30  # CER on clean lines above which a recognizer cannot judge text
TAPS_SHARE = 0.1  # of the machine's memory; larger features are computed in each step instead


@dataclass(frozen=True)
class TrialInputs:
    """Lines, recognizers and cached features, as arrays that an object store shares without a copy.

    Shapes: taps (N, T, D) float32, the guide's features of the clean training lines, or None if
    they are too large.
    """

    pairs: Pairs
    guide: RecognizerWeights
    judge: RecognizerWeights
    taps: np.ndarray | None

    @property
    def weak_recognizer(self) -> bool:
        """Whether guide or judge reads even clean lines too badly to judge text."""
        return max(self.guide.cer, self.judge.cer) > WEAK_RECOGNIZER

    def batches(self, device: torch.device) -> tuple[LineBatches, LineBatches]:
        """The training and the search-validation lines on a device."""
        charset = self.pairs.charset
        train = LineBatches(self.pairs.train, charset, device, self.taps)
        return train, LineBatches(self.pairs.validation, charset, device)


def prepare_inputs(config: Config, pairs: Pairs, device: torch.device, say: Say) -> TrialInputs:
    """Obtain both recognizers, trained if necessary, and compute the features of the clean lines.

    Raises: ValueError as `obtain_recognizer` does.
    """
    guide = obtain_recognizer("guide", pairs, config.guide, config.recognizer_training, device, say)
    judge = obtain_recognizer("judge", pairs, config.judge, config.recognizer_training, device, say)
    recognizer = guide.build(device)
    notes = list(pairs.notes)
    if guide.digest == judge.digest:
        notes.append(
            "guide and judge are the same recognizer, so the judge cannot detect a generator that "
            "overfits the guide"
        )
    for split, lines in (("train", pairs.train), ("validation", pairs.validation)):
        targets = [pairs.charset.target(transcript) for transcript in lines.transcripts]
        too_few = infeasible(targets, -(-lines.widths // recognizer.stride))
        names = [lines.names[i] for i in np.flatnonzero(too_few)]
        if names:
            notes.append(
                f"{split}: {len(names)} transcriptions need more frames than their lines have "
                f"({', '.join(names[:5])}); these lines give no CTC loss, but their readings are "
                "scored"
            )
    taps = _clean_taps(LineBatches(pairs.train, pairs.charset, device), recognizer, notes)
    return TrialInputs(replace(pairs, notes=tuple(notes)), guide, judge, taps)


def _memory() -> int:
    """Bytes of main memory. Not those free now, or the last bits of a run would depend on them."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError):  # the limit of a container
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit.isdigit():
            memory = min(memory, int(limit))
    return memory


def _clean_taps(
    lines: LineBatches, recognizer: LineRecognizer, notes: list[str]
) -> np.ndarray | None:
    """The tap (N, T, D) of all clean lines; None, with a note, if it takes too much memory."""
    frames = lines.lines.clean.shape[2] // recognizer.stride
    size, memory = len(lines) * frames * recognizer.features * 4, _memory()
    if size > TAPS_SHARE * memory:
        notes.append(
            f"the guide's features of the clean lines take {size / 2**30:.1f} GiB, more than a "
            f"tenth of the memory ({memory / 2**30:.1f} GiB), so each step computes them again"
        )
        return None
    taps = np.empty((len(lines), frames, recognizer.features), dtype=np.float32)
    with torch.no_grad():
        for indices in chunks(len(lines), 32):
            taps[indices] = recognizer.tap(lines.take(indices).clean).cpu().numpy()
    return taps
