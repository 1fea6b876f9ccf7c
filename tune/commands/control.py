"""The command line that steers a running search from a second terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

ACTIONS = ("status", "pause", "continue", "stop", "end")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def control(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    action: Annotated[
        str,
        typer.Argument(
            help="status, pause, continue, stop TRIAL, or end (as Ctrl-C; --resume goes on)."
        ),
    ] = "status",
    trial: Annotated[str | None, typer.Argument(help="The trial to stop, such as on-004.")] = None,
) -> None:
    """Looks at a running search, holds it, lets it go on, stops one of its trials, or ends it.

    A trial stops, holds or goes on at the end of its epoch. A held trial keeps its place and its memory on the device; `end` frees both.
    """
    from tune.study.folder import StudyError, StudyFolder

    try:
        if action not in ACTIONS:
            raise ValueError(f"the action must be one of {', '.join(ACTIONS)}, got {action!r}")
        if (trial is not None) != (action == "stop"):
            raise ValueError(
                f"stop must name a trial and nothing else may, got {' '.join(filter(None, (action, trial)))}"
            )
        folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
        if action != "status" and not folder.is_locked():
            raise StudyError(
                f"{folder.path}: a search must be running in this folder, got none. Start it with --resume"
            )
        print(act(folder.path, action, trial))
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


def act(study: Path, action: str, trial: str | None) -> str:
    """Does it, and says what was done. Raises: StudyError for a trial that does not run."""
    from tune.study.control_files import ControlFiles
    from tune.study.folder import StudyError

    files, trials = ControlFiles(study), standing(study)
    if action == "pause":
        files.ask_pause()
        return "paused: running trials hold at the end of their epoch, none starts; `continue` lets them go on"
    if action == "continue":
        files.go_on()
        return "goes on"
    if action == "end":
        files.go_on()
        files.ask_end()
        return "ends: running trials are kept as they are; python tune/search.py --resume goes on with them"
    if action == "stop":
        running = [name for name, held in trials.items() if held.get("status") == "running"]
        if trial not in running:
            raise StudyError(
                f"{study}: the trial to stop must be one that runs, got {trial}. There are: {', '.join(running) or 'none'}"
            )
        files.ask_stop(trial)
        return f"{trial} stops at the end of its epoch; it is kept as halted and cannot win"
    lines = [
        f"{name}: {held.get('status')}, epoch {held.get('epoch', 0)}"
        + (
            f", best {held['best_value']:.4g} in epoch {held['best_epoch']}"
            if held.get("best_value") is not None
            else ""
        )
        for name, held in trials.items()
    ]
    return "\n".join([*lines, "paused" if files.paused else f"{len(lines)} trials begun"])


def standing(study: Path) -> dict[str, dict]:
    """How each trial that began stands, by its result file; one in its first epoch has none yet."""
    found = {}
    for path in sorted((study / "trials").glob("*")):
        try:
            found[path.name] = json.loads((path / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found[path.name] = {"status": "running"}
    return found
