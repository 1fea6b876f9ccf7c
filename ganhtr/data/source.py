"""From a name or a path to pairs: reads or makes the lines, splits them, degrades them, and keeps the arrays in a cache.

The cache is keyed by content (the files' bytes, or the recipe of the built-in lines) and by every setting that shapes the arrays.
What reads and draws images is imported where it is used: pairs that are in the cache need none of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.fitting import fit_lines, is_squeezed
from ganhtr.data.pairs import SPLITS, Lines, Pairs, load_lines, save_lines
from ganhtr.data.raw import RawLine, RawLines
from ganhtr.data.splits import split_groups, split_in_order

BUILTIN = "builtin"
RECIPE = 1  # raise it whenever the built-in clean lines change, so that caches and shipped recognizers are not mixed up
DAMAGE = 1  # raise it whenever the degradations change
READING = 1  # raise it whenever files are read otherwise
BUILTIN_HELD = {"validation": 64, "test": 400}
RECORDS = (".tfrecord", ".tfrecords")
FORMS = f"'{BUILTIN}', a folder with lines.tsv, a .tfrecord file, or ALTO or PAGE pages (an .xml file, or a folder that holds some)"


def cache_folder() -> Path:
    """Where made and derived files are kept: GANHTR_CACHE, else ~/.cache/ganhtr-tune. Raises: ValueError when it cannot be written."""
    folder = Path(os.environ.get("GANHTR_CACHE") or Path.home() / ".cache" / "ganhtr-tune")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder}: the cache must be a writable folder, got: {error.strerror}. Set GANHTR_CACHE to another"
        ) from error
    return folder


def format_of(source: str | Path) -> str:
    """The format of a source: builtin, folder, tfrecord or pages. A folder with lines.tsv is a line folder, whatever else it holds.

    Raises: ValueError that names the accepted forms.
    """
    path = Path(source)
    if source == BUILTIN:
        return BUILTIN
    if path.is_dir() and (path / "lines.tsv").exists():
        return "folder"
    if path.is_file() and path.suffix.lower() in RECORDS:
        return "tfrecord"
    from ganhtr.data.pages.pages import is_page

    if any(map(is_page, sorted(path.iterdir()) if path.is_dir() else [path])):
        return "pages"
    got = (
        "a folder with neither"
        if path.is_dir()
        else "another file"
        if path.is_file()
        else "nothing there"
    )
    raise ValueError(f"{source}: data must be {FORMS}, got {got}. Check the path")


def read_source(
    source: str | Path, charset: Charset | None, progress: Callable[[int], None] | None = None
) -> RawLines:
    """Every usable line of files in any format, at its own size. The charset is what a TFRecord's labels are read with.

    `progress` is told how many bytes of a TFRecord are done.

    Raises: ValueError naming the file and the fault.
    """
    form, path = format_of(source), Path(source)
    if form == "folder":
        from ganhtr.data.folder import read_folder

        return read_folder(path)
    if form == "tfrecord":
        from ganhtr.data.tfrecord import read_tfrecord

        return read_tfrecord(path, charset, progress)
    if form == "pages":
        from ganhtr.data.pages.pages import read_pages

        return read_pages(path)
    raise ValueError(
        f"{source}: lines must be read from files, got a name. Draw them with builtin_lines"
    )


def builtin_lines(data: DataConfig, fonts: Path | None = None) -> RawLines:
    """The built-in lines of all splits, each split a group."""
    from ganhtr.data.drawn import synthetic

    drawn = synthetic.synthesize(
        {"train": data.lines, **BUILTIN_HELD}, data.height, data.width, data.seed, fonts
    )
    return RawLines(
        tuple(
            RawLine(f"{split}-{i:05d}", split, text, image)
            for split, rows in drawn.items()
            for i, (image, text) in enumerate(rows)
        )
    )


def split_of_lines(source: str | Path, lines: RawLines, seed: int) -> np.ndarray:
    """The split of each line, 0 train, 1 validation, 2 test: the built-in lines' own, by order in the file, or by groups.

    Shapes: returns (N,) int64. Raises: ValueError when there is too little to split.
    """
    if source == BUILTIN:
        return np.array([SPLITS.index(group) for group in lines.groups])
    return split_in_order(len(lines)) if lines.in_file_order else split_groups(lines.groups, seed)


def load_pairs(
    source: str, data: DataConfig, charset_file: Path | None = None, fonts: Path | None = None
) -> Pairs:
    """The train and search-validation pairs of `source`: BUILTIN, or the path of lines in any format.

    A line's degraded image is its source's own where it has one, else it is made. The test split is made and cached along with
    the others and stays closed here. Raises: ValueError naming the file and the fault.
    """
    folder = _prepared(source, data, charset_file, fonts)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Pairs(
        load_lines(folder / "train.npz"),
        load_lines(folder / "validation.npz"),
        Charset(meta["charset"]),
        source if source == BUILTIN else str(Path(source).resolve()),
        folder.name,
        meta["clean_digest"],
        tuple(meta["notes"]),
    )


def load_test(
    source: str, data: DataConfig, charset_file: Path | None = None, fonts: Path | None = None
) -> Lines:
    """The test lines that belong to `load_pairs` with the same arguments. Whoever opens them says so to the user."""
    return load_lines(_prepared(source, data, charset_file, fonts) / "test.npz")


def _prepared(source: str, data: DataConfig, charset_file: Path | None, fonts: Path | None) -> Path:
    """The cache folder of these pairs, made now if it is not there."""
    if source != BUILTIN and fonts is not None:
        raise ValueError(
            f"--fonts must go with the built-in data, got it with --data {source}. Leave one of them out"
        )
    charset = Charset.load(charset_file) if charset_file is not None else None
    key = hashlib.sha256(json.dumps([RECIPE, data.height, data.width, data.seed]).encode())
    for path in sorted(p for p in fonts.glob("*") if p.is_file()) if fonts else []:
        key.update(path.name.encode() + path.read_bytes())
    key.update(f"{BUILTIN} {data.lines}".encode() if source == BUILTIN else _content(Path(source)))
    if charset is not None:
        key.update(charset.characters.encode())
    digest = hashlib.sha256(f"{key.hexdigest()} {DAMAGE} {data.degradation}".encode()).hexdigest()[
        :16
    ]
    folder = cache_folder() / "lines" / digest
    if not folder.exists():
        _make(
            folder,
            source,
            data,
            charset,
            fonts,
            key.hexdigest()[:16] if source == BUILTIN else None,
        )
    return folder


def _content(source: Path) -> bytes:
    """A digest of all the bytes that a source's lines can come from; those of a large file never lie in memory together."""
    form = format_of(source)
    folder = Path(os.path.abspath(source if source.is_dir() else source.parent))
    if form == "folder":
        files = list(folder.rglob("*"))  # the table may name images in folders below
    elif form == "tfrecord":
        files = [source]
    else:  # the images lie beside their pages, or one folder up
        files = [
            *folder.iterdir(),
            *(folder.parent.iterdir() if folder.name.lower() in ("page", "alto") else ()),
        ]
    made = hashlib.sha256(f"{READING} {form}".encode())
    for name, path in sorted(
        (os.path.relpath(path, folder), path) for path in files if path.is_file()
    ):
        try:
            with path.open("rb") as file:
                made.update(os.fsencode(name) + hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ValueError(
                f"{path}: must be readable, got: {error.strerror}. Mend or remove it"
            ) from error
    return made.digest()


def _make(
    folder: Path,
    source: str,
    data: DataConfig,
    charset: Charset | None,
    fonts: Path | None,
    clean_digest: str | None,
) -> None:
    """Draws or reads, degrades and writes all three splits; the folder appears only when it is whole."""
    parts, notes = _parts(source, data, charset, fonts)
    if charset is None:
        charset = derived_charset(source, (line.transcript for line in parts["train"]))
    notes += _seen_notes(
        {split: parts[split] for split in SPLITS[:2]}, data, charset
    )  # what is noted of the test lines would open them
    clean = hashlib.sha256()
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        for split in SPLITS:
            lines = fit_lines(parts[split], data, split)
            save_lines(half / f"{split}.npz", lines)
            if split != "test":
                clean.update(
                    repr((split, lines.clean.shape, lines.transcripts)).encode()
                    + lines.widths.tobytes()
                )
                clean.update(lines.clean.data)
        meta = {
            "charset": charset.characters,
            "notes": notes,
            "clean_digest": clean_digest or clean.hexdigest()[:16],
            "data": asdict(data),
        }
        (half / "meta.json").write_text(
            json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        try:
            half.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(half, ignore_errors=True)


def derived_charset(source: str | Path, transcripts: Iterable[str]) -> Charset:
    """The charset where no file gives one: that of the built-in texts, or the characters of the training transcriptions."""
    if source == BUILTIN:
        from ganhtr.data.drawn.register import CHARACTERS

        return Charset(CHARACTERS)
    return Charset.of(transcripts)


def _parts(
    source: str, data: DataConfig, charset: Charset | None, fonts: Path | None
) -> tuple[dict[str, deque[RawLine]], list[str]]:
    """The lines of each split, and what was noted. Nothing else holds on to the lines, so each can go when it has been fitted."""
    lines = builtin_lines(data, fonts) if source == BUILTIN else read_source(source, charset)
    splits = split_of_lines(source, lines, data.seed)
    parts = {
        name: deque(line for line, split in zip(lines.lines, splits, strict=True) if split == i)
        for i, name in enumerate(SPLITS)
    }
    notes = list(lines.notes)
    if lines.in_file_order:
        counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
        notes.append(
            f"lines are split 80/10/10 by their order in the file: {counts} (the original experiment: 90/10, no test lines)"
        )
    return parts, notes


def _seen_notes(parts: dict[str, deque[RawLine]], data: DataConfig, charset: Charset) -> list[str]:
    """What is said of the lines that a search sees: squeezed lines, whose degraded images, unknown characters."""
    seen = [line for part in parts.values() for line in part]
    squeezed, own = (
        sum(is_squeezed(line.clean.shape, data) for line in seen),
        sum(line.degraded is not None for line in seen),
    )
    notes = (
        [
            f"{squeezed} lines are wider than {data.width} px at {data.height} px height and were squeezed"
        ]
        if squeezed
        else []
    )
    if own:
        notes.append(
            "degraded images are the source's own"
            + (f" for {own} of {len(seen)} lines, else made" if own < len(seen) else "")
        )
    for split, part in parts.items():
        notes += unknown_note(split, charset.outside(line.transcript for line in part))
    return notes


def unknown_note(split: str, outside: Counter[str]) -> list[str]:
    """A note that counts and names the characters outside the charset."""
    if not outside:
        return []
    named = ", ".join(f"{c!r} ×{n}" for c, n in outside.most_common(10)) + (
        ", …" if len(outside) > 10 else ""
    )
    return [
        f"{split}: {sum(outside.values())} characters are outside the charset ({named}); they are left out of the CTC target and "
        "count as errors against the reference"
    ]
