"""From one format to another: what each can hold of a line, and what is made of the rest.

A line folder holds everything but tabs and line breaks. A TFRecord must have a degraded image of every line, and has neither names
nor groups; its order is its split.
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
STRETCHES = 10  # groups that a file without groups is given
Tick = Callable[[int], None]  # is told how many lines are done


def refuse_out(out: Path, form: str, source: str, force: bool) -> None:
    """Raises: ValueError when nothing can be written to `out`, or what is there must not be replaced."""
    if form == TFRECORD and out.suffix.lower() not in RECORDS:
        raise ValueError(
            f"{out}: a TFRecord's name must end in {' or '.join(RECORDS)}, got {out.name!r}. Name it so"
        )
    if not out.parent.is_dir():
        raise ValueError(
            f"{out}: must lie in a folder that is there, got {out.parent}. Make the folder first"
        )
    if not os.path.lexists(out):
        return
    if not force:
        raise ValueError(
            f"{out}: must not be there yet, got one. Choose another place, or replace it with --force"
        )
    if source != BUILTIN and Path(source).resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"{out}: must not hold the lines that are converted, got {source}. Choose another place"
        )
    wanted, fits = (
        ("a file", out.is_file())
        if form == TFRECORD
        else ("a folder with lines.tsv", (out / "lines.tsv").is_file())
    )
    if not fits or out.is_symlink():  # so that a slip of the hand removes no other folder
        raise ValueError(
            f"{out}: must be {wanted} for --force to replace it, got something else. Choose another place"
        )


def to_folder(lines: RawLines, out: Path, tick: Tick) -> tuple[int, list[str]]:
    """Writes a line folder in one move, in place of one that may be there. Returns how many lines it has, and notes.

    Raises: ValueError when it cannot be written.
    """
    from ganhtr.data.folder import write_folder

    held, notes = lines.lines, list[str]()
    if lines.in_file_order:  # one group for all would leave a study nothing to split
        held = tuple(
            replace(line, group=f"{line.group} {1 + STRETCHES * i // len(held)}")
            for i, line in enumerate(held)
        )
        notes.append(f"the file has no groups: each of {STRETCHES} stretches of it is one")
    with reported(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=".making-") as making:
        made = Path(making) / "made"
        count, more = write_folder(made, ticking(held, tick))
        if out.exists():
            out.rename(Path(making) / "replaced")
        made.rename(out)
    return count, [*notes, *more]


def to_tfrecord(
    source: str, lines: RawLines, out: Path, charset: Charset | None, force: bool, tick: Tick
) -> tuple[int, list[str]]:
    """Writes a TFRecord, and its charset beside it where none is given. Returns how many lines it has, and notes.

    Raises: ValueError when it cannot be written, or when no line has characters of the charset only.
    """
    from ganhtr.data.folder import one_row
    from ganhtr.data.tfrecord import write_tfrecord

    beside = out.with_suffix(".charset.txt")
    if charset is None and os.path.lexists(beside) and not force:
        raise ValueError(
            f"{beside}: must not be there yet, got one. Give it by --charset, or replace it with --force"
        )
    held = [replace(line, transcript=one_row(line.transcript)) for line in lines.lines]
    known = charset or derived_charset(source, (line.transcript for line in held))
    kept = [line for line in held if not known.outside([line.transcript])]
    left = [line.name for line in held if known.outside([line.transcript])]
    if not kept:
        raise ValueError(
            f"{out}: the charset must have all characters of a line at least, got one that lacks some of each. Give another"
        )
    made = sum(line.degraded is None for line in kept)
    count = write_tfrecord(out, map(with_twin, kept), known, tick)
    notes = (
        [
            f"{len(left)} lines left out, they have characters outside the charset: {', '.join(left[:5])}"
            + (", ..." if len(left) > 5 else "")
        ]
        if left
        else []
    )
    if charset is None:
        write_whole(beside, "".join(f"{character}\n" for character in known.characters).encode())
        notes.append(
            f"the charset is in {beside}; give it by --charset wherever the TFRecord is read"
        )
    notes += [f"the degraded images of {made} lines were made (seed 0, strength 1)"] if made else []
    notes += (
        []
        if lines.in_file_order
        else [
            "a TFRecord has no groups: a study splits it by its order, and a cut may go through a page"
        ]
    )
    return count, notes


def with_twin(line: RawLine) -> RawLine:
    """The line with a degraded image of its own size, made with the configuration's default seed and strength where it has none."""
    from ganhtr.data.degrade import degrade
    from ganhtr.seeds import generator

    if line.degraded is not None:
        return line
    data = DataConfig()
    return replace(
        line,
        degraded=degrade(
            line.clean, generator(data.seed, "degrade", line.group, line.name), data.degradation
        ),
    )


def ticking(lines: Iterable[RawLine], tick: Tick) -> Iterator[RawLine]:
    """The lines, each told when it is done with."""
    for done, line in enumerate(lines, start=1):
        yield line
        tick(done)


@contextmanager
def reported(out: Path) -> Iterator[None]:
    """Inside, an error of the file system is one of the user's. Raises: ValueError."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{out}: must be a place that can be written, got: {error}. Choose another place or make room"
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file in one move. Raises: ValueError when it cannot be written."""
    with reported(path):
        write_atomically(path, data)
