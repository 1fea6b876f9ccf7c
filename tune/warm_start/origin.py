"""Where a warm start comes from: a study folder of ours, an Optuna journal, an Optuna SQLite file; one study of it is chosen."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ganhtr.older_version import is_older, refusal
from tune.space.source import LONGEST_FAULT, printable
from tune.warm_start.optuna_journal import read_journal
from tune.warm_start.optuna_sqlite import MAGIC, read_sqlite
from tune.warm_start.source_study import MAX_BYTES, SourceStudy

LONGEST_SETTINGS = 2**22  # bytes


@dataclass(frozen=True)
class Origin:
    """A study found in a source, and what to tell the user of it.

    Of a study of ours more is known: `settings`, the configuration that all its trials had; `constraints`, as its space file has them;
    `scale`, why its values are of another scale than those of the search, where they are.
    """

    study: SourceStudy
    label: str
    said: tuple[str, ...]
    ours: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    constraints: Any = None
    scale: str | None = None


def find_origin(source: str, objectives: Sequence[str], environment: Mapping[str, Any]) -> Origin:
    """The study that a source names. Raises: ValueError."""
    try:
        return _found(source, objectives, environment)
    except ValueError as error:  # it may quote the source's own text
        raise ValueError(printable(str(error), LONGEST_FAULT)) from error


def _found(source: str, objectives: Sequence[str], environment: Mapping[str, Any]) -> Origin:
    place, wanted = split_source(source)
    path = Path(place)
    try:
        if path.name == "study.journal" and path.with_name("study.yaml").is_file():
            path = path.parent
        if path.is_dir():
            return _own(path, wanted, objectives, environment)
        studies, said = _stored(path)
    except OSError as error:
        raise ValueError(
            f"{error.filename or path}: must be readable, got: {error.strerror}. Check path and permissions"
        ) from error
    chosen = _chosen(path, studies, wanted)
    return Origin(chosen, f"{path.name}/{chosen.name}", tuple(said))


def _stored(path: Path) -> tuple[list[SourceStudy], list[str]]:
    """The studies in a file, whichever kind it is."""
    if not path.is_file():
        got = "something else" if path.exists() else "nothing there"
        raise ValueError(
            f"{path}: must be a study folder of ours, an Optuna journal or an Optuna SQLite file, got {got}. Check the path"
        )
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"{path}: must be at most {MAX_BYTES >> 20} MiB, got {path.stat().st_size >> 20}. Copy the study alone into a new "
            "storage (optuna.copy_study)"
        )
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    return (read_sqlite(path), []) if head == MAGIC else read_journal(path)


def _chosen(path: Path, studies: Sequence[SourceStudy], wanted: str) -> SourceStudy:
    names = printable(", ".join(study.name for study in studies[:20]))
    if not studies:
        raise ValueError(f"{path}: must hold a study, got none. Check the path")
    if not wanted and len(studies) > 1:
        raise ValueError(
            f"{path}: must be told which study to take, got {len(studies)} of them. Write {path}::NAME with one of: {names}"
        )
    for study in studies:
        if study.name == wanted or not wanted:
            return study
    raise ValueError(
        f"{path}: must hold the study that is asked for, got no {wanted!r}. There are: {names}"
    )


def _own(
    path: Path, wanted: str, objectives: Sequence[str], environment: Mapping[str, Any]
) -> Origin:
    """The ON arm of a study of ours, of which is known how its values came about."""
    if not (path / "study.yaml").is_file() or not (path / "study.journal").is_file():
        raise ValueError(
            f"{path}: a folder must be a study of ours with study.yaml and study.journal, got one without. Name the file "
            "itself of another storage"
        )
    asked = _plain(path / "study.yaml")
    config = asked["config"] if isinstance(asked.get("config"), dict) else {}
    if is_older(config):
        raise ValueError(refusal(path / "study.yaml"))
    held = _plain(path / "environment.json")
    studies, said = _stored(path / "study.journal")
    chosen = _chosen(path, [study for study in studies if study.name == "on"], wanted)
    space = asked["space"] if isinstance(asked.get("space"), dict) else {}
    settings = {
        key: value for key, value in config.items() if isinstance(value, (str, bool, int, float))
    }
    theirs = _names(space.get("objective"))
    # A search whose recognizers were weak maximised something else than was asked for.
    theirs[:1] = _names(held.get("objective")) or theirs[:1]
    scale = None
    if theirs != list(objectives):
        scale = f"it maximised {' and '.join(theirs) or 'what it does not say'}, and this search {' and '.join(objectives)}"
    elif environment and _digest(held, "data") != _digest(environment, "data"):
        scale = "it ran on other data"
    elif environment and _digest(held, "recognizers", "guide") != _digest(
        environment, "recognizers", "guide"
    ):
        said.append(
            "another guide read its lines: its CER and WER may differ a little from this search's"
        )
    return Origin(
        chosen,
        f"{path.resolve().name}/on",
        tuple(said),
        True,
        settings,
        space.get("constraints"),
        scale,
    )


def _names(held: Any) -> list[str]:
    """One name or a list of names; nothing of what is none."""
    return [name for name in (held if isinstance(held, list) else [held]) if isinstance(name, str)]


def _digest(environment: Mapping[str, Any], *keys: str) -> Any:
    held: Any = environment
    for key in (*keys, "digest"):
        held = held.get(key) if isinstance(held, Mapping) else None
    return held


def _plain(path: Path) -> dict[str, Any]:
    """A settings file of a study. Raises: ValueError."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_SETTINGS).decode()
        held = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: must be as a search wrote it, got a file that does not load. Put it back from a copy"
        ) from error
    if not isinstance(held, dict):
        raise ValueError(
            f"{path}: must be as a search wrote it, got no mapping. Put it back from a copy"
        )
    return held


PREFIX = "sqlite:///"


def split_source(source: str) -> tuple[str, str]:
    """The path, and the name of the study behind `::` (empty where none is asked for). Both may hold `::` themselves.

    Raises: ValueError for an address that is no path.
    """
    scheme = re.match(r"([A-Za-z][\w+.-]*)://", source)
    if scheme and not source.startswith(PREFIX):
        _refuse(scheme[1])
    text = source.removeprefix(PREFIX)
    places = [len(text), *(found.start() for found in re.finditer("(?=::)", text))]
    held = next(
        (place for place in sorted(places, reverse=True) if os.path.exists(text[:place])),
        min(places),
    )
    return text[:held], text[held + 2 :]


def _refuse(scheme: str) -> None:
    if scheme.lower() == "file" or scheme.lower().startswith("sqlite"):
        raise ValueError(
            f"{scheme}://…: a warm start must be from a path or {PREFIX}path, got another address of a file. Write the path "
            "itself"
        )
    raise ValueError(
        f"{scheme}://…: a warm start must be from a file or a folder, got a server. Copy the study into a file first "
        "(optuna.copy_study)"
    )
