"""`python -m ganhtr data`: what is in a source of lines, and from one format to another."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Looks into a source of lines, and converts it.")
