"""`python -m ganhtr restore`: a trained generator applied to line images and pages."""

from __future__ import annotations

import io
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

LINES_AT_ONCE = 16  # line images that are held and restored together


@dataclass
class Outcome:
    """What became of a job: its image, or none where it was skipped; a row a restored line; what was skipped and why."""

    job: Job
    image: np.ndarray | None = field(default=None, repr=False)
    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def restore(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN", help="Line images, ALTO or PAGE files, folders of them."),
    ],
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="A model folder, such as results/NAME/best.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="The folder of the results; it is made if it is not there."
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite results of the same names.")
    ] = False,
    device: Device = None,
) -> None:
    """Restores line images, and pages line by line, in grey and at their own size.

    A result is named after its file, with .png; two files of one name are refused. A folder stands for the files in it, not in folders
    below; an image that belongs to a page is restored with the page. On a page, all outside the lines' polygons stays as it is.

    readings.tsv says what the guide reads in each line before and after, and for pages the transcription and both character error
    rates. It has no quoting: a tab in a value is written `\\t`, a line break `\\n`, a backslash `\\\\`.

    Exit code: 0, or 1 when something was skipped (it is named), or 2 for a wrong call.
    """
    from ganhtr.readings_table import NAME
    from ganhtr.restore_jobs import find_jobs, require_free
    from ganhtr.train.model_folder import load_model

    found = find_jobs(inputs)
    require_free(out, found.jobs, [NAME], force)
    loaded = load_model(model, device_of(device))
    say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if found.passed:
        say.print(f"passed over, neither ALTO nor PAGE: {', '.join(found.passed)}")
    outcomes: list[Outcome] = []
    faults = list(found.faults)
    interrupted = False
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            for outcome in _shown(_outcomes(loaded, found.jobs), len(found.jobs), say):
                if outcome.image is not None:
                    _write_png(out / outcome.job.target, outcome.image)
                outcomes.append(outcome)
        except KeyboardInterrupt:
            interrupted = True
        _write_table(out / NAME, [row for outcome in outcomes for row in outcome.rows])
    except OSError as error:
        raise ValueError(
            f"{out}: --out must be a folder that can be written, got: {error}. Choose another"
        ) from error
    faults += [fault for outcome in outcomes for fault in outcome.faults]
    if faults:
        say.print("\n".join([f"{len(faults)} skipped:", *faults]))
    _summarise(outcomes, out)
    if interrupted:
        say.print(
            f"interrupted: {len(found.jobs) - len(outcomes)} of {len(found.jobs)} files were not restored"
        )
    raise typer.Exit(130 if interrupted else 1 if faults else 0)


def _outcomes(model: Model, jobs: Sequence[Job]) -> Iterator[Outcome]:
    """Every job's outcome: the line images in batches, then the pages."""
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
    whole, images = [], []
    for outcome in outcomes:
        path = outcome.job.source
        try:
            image = read_grey(path)
        except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
            outcome.faults.append(
                f"{path}: must be a whole image file, got {type(error).__name__}: {error}. Save the image anew"
            )
            continue
        try:
            require_line(model, image)
        except ValueError as fault:
            outcome.faults.append(f"{path}: {fault}")
            continue
        whole.append(outcome)
        images.append(image)
    for outcome, restored in zip(whole, restore_lines(model, images), strict=True):
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


def _shown(outcomes: Iterator[Outcome], count: int, console: Console) -> Iterator[Outcome]:
    """The same outcomes, with a progress bar on a terminal."""
    columns = (TextColumn("restoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=count)
        for outcome in outcomes:
            yield outcome
            progress.advance(task)


def _write_png(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    from ganhtr.atomic import write_atomically

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def _write_table(path: Path, rows: Sequence[Row]) -> None:
    from ganhtr.atomic import write_atomically
    from ganhtr.readings_table import table

    write_atomically(path, table(rows).encode())


def _summarise(outcomes: Sequence[Outcome], out: Path) -> None:
    """Says how much was restored, and how the readings changed where transcriptions tell."""
    from ganhtr.readings_table import errors_of

    pages = sum(outcome.job.page is not None for outcome in outcomes if outcome.image is not None)
    rows = [row for outcome in outcomes for row in outcome.rows]
    typer.echo(f"{out}: {len(rows)} lines restored" + (f", {pages} pages" if pages else ""))
    before, after = errors_of(rows)
    if len(before.char_lengths):
        typer.echo(
            f"CER of the guide {before.cer:.3f} before, {after.cer:.3f} after ({len(before.char_lengths)} lines with a "
            f"transcription, {before.char_lengths.sum()} characters)"
        )
    sys.stdout.flush()
