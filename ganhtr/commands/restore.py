"""`python -m ganhtr restore`: apply a trained generator to line images and pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ganhtr.commands.device import Device, device_of

if TYPE_CHECKING:  # --help needs no networks
    import numpy as np

    from ganhtr.readings_table import Row
    from ganhtr.restore_jobs import Job
    from ganhtr.train.model_folder import Model

LINES_AT_ONCE = 16  # line images that are read and restored together


@dataclass
class Outcome:
    """The result of a job: its image (None if skipped), a row per restored line, the faults."""

    job: Job
    image: np.ndarray | None = field(default=None, repr=False)
    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def restore(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN", help="Line images, ALTO or PAGE files, or folders of them."),
    ],
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Model folder, such as results/NAME/best.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the results; created if necessary.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite existing files with the names of results.")
    ] = False,
    device: Device = None,
) -> None:
    """Restore line images, and pages line by line, in grey and at their own size.

    A result has the name of its file with the suffix .png; two inputs with the same name are
    refused. A folder stands for the files in it, without its subfolders; the image of a page is
    restored with the page. On a page, pixels outside the lines' polygons do not change.

    readings.tsv has the guide's reading of each line before and after, and for pages the
    transcription and both character error rates. It has no quoting: a tab in a value is written
    `\\t`, a line break `\\n`, a backslash `\\\\`.

    Exit code: 0; 1 if files or lines were skipped (they are listed); 2 for invalid arguments.
    """
    from ganhtr.readings_table import NAME
    from ganhtr.restore_jobs import find_jobs, require_free
    from ganhtr.train.model_folder import load_model

    work = find_jobs(inputs)
    require_free(out, work.jobs, [NAME], force)
    loaded = load_model(model, device_of(device))
    stderr = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if work.ignored:
        stderr.print(f"ignored, neither ALTO nor PAGE: {', '.join(work.ignored)}")
    outcomes, interrupted = _write_results(loaded, work.jobs, out, stderr)
    faults = [*work.faults, *(fault for outcome in outcomes for fault in outcome.faults)]
    if faults:
        stderr.print("\n".join([f"{len(faults)} skipped:", *faults]))
    _summarise(outcomes, out)
    if interrupted:
        missing = len(work.jobs) - len(outcomes)
        stderr.print(f"interrupted: {missing} of {len(work.jobs)} files were not restored")
    raise typer.Exit(130 if interrupted else 1 if faults else 0)


def _write_results(
    model: Model, jobs: Sequence[Job], out: Path, console: Console
) -> tuple[list[Outcome], bool]:
    """Restore all files and write images and table. Returns the outcomes and whether Ctrl-C came.

    Raises: ValueError if the folder cannot be written.
    """
    from ganhtr.atomic import write_atomically, write_png
    from ganhtr.readings_table import NAME, table

    outcomes: list[Outcome] = []
    interrupted = False
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            for outcome in _with_progress(_outcomes(model, jobs), len(jobs), console):
                if outcome.image is not None:
                    write_png(out / outcome.job.target, outcome.image)
                outcomes.append(outcome)
        except KeyboardInterrupt:
            interrupted = True
        rows = [row for outcome in outcomes for row in outcome.rows]
        write_atomically(out / NAME, table(rows).encode())
    except OSError as error:
        raise ValueError(
            f"--out: {out} cannot be written ({error}). Choose another folder"
        ) from error
    return outcomes, interrupted


def _outcomes(model: Model, jobs: Sequence[Job]) -> Iterator[Outcome]:
    """Yield the outcome of every job: line images in batches, then pages."""
    lines = [job for job in jobs if job.page is None]
    for first in range(0, len(lines), LINES_AT_ONCE):
        yield from _line_outcomes(model, lines[first : first + LINES_AT_ONCE])
    for job in jobs:
        if job.page is not None:
            yield _page_outcome(model, job)


def _line_outcomes(model: Model, jobs: Sequence[Job]) -> list[Outcome]:
    from ganhtr.data.image_file import read_grey
    from ganhtr.readings_table import Row
    from ganhtr.restore import require_line, restore_lines

    outcomes = [Outcome(job) for job in jobs]
    readable, images = [], []
    for outcome in outcomes:
        path = outcome.job.source
        try:
            image = read_grey(path)
        except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
            outcome.faults.append(
                f"{path}: cannot read this image ({type(error).__name__}: {error}). Save it again"
            )
            continue
        try:
            require_line(model, image)
        except ValueError as fault:
            outcome.faults.append(f"{path}: {fault}")
            continue
        readable.append(outcome)
        images.append(image)
    for outcome, restored in zip(readable, restore_lines(model, images), strict=True):
        outcome.image = restored.image
        outcome.rows.append(Row(str(outcome.job.source), "", restored.before, restored.after))
    return outcomes


def _page_outcome(model: Model, job: Job) -> Outcome:
    from ganhtr.data.raw import Unusable
    from ganhtr.readings_table import Row
    from ganhtr.restore import restore_page

    assert job.page is not None
    try:
        page = restore_page(model, job.page)
    except Unusable as fault:
        return Outcome(job, faults=[f"{fault.place}: {fault}"])
    rows = [
        Row(str(job.source), line.id, restored.before, restored.after, line.transcript)
        for line, restored in page.lines
    ]
    return Outcome(job, page.image, rows, list(page.faults))


def _with_progress(outcomes: Iterator[Outcome], count: int, console: Console) -> Iterator[Outcome]:
    """Yield the outcomes and show a progress bar on a terminal."""
    columns = (TextColumn("restoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        task = progress.add_task("", total=count)
        for outcome in outcomes:
            yield outcome
            progress.advance(task)


def _summarise(outcomes: Sequence[Outcome], out: Path) -> None:
    """Print the number of restored lines and, with transcriptions, the CER before and after."""
    from ganhtr.readings_table import errors_of

    pages = sum(outcome.job.page is not None for outcome in outcomes if outcome.image is not None)
    rows = [row for outcome in outcomes for row in outcome.rows]
    typer.echo(f"{out}: {len(rows)} lines restored" + (f", {pages} pages" if pages else ""))
    before, after = errors_of(rows)
    if len(before.char_lengths):
        typer.echo(
            f"CER of the guide: {before.cer:.3f} before, {after.cer:.3f} after "
            f"({len(before.char_lengths)} lines with a transcription, "
            f"{before.char_lengths.sum()} characters)"
        )
    sys.stdout.flush()
