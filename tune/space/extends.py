"""`extends:` a space file lays its own values over another's: sections key by key, the extending file wins, null takes a key out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tune.space.source import SECTIONS, KeyPath, Source, SpaceError, known, show
from tune.space.yaml_text import read_yaml

LONGEST_CHAIN = 8


def read_extended(path: Path, trail: tuple[Path, ...] = ()) -> Source:
    """The values of a space file laid over those of the file that it extends, each with its file and line for faults.

    Raises: SpaceError for a file that cannot be read.
    """
    source = read_yaml(path)
    if not isinstance(source.value, dict) or "extends" not in source.value:
        return source
    trail = (*trail, path.resolve())
    found = _extended(source, source.value.pop("extends"), path, trail)
    if found is None:
        return source
    base = read_extended(found, trail)
    if not isinstance(base.value, dict):
        raise SpaceError(
            [
                f"{found}: the file must be a mapping, got {show(base.value)}. See search_spaces/contrastive.yaml."
            ]
        )
    return _laid_over(base, source)


def _extended(source: Source, name: Any, path: Path, trail: tuple[Path, ...]) -> Path | None:
    """The file that `path` extends, or None after a fault."""
    where = ("extends",)
    if not isinstance(name, str) or not name:
        source.fault(
            where, "the name or path of a space file", show(name), "Write extends: contrastive."
        )
        return None
    found = next(
        (
            each
            for each in (path.parent / name, path.parent / f"{name}.yaml")
            if os.path.isfile(each)
        ),
        None,
    )
    if found is None:
        names = tuple(
            sorted(each.stem for each in path.parent.glob("*.yaml") if each.name != path.name)
        )
        hint = near_files(name, names) if names else "There is no other .yaml file beside it."
        source.fault(
            where, "a space file beside this one, or a path from its folder", show(name), hint
        )
    elif found.resolve() in trail:
        source.fault(
            where,
            "free of cycles",
            " -> ".join(each.name for each in (*trail, found)),
            "Take one `extends` out.",
        )
    elif len(trail) == LONGEST_CHAIN:
        source.fault(
            where,
            f"the last of at most {LONGEST_CHAIN} files",
            "a longer chain",
            "Write some of them as one file.",
        )
    else:
        return found
    return None


def near_files(name: str | Path, names: tuple[str, ...]) -> str:
    """The names of space files, or of many the nearest."""
    hint = known(Path(name).stem, names)
    return (
        f"There are {len(names)} files, none with a name like it." if "--dry-run" in hint else hint
    )


def _laid_over(base: Source, source: Source) -> Source:
    """The values of `source` over those of `base`."""
    merged = Source(source.file, dict(base.value))
    merged.lines = {**base.lines, (): source.lines.get((), 1)}
    merged.files = {path: base.files.get(path, base.file) for path in base.lines if path}
    merged.refused = base.refused | source.refused
    merged.take_faults(source)
    merged.take_faults(base)
    for key, value in source.value.items():
        if key in SECTIONS and isinstance(value, dict) and isinstance(base.value.get(key), dict):
            section = merged.value[key] = dict(base.value[key])
            for inner, held in value.items():
                _lay(merged, source, section, (key, inner), held)
        else:
            _lay(merged, source, merged.value, (key,), value)
    return merged


def _lay(merged: Source, source: Source, held: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Puts a value of `source` into a mapping of `merged`, with its lines; null takes the key out."""
    key, size = path[-1], len(path)
    for stale in [each for each in merged.lines if each[:size] == path]:
        del merged.lines[stale]
        merged.files.pop(stale, None)
    merged.lines |= {each: line for each, line in source.lines.items() if each[:size] == path}
    if value is not None or path in source.refused:
        held[key] = value
    elif key in held:
        del held[key]
    elif path != ("space",):  # `space:` alone says that nothing is searched
        merged.fault(
            path,
            "a key of the extended space, to be taken out of it with null",
            "one that it does not have",
            "Remove it.",
        )
