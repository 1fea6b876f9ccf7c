"""What every trial of a study reads and none changes: the pairs, the two readers, the guide's features of the clean lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ganhtr.config import Config
from ganhtr.data.batches import LineBatches, chunks
from ganhtr.data.pairs import Pairs
from ganhtr.metrics.text import infeasible
from ganhtr.recognizers.obtain import obtain_reader
from ganhtr.recognizers.training import Say
from ganhtr.recognizers.weights import ReaderWeights

WEAK_READER = 0.30  # CER on clean lines beyond which a reader cannot judge text
TAPS_AT_MOST = 2**30  # bytes; beyond it the features of clean lines are computed in each step


@dataclass(frozen=True)
class TrialInputs:
    """Plain arrays throughout, so that an object store can hand them to every trial without a copy.

    Shapes: taps (N, T, D) float32, the guide's features of the clean training lines, or None where they would not fit.
    """

    pairs: Pairs
    guide: ReaderWeights
    judge: ReaderWeights
    taps: np.ndarray | None

    @property
    def weak_reader(self) -> bool:
        """Whether guide or judge reads even clean lines too badly to judge text."""
        return max(self.guide.cer, self.judge.cer) > WEAK_READER

    def batches(self, device: torch.device) -> tuple[LineBatches, LineBatches]:
        """The training and the search-validation lines on a device."""
        charset = self.pairs.charset
        return LineBatches(self.pairs.train, charset, device, self.taps), LineBatches(self.pairs.validation, charset, device)


def prepare_inputs(config: Config, pairs: Pairs, device: torch.device, say: Say) -> TrialInputs:
    """Gets both readers (training them where there are none) and computes the guide's features of the clean training lines."""
    guide = obtain_reader("guide", pairs, config.recognizer, config.reader, device, say)
    judge = obtain_reader("judge", pairs, config.judge, config.reader, device, say)
    reader = guide.build(device)
    lines = LineBatches(pairs.train, pairs.charset, device)
    notes = list(pairs.notes)
    if guide.digest == judge.digest:
        notes.append("guide and judge are the same reader: the judge cannot tell when the generator has learned to please the guide")
    for split, part in (("train", pairs.train), ("validation", pairs.validation)):
        frames = -(-part.widths // reader.stride)
        named = [part.names[i] for i in np.flatnonzero(infeasible([pairs.charset.target(t) for t in part.transcripts], frames))]
        if named:
            notes.append(f"{split}: {len(named)} transcriptions are longer than their line's frames allow ({', '.join(named[:5])}); "
                         "they give no CTC loss and are scored as they read")
    taps = None
    frames = pairs.train.clean.shape[2] // reader.stride
    if len(lines) * frames * reader.features * 4 <= TAPS_AT_MOST:
        taps = np.empty((len(lines), frames, reader.features), dtype=np.float32)
        with torch.no_grad():
            for indices in chunks(len(lines), 32):
                taps[indices] = reader.tap(lines.take(indices).clean).cpu().numpy()
    return TrialInputs(replace(pairs, notes=tuple(notes)), guide, judge, taps)
