"""The command line that writes a study's report again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tune.commands.errors import errors_reported

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    arms: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two trials to compare. Default: OFF and the best other one."),
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="Trials of the first arm, one per seed: off-000,off-001.")
    ] = None,
    second: Annotated[
        str | None, typer.Option(help="Trials of the second arm, one per seed: on-000,on-001.")
    ] = None,
    images: Annotated[bool, typer.Option(help="Show sample images in the report.")] = True,
) -> None:
    """Write report.md, trials.csv and best/ of a study again, and print the result."""
    from tune.reporting.study_report import finish
    from tune.study.folder import StudyError, StudyFolder
    from tune.study.journal import trials_in

    with errors_reported("interrupted"):
        chosen = chosen_arms(arms, first, second)
        folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
        request = folder.request()
        if not folder.journal.exists():
            raise StudyError(f"{folder.journal}: not there, as the study has run no trial yet")
        finish(folder, request, trials_in(folder.journal), sys.stdout, chosen, images)


def chosen_arms(
    arms: tuple[str, str] | None, first: str | None, second: str | None
) -> tuple[list[str], list[str]] | None:
    """The trials of both arms that the options name; None without these options.

    Raises: ValueError if only one arm is named, or an arm twice.
    """
    if arms is not None and (first or second):
        raise ValueError("--arms cannot be combined with --first and --second. Use either")
    if arms is not None:
        return [arms[0]], [arms[1]]
    if first is None and second is None:
        return None
    if first is None or second is None:
        missing = "--second" if second is None else "--first"
        raise ValueError(f"{missing} is missing. Name both arms")
    return first.split(","), second.split(",")
