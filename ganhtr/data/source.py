"""From a name or a path to pairs: lines are read or drawn, split, degraded and cached.

The key of the cache covers the content (the bytes of the files, or the recipe of the built-in
lines) and every setting that affects the arrays. Modules that read or draw images are imported
where they are used, because cached pairs need none of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.fitting import fit_lines
from ganhtr.data.notes import line_notes, recognizer_note
from ganhtr.data.pairs import SPLITS, Lines, Pairs, load_lines, save_lines
from ganhtr.data.raw import RawLine, RawLines
from ganhtr.data.splits import recognizer_groups, split_groups, split_in_order

BUILTIN = "builtin"
# Versions in the cache key. Increase one when its results change, so that old caches (and, for
# RECIPE, the shipped recognizers) are not used with new data.
RECIPE = 2  # of the built-in clean lines
DAMAGE = 1  # of the degradations
READING = 1  # of the reading of files
BUILTIN_HELD = {"validation": 200, "test": 400}  # built-in lines that are held out
RECORDS = (".tfrecord", ".tfrecords")
FORMS = (
    f"'{BUILTIN}', a folder with lines.tsv, a .tfrecord file, or ALTO or PAGE pages "
    "(an .xml file, or a folder of them)"
)


def cache_folder() -> Path:
    """Return the cache folder: GANHTR_CACHE, or else ~/.cache/ganhtr-tune.

    Raises: ValueError when it cannot be created.
    """
    folder = Path(os.environ.get("GANHTR_CACHE") or Path.home() / ".cache" / "ganhtr-tune")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot create the cache folder: {error.strerror}. "
            "Set GANHTR_CACHE to a writable folder"
        ) from error
    return folder


def format_of(source: str | Path) -> str:
    """Return the format of a source: builtin, folder, tfrecord or pages.

    A folder with lines.tsv is a line folder, whatever else it contains.

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
    if path.is_dir():
        got = "a folder without lines.tsv and pages"
    else:
        got = "another file" if path.is_file() else "a path that does not exist"
    raise ValueError(f"{source}: data must be {FORMS}, got {got}. Check the path")


def read_source(
    source: str | Path, charset: Charset | None, progress: Callable[[int], None] | None = None
) -> RawLines:
    """Read all usable lines of files in any format, at their original size.

    The charset is needed to read the labels of a TFRecord. `progress` is called with the number
    of bytes of a TFRecord read so far.

    Raises: ValueError that names the file and the fault.
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
    raise ValueError(f"{source}: not a file or folder. Use builtin_lines for the built-in lines")


def builtin_lines(data: DataConfig, fonts: Path | None = None) -> RawLines:
    """Return the built-in lines of train, validation and test; each split is a group."""
    return _drawn({"train": data.lines, **BUILTIN_HELD}, data, fonts)


def builtin_recognizer_lines(data: DataConfig, fonts: Path | None = None) -> Lines:
    """Draw the built-in lines that only recognizers are trained on; no trial uses them."""
    drawn = _drawn({"recognizer": data.lines}, data, fonts)
    return fit_lines(deque(drawn.lines), data, "recognizer")


def _drawn(counts: dict[str, int], data: DataConfig, fonts: Path | None) -> RawLines:
    from ganhtr.data.drawn import synthetic

    drawn = synthetic.synthesize(counts, data.height, data.width, data.seed, fonts)
    return RawLines(
        tuple(
            RawLine(f"{split}-{i:05d}", split, text, image)
            for split, rows in drawn.items()
            for i, (image, text) in enumerate(rows)
        )
    )


def split_of_lines(source: str | Path, lines: RawLines, data: DataConfig) -> np.ndarray:
    """Return the split of each line, its place in SPLITS.

    Built-in lines are drawn for a split; other lines are split by their order in the file or by
    groups. A share of the training lines is then set aside for the recognizers.

    Shapes: returns (N,) int64. Raises: ValueError when there are too few lines or groups.
    """
    if source == BUILTIN:
        return np.array([SPLITS.index(group) for group in lines.groups])
    if lines.in_file_order:
        split = split_in_order(len(lines))
        train = np.flatnonzero(split == 0)
        aside = train[: min(round(data.recognizer_share * len(train)), len(train) - 1)]
    else:
        split = split_groups(lines.groups, data.seed)
        train = np.flatnonzero(split == 0)
        groups = [lines.groups[i] for i in train]
        aside = train[recognizer_groups(groups, data.seed, data.recognizer_share)]
    split[aside] = SPLITS.index("recognizer")
    return split


def load_pairs(
    source: str, data: DataConfig, charset_file: Path | None = None, fonts: Path | None = None
) -> Pairs:
    """Load the train and search-validation pairs of `source`: BUILTIN, or the path of lines.

    A line without a degraded image in the source gets one made. The test split is made and cached
    together with the others, but is not opened here.

    Raises: ValueError that names the file and the fault.
    """
    folder = _prepared(source, data, charset_file, fonts)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    recognizer_lines = None
    if source == BUILTIN:
        recognizer_lines = partial(builtin_recognizer_lines, data, fonts)
    elif (folder / "recognizer.npz").exists():
        recognizer_lines = partial(load_lines, folder / "recognizer.npz")
    return Pairs(
        load_lines(folder / "train.npz"),
        load_lines(folder / "validation.npz"),
        Charset(meta["charset"]),
        source if source == BUILTIN else str(Path(source).resolve()),
        folder.name,
        meta["clean_digest"],
        tuple(meta["notes"]),
        recognizer_lines,
    )


def load_test(
    source: str, data: DataConfig, charset_file: Path | None = None, fonts: Path | None = None
) -> Lines:
    """Load the test lines for `load_pairs` with the same arguments. The caller must report it."""
    return load_lines(_prepared(source, data, charset_file, fonts) / "test.npz")


def _prepared(source: str, data: DataConfig, charset_file: Path | None, fonts: Path | None) -> Path:
    """Return the cache folder of these pairs, made first if it does not exist."""
    if source != BUILTIN and fonts is not None:
        raise ValueError(
            "--fonts is for the built-in data and cannot be combined with "
            f"--data {source}. Leave one of them out"
        )
    charset = Charset.load(charset_file) if charset_file is not None else None
    share = None if source == BUILTIN else data.recognizer_share
    recipe = json.dumps([RECIPE, data.height, data.width, data.seed, share])
    key = hashlib.sha256(recipe.encode())  # everything that affects the clean lines
    for path in sorted(p for p in fonts.glob("*") if p.is_file()) if fonts else []:
        key.update(path.name.encode() + path.read_bytes())
    if source == BUILTIN:
        key.update(f"{BUILTIN} {data.lines}".encode())
    else:
        key.update(_content(Path(source)))
    if charset is not None:
        key.update(charset.characters.encode())
    damage = f"{key.hexdigest()} {DAMAGE} {data.degradation}"
    folder = cache_folder() / "lines" / hashlib.sha256(damage.encode()).hexdigest()[:16]
    if not folder.exists():
        clean_digest = key.hexdigest()[:16] if source == BUILTIN else None
        _make(folder, source, data, charset, fonts, clean_digest)
    return folder


def _content(source: Path) -> bytes:
    """Return a digest of all bytes that a source's lines can come from, read file by file."""
    form = format_of(source)
    folder = Path(os.path.abspath(source if source.is_dir() else source.parent))
    if form == "folder":
        files = list(folder.rglob("*"))  # the table may name images in subfolders
    elif form == "tfrecord":
        files = [source]
    else:
        files = list(folder.iterdir())
        if folder.name.lower() in ("page", "alto"):  # then the images may be one folder up
            files += folder.parent.iterdir()
    digest = hashlib.sha256(f"{READING} {form}".encode())
    for name, path in sorted(
        (os.path.relpath(path, folder), path) for path in files if path.is_file()
    ):
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise ValueError(
                f"{path}: cannot read the file: {error.strerror}. Make it readable or remove it"
            ) from error
        digest.update(os.fsencode(name) + content.digest())
    return digest.digest()


