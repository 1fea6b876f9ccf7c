"""The source of a warm start: a study folder, an Optuna journal or SQLite file, and a study of it.

`SOURCE::NAME` names one of several studies in a source.
"""

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
from tune.arm import ON
from tune.space.source import LONGEST_FAULT, printable
from tune.warm_start.optuna_journal import read_journal
from tune.warm_start.optuna_sqlite import MAGIC, PREFIX, read_sqlite
from tune.warm_start.source_study import SourceStudy, check_size

MAX_SETTINGS = 2**22  # bytes of study.yaml and of environment.json


@dataclass(frozen=True)
class Origin:
    """A study of a source, with notes for the user.

    More is known of a study folder: `settings`, the configuration that all its trials had;
    `constraints`, as its space file has them; `scale`, why its values cannot be compared with those
    of the search, if they cannot.
    """

    study: SourceStudy
    label: str
    notes: tuple[str, ...]
    from_folder: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    constraints: Any = None
    scale: str | None = None


def split_source(source: str) -> tuple[Path, str]:
    """Split a source into its path and the name of its study, which is empty if none is named.

    Both may contain `::`: the path is the longest one that exists.

    Raises: ValueError for an address that is not a path.
    """
    scheme = re.match(r"([A-Za-z][\w+.-]*)://", source)
    if scheme and not source.startswith(PREFIX):
        is_file = scheme[1].lower().startswith(("file", "sqlite"))
        fix = "Write the path itself" if is_file else "Copy the study to a file (optuna.copy_study)"
        raise ValueError(
            f"{scheme[1]}://…: a warm start reads a path or {PREFIX}path, not this address. {fix}"
        )
    text = source.removeprefix(PREFIX)
    ends = [len(text), *(match.start() for match in re.finditer("(?=::)", text))]
    existing = [end for end in ends if os.path.exists(text[:end])]
    end = max(existing, default=min(ends))
    return Path(text[:end]), text[end + 2 :]


def find_origin(source: str, objectives: Sequence[str], environment: Mapping[str, Any]) -> Origin:
    """The study that a source names. Raises: ValueError."""
    try:
        path, name = split_source(source)
        if path.name == "study.journal" and path.with_name("study.yaml").is_file():
            path = path.parent
        if path.is_dir():
            return _from_folder(path, name, objectives, environment)
        studies, notes = _stored(path)
        study = _chosen(path, studies, name)
        return Origin(study, f"{path.name}/{study.name}", tuple(notes))
    except OSError as error:
        place = error.filename or source
        message = f"{place}: cannot be read ({error.strerror}). Check its path and permissions"
        raise ValueError(printable(message, LONGEST_FAULT)) from error
    except ValueError as error:  # it may quote the text of a stranger
        raise ValueError(printable(str(error), LONGEST_FAULT)) from error


def _stored(path: Path) -> tuple[list[SourceStudy], list[str]]:
    """The studies in a journal or an SQLite file."""
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise ValueError(
            f"{path}: {what}. A warm start reads a study folder, an Optuna journal or an Optuna "
            "SQLite file"
        )
    check_size(path, path.stat().st_size)
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    return (read_sqlite(path), []) if head == MAGIC else read_journal(path)


def _chosen(path: Path, studies: Sequence[SourceStudy], name: str) -> SourceStudy:
    names = printable(", ".join(study.name for study in studies[:20]))
    if not studies:
        raise ValueError(f"{path}: there is no study in it. Check the path")
    if not name and len(studies) > 1:
        raise ValueError(
            f"{path}: there are {len(studies)} studies in it. Name one with {path}::NAME: {names}"
        )
    for study in studies:
        if study.name == name or not name:
            return study
    raise ValueError(f"{path}: there is no study {name!r} in it. There are: {names}")


def _from_folder(
    path: Path, name: str, objectives: Sequence[str], environment: Mapping[str, Any]
) -> Origin:
    """The ON arm of a study folder, which tells how its values came about."""
    if not (path / "study.yaml").is_file() or not (path / "study.journal").is_file():
        raise ValueError(
            f"{path}: not a study folder, which has study.yaml and study.journal. For another "
            "storage, name the file itself"
        )
    request = _mapping(path / "study.yaml")
    config = request["config"] if isinstance(request.get("config"), dict) else {}
    if is_older(config):
        raise ValueError(refusal(path / "study.yaml"))
    theirs = _mapping(path / "environment.json")
    space = request["space"] if isinstance(request.get("space"), dict) else {}
    studies, notes = _stored(path / "study.journal")
    study = _chosen(path, [study for study in studies if study.name == ON], name)
    settings = {
        key: value for key, value in config.items() if isinstance(value, (str, bool, int, float))
    }
    maximised = _names(space.get("objective"))
    # With weak recognizers a search maximises another metric than its space asks for.
    maximised[:1] = _names(theirs.get("objective")) or maximised[:1]
    scale = None
    if maximised != list(objectives):
        scale = (
            f"it maximised {' and '.join(maximised) or 'an unknown objective'}, and this search "
            f"maximises {' and '.join(objectives)}"
        )
    elif environment and _digest(theirs, "data") != _digest(environment, "data"):
        scale = "it ran on other data"
    elif environment and _digest(theirs, "recognizers", "guide") != _digest(
        environment, "recognizers", "guide"
    ):
        notes.append(
            "another guide read its lines: its CER and WER may differ a little from this search's"
        )
    label = f"{path.resolve().name}/{ON}"
    return Origin(study, label, tuple(notes), True, settings, space.get("constraints"), scale)


def _names(value: Any) -> list[str]:
    """A name or the names in a list; nothing else counts."""
    return [
        name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)
    ]


def _digest(environment: Mapping[str, Any], *keys: str) -> Any:
    value: Any = environment
    for key in (*keys, "digest"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _mapping(path: Path) -> dict[str, Any]:
    """A settings file of a study. Raises: ValueError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SETTINGS).decode()
        plain = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: not as a search wrote it. Restore the file from a backup")
    return plain
