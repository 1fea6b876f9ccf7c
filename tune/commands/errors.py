"""How a command line reports errors: the message on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

INVALID, INTERRUPTED = 2, 130  # exit codes


@contextmanager
def errors_reported(interrupted: str) -> Iterator[None]:
    """Turn a ValueError or Ctrl-C into a message and an exit code; other errors are bugs.

    interrupted: what to print after Ctrl-C.
    """
    try:
        yield
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(INVALID) from None
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
