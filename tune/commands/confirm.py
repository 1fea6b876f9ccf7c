"""The command line of a confirmation: a verdict on a study, or on a table of anyone's runs."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def confirm(
    study: Annotated[Path | None, typer.Argument(help="The folder of a finished study.")] = None,
    lines: Annotated[
        Path | None,
        typer.Option("--from", help="A table of your own: arm, seed, line, metric, value, weight."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Seeds of the judgement; those that ran are kept. Default: the space's."
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="Configurations that the choice is made among. Default: the space's."
        ),
    ] = None,
    shuffled: Annotated[
        bool,
        typer.Option(
            "--shuffled", help="Also run the chosen one with texts that belong to other lines."
        ),
    ] = False,
    primary: Annotated[
        str | None,
        typer.Option(help="With --from: the primary metric. Default: the space's, else psnr."),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="With --from: a space whose `verdict:` names primary metric and margins."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster to join, such as auto. Default: start Ray here."),
    ] = None,
) -> None:
    """Chooses one configuration on fresh seeds, judges it against OFF on the test lines with others, and says how sure that is."""
    from tune.runner.interrupts import sigterm_as_interrupt

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know ASCII only
    try:
        if study is not None and lines is not None:
            raise ValueError(
                "confirm takes the folder of a study, or --from with a table, got both. Leave one out"
            )
        if lines is not None:
            print(
                judged(
                    lines,
                    space,
                    primary,
                    dict(seeds=seeds, top=top, shuffled=shuffled or None, address=address),
                )
            )
            return
        if study is None:
            raise ValueError(
                "confirm takes the folder of a study, or --from with a table, got neither. Name one"
            )
        if space is not None or primary is not None:
            raise ValueError(
                f"--space and --primary must go with --from, got one with {study}, which has its own. Leave it out"
            )
        with sigterm_as_interrupt():
            code = 0 if confirmed(study, seeds, top, shuffled, address) else 130
    except ValueError as error:
        print(error, file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        code = 130
    raise typer.Exit(code)


def judged(lines: Path, space: Path | None, primary: str | None, others: dict) -> str:
    """The verdict on a table. Raises: ValueError for a fault of the table or of the options."""
    from tune.space.load import load_space
    from tune.space.settings import VerdictSettings
    from tune.verdict.judge import judge
    from tune.verdict.line_values import read_line_values
    from tune.verdict.wording import report

    given = [f"--{name}" for name, value in others.items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} must go with a study, got it with --from. Leave it out"
        )
    settings = load_space(space).verdict if space else VerdictSettings()
    return report(
        judge(read_line_values(lines), settings, primary or (settings.primary if space else None))
    )


def confirmed(
    study: Path, seeds: int | None, top: int | None, shuffled: bool, address: str | None
) -> bool:
    """Runs what is missing for the verdict on a study. Returns False when it was interrupted. Raises: ValueError."""
    from tune.driver import run_confirmation
    from tune.runner.preparation import open_data
    from tune.study.folder import StudyFolder

    folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
    request = folder.request()
    pairs = open_data(request, lambda line: print(line, flush=True))
    return run_confirmation(folder, request, pairs, address, sys.stdout, seeds, top, shuffled)
