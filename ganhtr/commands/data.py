"""`python -m ganhtr data`: what is in a source of lines, and from one format to another."""

from __future__ import annotations

import io
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

from ganhtr.charset import Charset
from ganhtr.config import Config, build_config
from ganhtr.config_sections import STRIDES, DataConfig
from ganhtr.data.conversion import FOLDER, TFRECORD, refuse_out, to_folder, to_tfrecord, write_whole
from ganhtr.data.inspection import Inspection, describe, inspect_lines
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

app = typer.Typer(no_args_is_help=True, help="Looks into a source of lines, and converts it.")

Source = Annotated[str, typer.Argument(metavar="PATH", help=f"{FORMS}.")]
CharsetFile = Annotated[
    Path | None, typer.Option(help="One character a line. A TFRecord cannot be read without it.")
]


class Target(StrEnum):
    """The formats that are written."""

    folder = FOLDER
    tfrecord = TFRECORD


@app.command()
def inspect(
    path: Source,
    charset: CharsetFile = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of up to 24 lines (PNG).")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Line size and recognizer: tiny (32 x 256), small (64 x 768), seed (128 x 1024)."
        ),
    ] = "tiny",
) -> None:
    """Counts what is in a source of lines and what a study would make of it: sizes, texts, characters, charset, splits, skipped lines.

    The contact sheet's captions lack the accents that Pillow's own font lacks; the counts do not.

    Try: `inspect builtin --picture sheet.png`, `inspect lines --charset charset.txt`, `inspect pages --json`.
    """
    config = build_config(preset)
    given = (Charset.load(charset), f"from {charset}") if charset else None
    lines = read(path, given[0] if given else None, config.data)
    found = inspected(path, lines, given, config)
    if picture:
        from ganhtr.data.contact_sheet import contact_sheet

        buffer = io.BytesIO()
        contact_sheet(lines).save(buffer, "PNG")
        write_whole(picture, buffer.getvalue())
    say(json.dumps(asdict(found), indent=1) if json_ else describe(found))


def inspected(
    path: str, lines: RawLines, given: tuple[Charset, str] | None, config: Config
) -> Inspection:
    """The inspection of lines that were read; what a study would derive is derived as it would."""
    from ganhtr.data.pairs import fitted_width
    from ganhtr.metrics.text import infeasible

    try:
        split = split_of_lines(path, lines, config.data.seed)
        by = (
            "as drawn"
            if path == BUILTIN
            else "by order in the file"
            if lines.in_file_order
            else "by whole groups"
        )
    except ValueError as error:  # too few groups is no reason not to look at the lines
        split, by = None, f"none: {error}"
    if given is None:
        training = [
            text for i, text in enumerate(lines.transcripts) if split is None or split[i] == 0
        ]
        texts = (
            "built-in texts"
            if path == BUILTIN
            else "training transcriptions"
            if split is not None
            else "transcriptions"
        )
        given = derived_charset(path, training), f"those of the {texts}"
    stride = STRIDES[config.guide.kind]
    frames = np.array(
        [
            -(-fitted_width(line.clean.shape, config.data.height, config.data.width) // stride)
            for line in lines.lines
        ]
    )
    impossible = infeasible([given[0].target(text) for text in lines.transcripts], frames)
    return inspect_lines(
        path,
        format_of(path),
        lines,
        given,
        (split, by),
        config.preset,
        config.data,
        impossible.tolist(),
        stride,
    )


@app.command()
def convert(
    path: Source,
    out: Annotated[Path, typer.Argument(help="The folder or the .tfrecord file to make.")],
    to: Annotated[
        Target | None,
        typer.Option(help="The format. Default: tfrecord where OUT ends so, else folder."),
    ] = None,
    charset: CharsetFile = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace OUT: a file, or a folder with lines.tsv, whole."),
    ] = False,
) -> None:
    """Writes the lines of a source as a folder of PNG images with lines.tsv, or as a TFRecord of the original experiment's schema.

    A folder has degraded images under `degraded/` where the source gives them. A TFRecord must have them: where the source gives none they
    are made at the line's own size (seed 0, strength 1). It holds no names and no groups: a study splits it by its order, and without
    `--charset` its charset is written beside it. A TFRecord's lines go into a folder in ten groups, a stretch of the file each.
    A tab or line break inside a transcription becomes a space. `builtin` stands for the lines of preset tiny.
    """
    form = to.value if to else TFRECORD if out.suffix.lower() in RECORDS else FOLDER
    out = Path(os.path.abspath(out))
    refuse_out(out, form, path, force)
    given = Charset.load(charset) if charset else None
    lines = read(path, given, DataConfig())
    with progress("writing", len(lines)) as tick:
        count, notes = (
            to_folder(lines, out, tick)
            if form == FOLDER
            else to_tfrecord(path, lines, out, given, force, tick)
        )
    say(f"{count} of {len(lines)} lines of {path} written to {out}")
    for note in (*lines.notes, *notes):
        say(f"note: {note}")


def read(path: str, charset: Charset | None, data: DataConfig) -> RawLines:
    """The lines of a source; progress on stderr where it is a large file."""
    form = format_of(path)
    if form == BUILTIN:
        return builtin_lines(data)
    with progress("reading", Path(path).stat().st_size if form == "tfrecord" else None) as tick:
        return read_source(path, charset, tick)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives what is told how much is done: a bar on stderr, a plain line a tenth where stderr is no terminal, nothing without a total."""
    console = Console(stderr=True)
    if total is None:
        yield lambda done: None
    elif console.is_terminal:
        columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        told = 0

        def tell(done: int) -> None:
            nonlocal told
            if 10 * done // total > told:
                told = 10 * done // total
                print(f"{what}: {10 * told} %", file=sys.stderr, flush=True)

        yield tell


def say(text: str) -> None:
    """Prints what a terminal of any encoding can show."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
