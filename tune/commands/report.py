"""The command line that writes a study's report again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    arms: Annotated[
        tuple[str, str] | None,
        typer.Option(help="The two trials to compare. Default: OFF and the best other one."),
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="Trials of the first arm, one a seed: off-000,off-001.")
    ] = None,
    second: Annotated[
        str | None, typer.Option(help="Trials of the second arm, one a seed: on-000,on-001.")
    ] = None,
    images: Annotated[bool, typer.Option(help="Whether the report shows sample images.")] = True,
) -> None:
    """Writes report.md, trials.csv and best/ of a study folder from its journal and its trials, and prints the result."""
    from tune.reporting.study_report import finish
    from tune.study.folder import StudyError, StudyFolder
    from tune.study.journal import trials_in

    try:
        chosen = chosen_arms(arms, first, second)
        folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
        request = folder.request()
        if not folder.journal.exists():
            raise StudyError(f"{folder.journal}: must exist, got a study that ran no trial yet")
        finish(folder, request, trials_in(folder.journal), sys.stdout, chosen, images)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


def chosen_arms(
    arms: tuple[str, str] | None, first: str | None, second: str | None
) -> tuple[list[str], list[str]] | None:
    """The trials of the two arms that the options name, or None. Raises: ValueError when they name one arm, or an arm twice."""
    if arms is not None and (first or second):
        raise ValueError("--arms must stand alone, got --first or --second beside it. Use either")
    if arms is not None:
        return [arms[0]], [arms[1]]
    if (first is None) != (second is None):
        raise ValueError(
            f"--{'second' if second is None else 'first'} must be given too, got the other arm alone. Name both arms"
        )
    return None if first is None or second is None else (first.split(","), second.split(","))
