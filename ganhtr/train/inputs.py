"""What every trial of a study reads and none changes: the pairs, the two recognizers, the guide's features of the clean lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ganhtr.config import Config
from ganhtr.data.batches import LineBatches, chunks
from ganhtr.data.pairs import Pairs
from ganhtr.metrics.text import infeasible
from ganhtr.recognizers.obtain import obtain_recognizer
from ganhtr.recognizers.training import Say
from ganhtr.recognizers.weights import RecognizerWeights

WEAK_RECOGNIZER = 0.30  # CER on clean lines beyond which a recognizer cannot judge text
TAPS_AT_MOST = 2**30  # bytes; beyond it the features of clean lines are computed in each step


@dataclass(frozen=True)
class TrialInputs:
    """Plain arrays throughout, so that an object store can hand them to every trial without a copy.

    Shapes: taps (N, T, D) float32, the guide's features of the clean training lines, or None where they would not fit.
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
        return LineBatches(self.pairs.train, charset, device, self.taps), LineBatches(
            self.pairs.validation, charset, device
        )


def prepare_inputs(config: Config, pairs: Pairs, device: torch.device, say: Say) -> TrialInputs:
    """Gets both recognizers (training them where there are none) and computes the guide's features of the clean training lines."""
    guide = obtain_recognizer("guide", pairs, config.guide, config.recognizer_training, device, say)
    judge = obtain_recognizer("judge", pairs, config.judge, config.recognizer_training, device, say)
    recognizer = guide.build(device)
    lines = LineBatches(pairs.train, pairs.charset, device)
    notes = list(pairs.notes)
    if guide.digest == judge.digest:
        notes.append(
            "guide and judge are the same recognizer: the judge cannot tell when the generator has learned to please the guide"
        )
    for split, part in (("train", pairs.train), ("validation", pairs.validation)):
        frames = -(-part.widths // recognizer.stride)
        named = [
            part.names[i]
            for i in np.flatnonzero(
                infeasible([pairs.charset.target(t) for t in part.transcripts], frames)
            )
        ]
        if named:
            notes.append(
                f"{split}: {len(named)} transcriptions are longer than their line's frames allow ({', '.join(named[:5])}); "
                "they give no CTC loss and are scored as they read"
            )
    taps = None
    frames = pairs.train.clean.shape[2] // recognizer.stride
    if len(lines) * frames * recognizer.features * 4 <= TAPS_AT_MOST:
        taps = np.empty((len(lines), frames, recognizer.features), dtype=np.float32)
        with torch.no_grad():
            for indices in chunks(len(lines), 32):
                taps[indices] = recognizer.tap(lines.take(indices).clean).cpu().numpy()
    return TrialInputs(replace(pairs, notes=tuple(notes)), guide, judge, taps)