def _make(
    folder: Path,
    source: str,
    data: DataConfig,
    charset: Charset | None,
    fonts: Path | None,
    clean_digest: str | None,
) -> None:
    """Make and write all splits; the folder appears only when it is complete."""
    parts, notes = _parts(source, data, charset, fonts)
    if charset is None:
        known = (line.transcript for split in ("train", "recognizer") for line in parts[split])
        charset = derived_charset(source, known)
    # Notes on the test lines would reveal something about them.
    seen = {split: part for split, part in parts.items() if split != "test"}
    notes += line_notes(seen, data, charset)
    clean = hashlib.sha256()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        trains_recognizers = "recognizer" if parts["recognizer"] else "train"
        for split in [name for name in SPLITS if parts[name]]:
            lines = fit_lines(parts[split], data, split)
            save_lines(partial / f"{split}.npz", lines)
            if split in (trains_recognizers, "validation"):
                label = repr((split, lines.clean.shape, lines.transcripts))
                clean.update(label.encode() + lines.widths.tobytes())
                clean.update(lines.clean.data)
        meta = {
            "charset": charset.characters,
            "notes": notes,
            "clean_digest": clean_digest or clean.hexdigest()[:16],
            "data": asdict(data),
        }
        text = json.dumps(meta, ensure_ascii=False, indent=1)
        (partial / "meta.json").write_text(text, encoding="utf-8")
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another process has made the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def derived_charset(source: str | Path, transcripts: Iterable[str]) -> Charset:
    """Return the charset if no file gives one: that of the built-in texts, or of `transcripts`."""
    if source == BUILTIN:
        from ganhtr.data.drawn.register import CHARACTERS

        return Charset(CHARACTERS)
    return Charset.of(transcripts)


def _parts(
    source: str, data: DataConfig, charset: Charset | None, fonts: Path | None
) -> tuple[dict[str, deque[RawLine]], list[str]]:
    """Return the lines of each split, and notes.

    There is no other reference to the lines, so each can be freed once it has been fitted.
    """
    lines = builtin_lines(data, fonts) if source == BUILTIN else read_source(source, charset)
    parts: dict[str, deque[RawLine]] = {name: deque() for name in SPLITS}
    for line, split in zip(lines.lines, split_of_lines(source, lines, data), strict=True):
        parts[SPLITS[split]].append(line)
    notes = list(lines.notes)
    if lines.in_file_order:
        counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items() if part)
        notes.append(
            f"lines are split 80/10/10 by their order in the file: {counts} "
            "(the original experiment: 90/10, no test lines)"
        )
    if source != BUILTIN:
        notes.append(recognizer_note(len(parts["train"]), len(parts["recognizer"])))
    return parts, notes
