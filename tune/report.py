"""Writes a study's report again: `python tune/report.py results/<name>`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # a script's own folder comes first; the packages lie one above it

import typer  # noqa: E402


def report(study: Path) -> None:
    """Writes report.md, trials.csv and best/ of a study folder from its journal and its trials, and prints the result."""
    from tune.driver import finish
    from tune.searcher import OptunaSearcher
    from tune.study import StudyError, StudyFolder

    try:
        folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
        request = folder.request()
        if not folder.journal.exists():
            raise StudyError(f"{folder.journal}: must exist, got a study that ran no trial yet")
        searcher = OptunaSearcher(request.space, folder.journal, request.trials, request.seed)
        searcher.open()
        finish(folder, request, searcher, sys.stdout)
    except StudyError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(report)
