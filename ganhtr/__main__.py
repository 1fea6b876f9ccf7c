"""`python -m ganhtr`: the commands data, recognizer, restore and export."""

from __future__ import annotations

import sys

import typer

from ganhtr.commands import data, recognizer
from ganhtr.commands.export import export
from ganhtr.commands.restore import restore

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.add_typer(recognizer.app, name="recognizer")
app.command()(restore)
app.command()(export)


def main() -> None:
    """Run a command. Invalid input prints its error message and exits with code 2."""
    try:
        app()
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
