"""What `--warm-start` names: a file or a folder, and perhaps one of several studies in it."""

from __future__ import annotations

import os
import re

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
    held = next((place for place in sorted(places, reverse=True) if os.path.exists(text[:place])), min(places))
    return text[:held], text[held + 2:]


def _refuse(scheme: str) -> None:
    if scheme.lower() == "file" or scheme.lower().startswith("sqlite"):
        raise ValueError(f"{scheme}://…: a warm start must be from a path or {PREFIX}path, got another address of a file. Write the path "
                         "itself")
    raise ValueError(f"{scheme}://…: a warm start must be from a file or a folder, got a server. Copy the study into a file first "
                     "(optuna.copy_study)")
