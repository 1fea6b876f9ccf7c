"""The command line that steers a running search from a second terminal."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tune.commands.errors import errors_reported

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Action(StrEnum):
    """What to do with the search."""

    STATUS = "status"
    PAUSE = "pause"
    CONTINUE = "continue"
    STOP = "stop"
    END = "end"


@app.command()
def control(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    action: Annotated[
        Action, typer.Argument(help="`end` acts as Ctrl-C; search.py --resume continues.")
    ] = Action.STATUS,
    trial: Annotated[str | None, typer.Argument(help="The trial to stop, such as on-004.")] = None,
) -> None:
    """Show the status of a running search, pause or continue it, stop one of its trials, or end it.

    A trial stops or pauses at the end of its epoch. A paused trial keeps its place and its memory
    on the device; `end` frees both.
    """
    from tune.study.folder import StudyError, StudyFolder

    with errors_reported("interrupted"):
        if action == Action.STOP and trial is None:
            raise ValueError("stop needs the name of a trial, such as stop on-004")
        if action != Action.STOP and trial is not None:
            raise ValueError(f"{action} takes no trial, got {trial}. Only stop does")
        folder = StudyFolder.existing(study.resolve().parent, study.resolve().name)
        if action != Action.STATUS and not folder.is_locked():
            raise StudyError(
                f"{folder.path}: no search is running in this folder. Start it with --resume"
            )
        print(act(folder.path, action, trial))


def act(study: Path, action: str, trial: str | None) -> str:
    """Carry out the action. Returns a description. Raises: StudyError if the trial does not run."""
    from tune.study.control_files import ControlFiles
    from tune.study.folder import StudyError
    from tune.study.trial_status import TrialStatus

    files, trials = ControlFiles(study), results(study)
    if action == Action.PAUSE:
        files.request_pause()
        return "paused: running trials wait at the end of their epoch. `continue` ends the pause"
    if action == Action.CONTINUE:
        files.end_pause()
        return "continued"
    if action == Action.END:
        files.end_pause()
        files.request_end()
        return "ending: running trials are kept. python tune/search.py --resume continues them"
    if action == Action.STOP and trial is not None:
        running = [name for name, each in trials.items() if each["status"] == TrialStatus.RUNNING]
        if trial not in running:
            names = ", ".join(running) or "none"
            raise StudyError(f"{study}: trial {trial} is not running. Running trials: {names}")
        files.request_stop(trial)
        return f"{trial} stops at the end of its epoch. It is recorded as halted and cannot win"
    lines = [describe(name, result) for name, result in trials.items()]
    return "\n".join([*lines, "paused" if files.paused else f"{len(lines)} trials started"])


def describe(name: str, result: dict[str, Any]) -> str:
    """A trial's status in one line."""
    line = f"{name}: {result['status']}, epoch {result.get('epoch', 0)}"
    if result.get("best_value") is None:
        return line
    return f"{line}, best {result['best_value']:.4g} in epoch {result['best_epoch']}"


def results(study: Path) -> dict[str, dict[str, Any]]:
    """The latest result of each trial that has started. In its first epoch a trial has none yet."""
    from tune.study.trial_status import TrialStatus

    by_trial = {}
    for path in sorted((study / "trials").glob("*")):
        result: dict[str, Any] = {"status": TrialStatus.RUNNING.value}
        with suppress(OSError, ValueError):
            result |= json.loads((path / "result.json").read_text(encoding="utf-8"))
        by_trial[path.name] = result
    return by_trial
