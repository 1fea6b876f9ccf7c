"""The command line of a confirmation: a verdict on a study, or on a table of runs."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from tune.commands.errors import INTERRUPTED, errors_reported

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def confirm(
    study: Annotated[Path | None, typer.Argument(help="Folder of a finished study.")] = None,
    lines: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A table of runs (CSV) instead: arm, seed, line, metric, value, weight.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Seeds of the judgement. Runs that exist are reused. Default: the space's."
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Configurations to choose from. Default: the space's."),
    ] = None,
    shuffled: Annotated[
        bool,
        typer.Option(
            "--shuffled", help="Also judge the chosen one with texts that belong to other lines."
        ),
    ] = False,
    primary: Annotated[
        str | None,
        typer.Option(
            help="With --from: the primary metric. Default: the space's, else score or psnr."
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="With --from: a space file whose `verdict` section names the primary metric and "
            "the margins."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to join, such as auto. Default: start Ray here."),
    ] = None,
) -> None:
    """Choose a configuration on fresh seeds and judge it against OFF on the test lines."""
    from tune.runner.interrupts import sigterm_as_interrupt

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the terminal may be limited to ASCII
    with errors_reported("interrupted. The same command continues"):
        if (study is None) == (lines is None):
            count = "both" if study else "neither"
            raise ValueError(f"Name the folder of a study, or a table with --from. Got {count}")
        if lines is not None:
            of_a_study = {"seeds": seeds, "top": top, "shuffled": shuffled or None}
            refuse_options("--from", {**of_a_study, "address": address})
            print(judged(lines, space, primary))
        elif study is not None:
            refuse_options("a study", {"space": space, "primary": primary})
            with sigterm_as_interrupt():
                finished = confirmed(study, seeds, top, shuffled, address)
            if not finished:
                raise typer.Exit(INTERRUPTED)


def refuse_options(source: str, options: dict[str, object]) -> None:
    """Raises: ValueError for options that do not apply to this source of runs."""
    names = [f"--{name}" for name, value in options.items() if value is not None]
    if names:
        raise ValueError(f"{', '.join(names)} does not apply to {source}. Leave it out")


def judged(lines: Path, space: Path | None, primary: str | None) -> str:
    """The verdict on a table, as text. Raises: ValueError for a fault of the table or the space."""
    from tune.space.load import load_space
    from tune.space.settings import VerdictSettings
    from tune.verdict.judge import judge
    from tune.verdict.line_values import read_line_values
    from tune.verdict.wording import report

    table, settings = read_line_values(lines), VerdictSettings()
    if space:
        loaded = load_space(space)
        settings = loaded.verdict
        if loaded.primary in table.metrics:
            primary = primary or loaded.primary
    return report(judge(table, settings, primary))


def confirmed(
    study: Path, seeds: int | None, top: int | None, shuffled: bool, address: str | None
) -> bool:
    """Confirm a study; runs that exist are reused.

    Returns: whether it is finished; False after an interruption. Raises: ValueError.
    """
    from tune.driver import ConfirmationOptions, run_confirmation
    from tune.runner.preparation import open_data
    from tune.study.folder import StudyFolder

    folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
    request = folder.request()
    pairs = open_data(request, lambda line: print(line, flush=True))
    options = ConfirmationOptions.of(request, seeds, top, shuffled)
    return run_confirmation(folder, request, pairs, address, sys.stdout, options)
