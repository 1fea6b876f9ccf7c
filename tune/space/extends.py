"""`extends:` lets a space file change another one.

Sections are merged key by key; the extending file wins, and null removes a key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tune.space.settings import SECTIONS
from tune.space.source import KeyPath, Source, SpaceError, hint, show
from tune.space.yaml_text import read_yaml

LONGEST_CHAIN = 8


def read_extended(path: Path, trail: tuple[Path, ...] = ()) -> Source:
    """Return the values of a space file merged into those of the file that it extends.

    trail: the files that lead to this one.

    Raises: SpaceError for a file that cannot be read.
    """
    source = read_yaml(path)
    if not isinstance(source.value, dict) or "extends" not in source.value:
        return source
    trail = (*trail, path.resolve())
    base_path = _extended_file(source, source.value.pop("extends"), path, trail)
    if base_path is None:
        return source
    base = read_extended(base_path, trail)
    if not isinstance(base.value, dict):
        raise SpaceError(
            [
                f"{base_path}: the file must be a mapping, got {show(base.value)}. "
                "See search_spaces/contrastive.yaml."
            ]
        )
    return _merged(base, source)


def _extended_file(source: Source, name: Any, path: Path, trail: tuple[Path, ...]) -> Path | None:
    """Return the file that `path` extends; None after a fault."""
    where = ("extends",)
    if not isinstance(name, str) or not name:
        source.must_be(
            where, "the name or path of a space file", show(name), "Write extends: contrastive."
        )
        return None
    candidates = (path.parent / name, path.parent / f"{name}.yaml")
    file = next((candidate for candidate in candidates if os.path.isfile(candidate)), None)
    if file is None:
        others = tuple(
            sorted(other.stem for other in path.parent.glob("*.yaml") if other.name != path.name)
        )
        fix = near_files(name, others) if others else "There is no other .yaml file beside it."
        source.fault(where, f"there is no file {show(name)} beside this one. {fix}")
    elif file.resolve() in trail:
        cycle = " -> ".join(member.name for member in (*trail, file))
        source.fault(where, f"the files form a cycle: {cycle}. Remove one `extends`.")
    elif len(trail) == LONGEST_CHAIN:
        source.fault(
            where, f"more than {LONGEST_CHAIN} files extend each other. Merge some of them."
        )
    else:
        return file
    return None


def near_files(name: str | Path, names: tuple[str, ...]) -> str:
    """Return the names of space files, or the nearest one if there are many."""
    nearest = hint(Path(name).stem, names)
    if "--dry-run" in nearest:
        return f"There are {len(names)} files, none with a similar name."
    return nearest


def _merged(base: Source, source: Source) -> Source:
    """Return the values of `source` merged into those of `base`."""
    merged = Source(source.file, dict(base.value))
    merged.lines = {**base.lines, (): source.lines.get((), 1)}
    merged.files = {path: base.files.get(path, base.file) for path in base.lines if path}
    merged.refused = base.refused | source.refused
    merged.faults.extend(source.faults)
    merged.faults.extend(base.faults)
    for key, value in source.value.items():
        if key in SECTIONS and isinstance(value, dict) and isinstance(base.value.get(key), dict):
            section = merged.value[key] = dict(base.value[key])
            for inner, inner_value in value.items():
                _set(merged, source, section, (key, inner), inner_value)
        else:
            _set(merged, source, merged.value, (key,), value)
    return merged


def _set(
    merged: Source, source: Source, mapping: dict[str, Any], path: KeyPath, value: Any
) -> None:
    """Set a value of `source`, with its lines, in a mapping of `merged`; null removes the key."""
    key, size = path[-1], len(path)
    for stale in [other for other in merged.lines if other[:size] == path]:
        del merged.lines[stale]
        merged.files.pop(stale, None)
    merged.lines |= {other: line for other, line in source.lines.items() if other[:size] == path}
    if value is not None or path in source.refused:
        mapping[key] = value
    elif key in mapping:
        del mapping[key]
    elif path != ("space",):  # `space:` alone says that nothing is searched
        merged.fault(
            path, "null removes a key of the extended space, which does not have it. Remove it."
        )
