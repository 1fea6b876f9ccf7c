"""From a name or a path to pairs: reads or makes the lines, splits them, degrades them, and keeps the arrays in a cache.

The cache is keyed by content (the files' bytes, or the recipe of the built-in lines) and by every setting that shapes the arrays.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset
from ganhtr.config import DataConfig
from ganhtr.data import synthetic
from ganhtr.data.degrade import degrade
from ganhtr.data.folder import read_folder
from ganhtr.data.pairs import SPLITS, Lines, Pairs, fit_line, load_lines, save_lines
from ganhtr.data.splits import split_groups
from ganhtr.seeds import generator

BUILTIN = "builtin"
RECIPE = 1  # raise it whenever the built-in clean lines change, so that caches and shipped readers are not mixed up
DAMAGE = 1  # raise it whenever the degradations change
BUILTIN_HELD = {"validation": 64, "test": 400}

Drawn = list[tuple[np.ndarray, str, str, str]]  # image (h, w) uint8, transcription, name, group


def cache_folder() -> Path:
    """Where made and derived files are kept: GANHTR_CACHE, else ~/.cache/ganhtr-tune. Raises: ValueError when it cannot be written."""
    folder = Path(os.environ.get("GANHTR_CACHE") or Path.home() / ".cache" / "ganhtr-tune")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder}: the cache must be a writable folder, got: {error.strerror}. Set GANHTR_CACHE to another") from error
    return folder


def load_pairs(source: str, data: DataConfig, charset_file: Path | None = None, fonts: Path | None = None) -> Pairs:
    """The train and search-validation pairs of `source`: BUILTIN, or a folder of line images with lines.tsv.

    The test split is made and cached along with them and stays closed here.
    Raises: ValueError naming the file and the fault.
    """
    folder = _prepared(source, data, charset_file, fonts)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Pairs(load_lines(folder / "train.npz"), load_lines(folder / "validation.npz"), Charset(meta["charset"]),
                 source if source == BUILTIN else str(Path(source).resolve()), folder.name, meta["clean_digest"], tuple(meta["notes"]))


def _prepared(source: str, data: DataConfig, charset_file: Path | None, fonts: Path | None) -> Path:
    """The cache folder of these pairs, made now if it is not there."""
    if source != BUILTIN and fonts is not None:
        raise ValueError(f"--fonts must go with the built-in data, got it with --data {source}. Leave one of them out")
    clean = hashlib.sha256(json.dumps([RECIPE, data.height, data.width, data.seed]).encode())
    for path in sorted(p for p in fonts.glob("*") if p.is_file()) if fonts else []:
        clean.update(path.name.encode() + path.read_bytes())
    if source == BUILTIN:
        clean.update(f"{BUILTIN} {data.lines}".encode())
    else:
        root = _folder(source)
        for path in sorted(p for p in root.rglob("*") if p.is_file()):  # lines.tsv may name images in folders below
            clean.update(path.relative_to(root).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    if charset_file is not None:
        clean.update(Charset.load(charset_file).characters.encode())
    digest = hashlib.sha256(f"{clean.hexdigest()} {DAMAGE} {data.degradation}".encode()).hexdigest()[:16]
    folder = cache_folder() / "lines" / digest
    if not folder.exists():
        _make(folder, source, data, charset_file, fonts, clean.hexdigest()[:16])
    return folder


def _folder(source: str) -> Path:
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(f"--data must be '{BUILTIN}' or a folder of line images with lines.tsv, got {source}, which is not a folder")
    return folder


def _make(folder: Path, source: str, data: DataConfig, charset_file: Path | None, fonts: Path | None, clean_digest: str) -> None:
    """Draws or reads, degrades and writes all three splits; the folder appears only when it is whole."""
    drawn, notes = _drawn_builtin(data, fonts) if source == BUILTIN else _drawn_folder(source, data)
    if charset_file is not None:
        charset = Charset.load(charset_file)
    else:
        charset = Charset(synthetic.CHARACTERS) if source == BUILTIN else Charset.of(row[1] for row in drawn["train"])
    seen = SPLITS[:2]  # what is noted of the test lines would open them
    squeezed = sum(row[0].shape[1] * data.height > row[0].shape[0] * data.width for split in seen for row in drawn[split])
    notes += [f"{squeezed} lines are wider than {data.width} px at {data.height} px height and were squeezed"] if squeezed else []
    for split in seen:
        notes += unknown_note(split, charset.outside(row[1] for row in drawn[split]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        for split in SPLITS:
            save_lines(half / f"{split}.npz", _degraded(drawn[split], data, split))
        meta = {"charset": charset.characters, "notes": notes, "clean_digest": clean_digest, "data": asdict(data)}
        (half / "meta.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
        try:
            half.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(half, ignore_errors=True)


def unknown_note(split: str, outside: Counter[str]) -> list[str]:
    """A note that counts and names the characters outside the charset."""
    if not outside:
        return []
    named = ", ".join(f"{c!r} ×{n}" for c, n in outside.most_common(10)) + (", …" if len(outside) > 10 else "")
    return [f"{split}: {sum(outside.values())} characters are outside the charset ({named}); they are left out of the CTC target and "
            "count as errors against the reference"]


def _drawn_builtin(data: DataConfig, fonts: Path | None) -> tuple[dict[str, Drawn], list[str]]:
    counts = {"train": data.lines, **BUILTIN_HELD}
    drawn = synthetic.synthesize(counts, data.height, data.width, data.seed, fonts)
    return {split: [(image, text, f"{split}-{i:05d}", split) for i, (image, text) in enumerate(rows)]
            for split, rows in drawn.items()}, []


def _drawn_folder(source: str, data: DataConfig) -> tuple[dict[str, Drawn], list[str]]:
    lines = read_folder(Path(source))
    splits = split_groups(lines.groups, data.seed)
    rows = [(line.clean, line.transcript, line.name, line.group) for line in lines.lines]
    return {name: [row for row, split in zip(rows, splits, strict=True) if split == i]
            for i, name in enumerate(SPLITS)}, list(lines.notes)


def _degraded(rows: Drawn, data: DataConfig, split: str) -> Lines:
    """The arrays of a split: each line laid on paper and degraded by its own stream of random numbers."""
    clean = np.empty((len(rows), data.height, data.width), dtype=np.uint8)
    widths = np.empty(len(rows), dtype=np.int32)
    degraded = np.full_like(clean, 255)
    for i, (image, _, name, _) in enumerate(rows):
        clean[i], widths[i] = fit_line(image, data.height, data.width)
        own = clean[i, :, : widths[i]]
        degraded[i, :, : widths[i]] = degrade(own, generator(data.seed, "degrade", split, name), data.degradation)
    columns: Sequence[tuple[str, ...]] = list(zip(*(row[1:] for row in rows), strict=True)) or [(), (), ()]
    return Lines(clean, degraded, widths, *columns)
