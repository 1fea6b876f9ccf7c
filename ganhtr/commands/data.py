"""`python -m ganhtr data`: inspect a source of lines, and convert it to another format."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ganhtr.atomic import write_png
from ganhtr.charset import Charset
from ganhtr.config import Config, build_config
from ganhtr.config_sections import STRIDES, DataConfig
from ganhtr.data.conversion import FOLDER, TFRECORD, refuse_out, reported, to_folder, to_tfrecord
from ganhtr.data.inspection import Inspection, describe, inspect_lines
from ganhtr.data.pairs import SPLITS
from ganhtr.data.raw import RawLines
from ganhtr.data.source import (
    BUILTIN,
    FORMS,
    RECORDS,
    builtin_lines,
    derived_charset,
    format_of,
    read_source,
    split_of_lines,
)

app = typer.Typer(no_args_is_help=True, help="Inspect and convert sources of lines.")

Source = Annotated[str, typer.Argument(metavar="PATH", help=f"{FORMS}.")]
CharsetFile = Annotated[
    Path | None,
    typer.Option(help="File with one character per line. Required for a TFRecord."),
]


class Target(StrEnum):
    """The formats that `convert` can write."""

    folder = FOLDER
    tfrecord = TFRECORD


@app.command()
def inspect(
    path: Source,
    charset: CharsetFile = None,
    json_: Annotated[bool, typer.Option("--json", help="Print a JSON object instead.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of up to 24 lines (PNG).")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Line size and recognizer: tiny (32 x 256), small (64 x 768) or seed (128 x 1024)."
        ),
    ] = "tiny",
) -> None:
    """Count lines, sizes, texts and characters of a source; show charset, splits and skipped lines.

    Charset and splits are those that a study of these lines would use. The captions of the contact
    sheet lack the accents that Pillow's font lacks; the counts are complete.

    Examples: `inspect builtin --picture sheet.png`, `inspect lines --charset charset.txt`, `inspect
    pages --json`.
    """
    config = build_config(preset)
    from_file = (Charset.load(charset), f"from {charset}") if charset else None
    lines = read(path, from_file[0] if from_file else None, config.data)
    inspection = inspect_as_study(path, lines, from_file, config)
    if picture:
        from ganhtr.data.contact_sheet import contact_sheet

        with reported(picture):
            write_png(picture, contact_sheet(lines))
    say(json.dumps(asdict(inspection), indent=1) if json_ else describe(inspection))


def inspect_as_study(
    path: str, lines: RawLines, charset_source: tuple[Charset, str] | None, config: Config
) -> Inspection:
    """Inspect lines with the splits and, if `charset_source` is None, the charset of a study."""
    from ganhtr.data.pairs import fitted_width
    from ganhtr.metrics.text import infeasible

    try:
        split = split_of_lines(path, lines, config.data)
        split_by = "by order in the file" if lines.in_file_order else "by whole groups"
        if path == BUILTIN:
            split_by = "as drawn"
    except ValueError as error:  # lines of too few groups can be inspected, but not split
        split, split_by = None, f"none: {error}"
    if charset_source is None:
        charset_source = _study_charset(path, lines, split)
    stride = STRIDES[config.guide.kind]
    height, width = config.data.height, config.data.width
    widths = np.array([fitted_width(line.clean.shape, height, width) for line in lines.lines])
    targets = [charset_source[0].target(text) for text in lines.transcripts]
    return inspect_lines(
        path,
        format_of(path),
        lines,
        charset_source,
        (split, split_by),
        config.preset,
        config.data,
        infeasible(targets, -(-widths // stride)).tolist(),
        stride,
    )


def _study_charset(path: str, lines: RawLines, split: np.ndarray | None) -> tuple[Charset, str]:
    """The charset that a study would derive, and its origin in words."""
    trained_on = [SPLITS.index("train"), SPLITS.index("recognizer")]
    training = [
        text for i, text in enumerate(lines.transcripts) if split is None or split[i] in trained_on
    ]
    origin = "training transcriptions" if split is not None else "transcriptions"
    if path == BUILTIN:
        origin = "built-in texts"
    return derived_charset(path, training), f"those of the {origin}"


@app.command()
def convert(
    path: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder or .tfrecord file to write.")],
    to: Annotated[
        Target | None,
        typer.Option(help="Format. Default: tfrecord if OUT ends in .tfrecord, else folder."),
    ] = None,
    charset: CharsetFile = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace OUT: a file, or a whole folder with lines.tsv."),
    ] = False,
) -> None:
    """Convert a source to a folder of PNG images with lines.tsv, or to a TFRecord.

    The TFRecord has the schema of the original experiment. It stores no names and no groups, so a
    study splits it by its order; without `--charset` its charset is written beside it. It needs
    degraded images: if the source has none, they are made at the size of the line (seed 0, strength
    1).

    A folder has degraded images under `degraded/` if the source has them. The lines of a TFRecord
    get ten groups of consecutive lines. A tab or line break in a transcription becomes a space.
    `builtin` means the lines of preset tiny.
    """
    form = to.value if to else TFRECORD if out.suffix.lower() in RECORDS else FOLDER
    out = Path(os.path.abspath(out))
    refuse_out(out, form, path, force)
    characters = Charset.load(charset) if charset else None
    lines = read(path, characters, DataConfig())
    with progress("writing", len(lines)) as tick:
        if form == FOLDER:
            count, notes = to_folder(lines, out, tick)
        else:
            count, notes = to_tfrecord(path, lines, out, characters, force, tick)
    say(f"{count} of {len(lines)} lines of {path} written to {out}")
    for note in (*lines.notes, *notes):
        say(f"note: {note}")


def read(path: str, charset: Charset | None, data: DataConfig) -> RawLines:
    """Read the lines of a source, with progress on stderr for a TFRecord."""
    form = format_of(path)
    if form == BUILTIN:
        return builtin_lines(data)
    with progress("reading", Path(path).stat().st_size if form == TFRECORD else None) as tick:
        return read_source(path, charset, tick)


@contextmanager
def progress(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr; yields a function that takes the amount done.

    A terminal gets a bar, any other stderr a line for every tenth. Without a total nothing is
    shown.
    """
    console = Console(stderr=True)
    if total is None:
        yield lambda done: None
    elif console.is_terminal:
        columns = (TextColumn(task), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            bar_task = bar.add_task(task, total=total)
            yield lambda done: bar.update(bar_task, completed=done)
    else:
        printed = 0

        def print_tenth(done: int) -> None:
            nonlocal printed
            if 10 * done // total > printed:
                printed = 10 * done // total
                print(f"{task}: {10 * printed} %", file=sys.stderr, flush=True)

        yield print_tenth


def say(text: str) -> None:
    """Print text; characters that the terminal's encoding lacks become question marks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
