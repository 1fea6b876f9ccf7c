"""`extends:` a space file lays its own values over another's: sections key by key, the extending file wins, null takes a key out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune.yaml_source import KeyPath, Source, SpaceError, read_yaml, show

MAX_DEPTH = 8
MERGED = ("budget", "early_stopping", "search", "constraints", "verdict", "baseline", "fixed", "derived", "space", "first")


def read_extended(path: Path, trail: tuple[Path, ...] = ()) -> Source:
    """The values of a space file with those of the files that it extends, each with file and line for faults.

    Raises: SpaceError for a file that cannot be read, a cycle, or too long a chain.
    """
    source = read_yaml(path)
    if not isinstance(source.value, dict) or "extends" not in source.value:
        return source
    name = source.value.pop("extends")
    if not isinstance(name, str) or not name:
        source.fault(("extends",), "the name or path of a space file", show(name), "Write extends: contrastive.yaml.")
        return source
    found = next((each for each in (path.parent / name, path.parent / f"{name}.yaml") if each.is_file()), None)
    if found is None:
        near = ", ".join(sorted(each.stem for each in path.parent.glob("*.yaml"))) or "none"
        source.fault(("extends",), "a space file beside this one", show(name), f"There are: {near}.")
        return source
    trail = (*trail, path.resolve())
    if found.resolve() in trail or len(trail) > MAX_DEPTH:
        what = "itself, by way of " + " -> ".join(each.name for each in (*trail, found)) if found.resolve() in trail else "a longer chain"
        source.fault(("extends",), f"free of cycles and at most {MAX_DEPTH} files long", what, "Take one `extends` out.")
        return source
    base = read_extended(found, trail)
    if not isinstance(base.value, dict):
        raise SpaceError([f"{found}: the file must be a mapping, got {show(base.value)}. See search_spaces/contrastive.yaml."])
    return _laid_over(base, source)


def _laid_over(base: Source, source: Source) -> Source:
    merged = Source(source.file, dict(base.value))
    merged.lines = {key: line for key, line in base.lines.items() if key}
    merged.files = {key: base.files.get(key, base.file) for key in base.lines if key}
    merged.refused = set(base.refused) | source.refused
    merged.take_faults(base)
    merged.take_faults(source)
    merged.lines[()] = source.lines.get((), 1)
    for key, value in source.value.items():
        if key in MERGED and isinstance(value, dict) and isinstance(merged.value.get(key), dict):
            merged.value[key] = _merged(merged.value[key], value)
            taken: list[KeyPath] = [(key, inner) for inner in value]
        else:
            merged.value[key] = value
            taken = [(key,)]
        if value is None and key in base.value:
            del merged.value[key]
        for path in taken:
            _forget(merged, path)
            for held, line in source.lines.items():
                if held[:len(path)] == path:
                    merged.lines[held] = line
        if (key,) in source.lines and key not in base.value:
            merged.lines[(key,)] = source.lines[(key,)]
    return merged


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**base, **own}.items() if not (key in own and own[key] is None)}


def _forget(source: Source, path: KeyPath) -> None:
    for held in [held for held in source.lines if held[:len(path)] == path]:
        del source.lines[held]
        source.files.pop(held, None)
