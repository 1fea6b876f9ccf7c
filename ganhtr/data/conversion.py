"""Conversion of lines from one format to another.

A line folder can hold every line, but no tabs and line breaks in the text. A TFRecord needs a
degraded image for every line and stores neither names nor groups; it is split by its order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ganhtr.atomic import write_atomically
from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.raw import RawLine, RawLines
from ganhtr.data.source import BUILTIN, RECORDS, derived_charset

FOLDER, TFRECORD = "folder", "tfrecord"
STRETCHES = 10  # groups that the lines of a file without groups are divided into
Tick = Callable[[int], None]  # called with the number of lines done


def refuse_out(out: Path, form: str, source: str, force: bool) -> None:
    """Raise ValueError if `out` cannot be written, or if what exists there must not be replaced."""
    if form == TFRECORD and out.suffix.lower() not in RECORDS:
        raise ValueError(
            f"{out}: the name of a TFRecord must end in {' or '.join(RECORDS)}, got {out.name!r}. "
            "Rename it"
        )
    if not out.parent.is_dir():
        raise ValueError(f"{out}: the folder {out.parent} does not exist. Create it first")
    if not os.path.lexists(out):
        return
    if not force:
        raise ValueError(
            f"{out}: already exists. Choose another path, or use --force to replace it"
        )
    if source != BUILTIN and Path(source).resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"{out}: contains the lines to convert ({source}), so it cannot be replaced. "
            "Choose another path"
        )
    # Nothing but an earlier result is ever replaced, so that a wrong path deletes no other data.
    if form == TFRECORD:
        wanted, fits = "a file", out.is_file()
    else:
        wanted, fits = "a folder with lines.tsv", (out / "lines.tsv").is_file()
    if not fits or out.is_symlink():
        raise ValueError(
            f"{out}: --force replaces only {wanted}, got something else. Choose another path"
        )


def to_folder(lines: RawLines, out: Path, tick: Tick) -> tuple[int, list[str]]:
    """Write a line folder in one move, replacing the one at `out` if it exists.

    Returns: number of lines written, notes. Raises: ValueError when it cannot be written.
    """
    from ganhtr.data.folder import write_folder

    written, notes = lines.lines, list[str]()
    if lines.in_file_order:
        # All lines of such a file have one group, and a study cannot split a single group.
        written = tuple(
            replace(line, group=f"{line.group} {1 + STRETCHES * i // len(written)}")
            for i, line in enumerate(written)
        )
        notes.append(
            f"the file has no groups, so it is divided into {STRETCHES} stretches of lines, "
            "each a group"
        )
    with reported(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=".making-") as making:
        made = Path(making) / "made"
        count, more = write_folder(made, ticking(written, tick))
        if out.exists():
            out.rename(Path(making) / "replaced")
        made.rename(out)
    return count, [*notes, *more]


def to_tfrecord(
    source: str, lines: RawLines, out: Path, charset: Charset | None, force: bool, tick: Tick
) -> tuple[int, list[str]]:
    """Write a TFRecord, and its charset next to it if none is given.

    Returns: number of lines written, notes.
    Raises: ValueError when it cannot be written, or when every line has characters outside the
        charset.
    """
    from ganhtr.data.folder import one_row
    from ganhtr.data.tfrecord import write_tfrecord

    beside = out.with_suffix(".charset.txt")
    if charset is None and os.path.lexists(beside) and not force:
        raise ValueError(
            f"{beside}: the charset file already exists. Give it with --charset, or use --force "
            "to replace it"
        )
    rows = [replace(line, transcript=one_row(line.transcript)) for line in lines.lines]
    known = charset or derived_charset(source, (line.transcript for line in rows))
    kept = [line for line in rows if not known.outside([line.transcript])]
    left_out = [line.name for line in rows if known.outside([line.transcript])]
    if not kept:
        raise ValueError(
            f"{out}: every line has characters outside the charset. Give another charset"
        )
    made = sum(line.degraded is None for line in kept)
    count = write_tfrecord(out, map(with_degraded_image, kept), known, tick)
    notes = []
    if left_out:
        names = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        notes.append(f"{len(left_out)} lines with characters outside the charset left out: {names}")
    if charset is None:
        write_whole(beside, "".join(f"{character}\n" for character in known.characters).encode())
        notes.append(f"the charset is in {beside}; give it with --charset to read the TFRecord")
    if made:
        notes.append(f"the degraded images of {made} lines were made (seed 0, strength 1)")
    if not lines.in_file_order:
        notes.append(
            "a TFRecord has no groups: a study splits it by its order, so a page may be divided "
            "between two splits"
        )
    return count, notes


def with_degraded_image(line: RawLine) -> RawLine:
    """Return the line with a degraded image, made with the default seed and strength if needed."""
    from ganhtr.data.degrade import degrade
    from ganhtr.seeds import generator

    if line.degraded is not None:
        return line
    data = DataConfig()
    rng = generator(data.seed, "degrade", line.group, line.name)
    return replace(line, degraded=degrade(line.clean, rng, data.degradation))


def ticking(lines: Iterable[RawLine], tick: Tick) -> Iterator[RawLine]:
    """Yield the lines and call `tick` after each."""
    for done, line in enumerate(lines, start=1):
        yield line
        tick(done)


@contextmanager
def reported(out: Path) -> Iterator[None]:
    """Turn errors of the file system into ValueErrors for the user."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{out}: cannot write: {error}. Choose another path or free disk space"
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one move. Raises: ValueError when it cannot be written."""
    with reported(path):
        write_atomically(path, data)
