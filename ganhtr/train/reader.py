"""Line readers: training on clean training lines, keeping, strict loading. The guide and the judge of a study are two of them.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open
from torch.nn.utils import clip_grad_norm_

from ganhtr.charset import Charset
from ganhtr.config import ReaderConfig, RecognizerConfig
from ganhtr.data.batches import LineBatches, step_indices
from ganhtr.data.pairs import Pairs
from ganhtr.data.source import cache_folder
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.text import greedy_decode, text_errors
from ganhtr.models.recognizer import CRNN, LineReader, build_reader, freeze
from ganhtr.precision import require_fp32
from ganhtr.seeds import derive_seed, generator, torch_stream

SHIPPED = Path(__file__).parent.parent / "weights"
SHORTCUT = 0.1  # weight of the shortcut head's loss, as Retsinas et al. 2022 have it
Say = Callable[[str], None]


@dataclass(frozen=True)
class ReaderWeights:
    """A trained reader as plain arrays, with what is needed to build it again and what it can do."""

    config: RecognizerConfig
    charset: str
    height: int
    width: int
    cer: float  # on the clean search-validation lines
    digest: str  # of the lines and settings it was trained with
    arrays: dict[str, np.ndarray]

    def build(self, device: torch.device) -> LineReader:
        """The reader, loaded strictly, frozen, in eval mode."""
        reader = build_reader(self.config, len(self.charset) + 1, self.height, self.width)
        reader.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}, strict=True)
        return freeze(reader).to(device, memory_format=torch.channels_last)

    def save(self, path: Path) -> None:
        """Writes a safetensors file whose metadata hold all but the arrays; it appears only when it is whole."""
        meta = {k: v for k, v in asdict(self).items() if k != "arrays"}
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".making")
        safetensors.numpy.save_file(self.arrays, half, metadata={"reader": json.dumps(meta, ensure_ascii=False)})
        half.replace(path)

    @classmethod
    def load(cls, path: Path) -> ReaderWeights:
        """Reads what `save` wrote. Raises: ValueError naming the file when it is something else."""
        try:
            with safe_open(path, framework="numpy") as held:
                meta = json.loads(held.metadata()["reader"])
                arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
            return cls(**{**meta, "config": RecognizerConfig(**meta["config"])}, arrays=arrays)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: must be a reader's safetensors file, got one that does not load ({error}). Delete it to train "
                             "the reader again") from error


def reader_digest(pairs: Pairs, config: RecognizerConfig, training: ReaderConfig) -> str:
    """What a reader is known by: the lines it is trained on and every setting of it."""
    key = json.dumps([pairs.clean_digest, pairs.charset.characters, asdict(config), asdict(training)])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def obtain_reader(role: str, pairs: Pairs, config: RecognizerConfig, training: ReaderConfig, device: torch.device,
                  say: Say) -> ReaderWeights:
    """The reader for these lines and settings: shipped, from the cache, or trained now.

    `role` (guide or judge) names it in messages and picks the shipped weights that a new one starts from.
    """
    digest = reader_digest(pairs, config, training)
    shipped = SHIPPED / f"{role}.safetensors"
    start = ReaderWeights.load(shipped) if shipped.exists() else None
    if start is not None and start.digest == digest:
        say(f"{role} reader: shipped weights, CER {start.cer:.1%} on clean search-validation lines")
        return start
    kept = cache_folder() / "readers" / f"{role}-{digest}.safetensors"
    if kept.exists():
        weights = ReaderWeights.load(kept)
        say(f"{role} reader: from the cache, CER {weights.cer:.1%} on clean search-validation lines")
        return weights
    weights = train_reader(role, pairs, config, training, device, say, start, digest)
    weights.save(kept)
    return weights


def train_reader(role: str, pairs: Pairs, config: RecognizerConfig, training: ReaderConfig, device: torch.device, say: Say,
                 start: ReaderWeights | None = None, digest: str = "") -> ReaderWeights:
    """Trains a reader with CTC on the clean training lines (one-cycle Adam); search-validation lines only measure it."""
    require_fp32()
    height, width = pairs.train.clean.shape[1:]
    with torch_stream(config.seed, "reader"):
        reader = build_reader(config, pairs.charset.classes, height, width)
    if start is not None and start.config.kind == config.kind:
        say(f"{role} reader: starts from the shipped one ({warm_start(reader, start, pairs.charset)})")
    reader.to(device, memory_format=torch.channels_last)
    lines, held = (LineBatches(part, pairs.charset, device) for part in (pairs.train, pairs.validation))
    batch_size = min(training.batch_size, len(lines))
    steps = max(1, len(lines) // batch_size)
    optimizer = torch.optim.Adam(reader.parameters(), lr=training.lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.lr, total_steps=training.epochs * steps)
    cer = float("inf")
    for epoch in range(training.epochs):
        reader.train()
        losses = []
        for step in range(epoch * steps, (epoch + 1) * steps):
            batch = lines.take(step_indices(len(lines), batch_size, step, config.seed))
            torch.manual_seed(derive_seed(config.seed, "reader dropout", step))
            frames = batch.frames(reader.stride)
            tap = reader.tap(vary(batch.clean, generator(config.seed, "reader variation", step)))
            loss = ctc(reader.read(tap), frames, batch.targets, batch.target_lengths).mean()
            if isinstance(reader, CRNN):
                loss = loss + SHORTCUT * ctc(reader.read_shortcut(tap), frames, batch.targets, batch.target_lengths).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            clip_grad_norm_(reader.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        cer = reader_cer(reader, held)
        say(f"{role} reader: epoch {epoch + 1}/{training.epochs}, CTC {torch.stack(losses).mean():.1f} nats, CER {cer:.1%} on clean "
            "search-validation lines")
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in reader.state_dict().items()}
    return ReaderWeights(config, pairs.charset.characters, height, width, cer, digest, arrays)


def vary(clean_B1HW: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The lines with their ink a little lighter or darker and shifted up or down by a sixteenth: a reader should not mind."""
    height = clean_B1HW.shape[2]
    shift = int(rng.integers(-(height // 16), height // 16 + 1))
    ink = torch.as_tensor(rng.uniform(0.75, 1.1, size=(len(clean_B1HW), 1, 1, 1)), dtype=torch.float32, device=clean_B1HW.device)
    return 1 - ((1 - clean_B1HW.roll(shift, dims=2)) * ink).clamp(max=1)


@torch.no_grad()
def reader_cer(reader: LineReader, lines: LineBatches) -> float:
    """Character error rate on the clean lines of a split, reader in eval mode."""
    reader.eval()
    readings: list[str] = []
    for first in range(0, len(lines), 32):
        batch = lines.take(np.arange(first, min(first + 32, len(lines))))
        readings += greedy_decode(reader(batch.clean)[1], batch.frames(reader.stride), lines.charset)
    return text_errors(lines.lines.transcripts, readings).cer


def warm_start(reader: LineReader, start: ReaderWeights, charset: Charset) -> str:
    """Copies every array of `start` that fits by name and shape, class rows by character. Returns in words what was taken.

    This initialises a reader that is about to be trained; a trained reader is only ever loaded strictly (`ReaderWeights.build`).
    """
    own, taken = reader.state_dict(), 0
    places = {c: i for i, c in enumerate(start.charset, start=1)}
    rows = [(0, 0)] + [(i, places[c]) for i, c in enumerate(charset.characters, start=1) if c in places]
    for name, array in start.arrays.items():
        if name not in own:
            continue
        source = torch.from_numpy(array.copy())
        if name.split(".")[0] in ("classify", "shortcut") and own[name].shape[1:] == source.shape[1:]:
            to, take = map(list, zip(*rows, strict=True))
            own[name][to] = source[take]
            taken += 1
        elif own[name].shape == source.shape:
            own[name] = source
            taken += 1
    reader.load_state_dict(own, strict=True)
    return f"{taken} of {len(own)} arrays, {len(rows) - 1} of {len(charset)} characters"
