"""The mirror: a copy of a study's folder at an fsspec URI (s3://, gs://, file://), kept up while the search runs: it outlives the cluster.

Nothing is ever deleted there. `mirror.json`, beside the copies, says which state of each file has arrived. The journal is read before all
other files and written after them: it tells of no epoch whose files are not there. So a folder that is fetched back resumes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import split_protocol, url_to_fs

EVERY = 60.0  # seconds between two copies: what a lost cluster takes with it at most
AT_ONCE = (
    100  # files handed over in one go; those of a go that fails are sent again with the next copy
)
JOURNAL, RECORD = "study.journal", "mirror.json"


def open_target(uri: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URI and the path on it. Raises: ValueError, naming the package that is not installed."""
    protocol, _ = split_protocol(uri)
    try:
        return url_to_fs(
            uri, **({"auto_mkdir": True} if protocol in (None, "file", "local") else {})
        )
    except ImportError as error:
        raise ValueError(
            f"--mirror must be a URI whose fsspec package is installed, got {uri}: {error}. Install it into the environment "
            "of the driver, with pip"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"--mirror must be a URI that fsspec knows, such as s3://bucket/studies, got {uri}: {error}. Correct it, or "
            "install the package that knows it"
        ) from error


def mirror(folder: Path, uri: str) -> int:
    """Copies what is new or changed in a study's folder to `uri`/<its name>. Returns how many files it copied.

    Raises: ValueError for a URI that will not do; whatever the file system raises when it cannot be reached or written.
    """
    fs, root = open_target(uri)
    root = f"{root.rstrip('/')}/{folder.name}"
    journal = folder / JOURNAL
    held = journal.read_bytes() if journal.exists() else None
    arrived = read_record(fs, f"{root}/{RECORD}")
    new = {name: stamp for name, stamp in stamps(folder).items() if arrived.get(name) != stamp}
    try:
        for i in range(0, len(new), AT_ONCE):
            names = [name for name in list(new)[i : i + AT_ONCE] if (folder / name).exists()]
            fs.put([str(folder / name) for name in names], [f"{root}/{name}" for name in names])
            arrived |= {name: new[name] for name in names}
    finally:
        if new:
            fs.pipe_file(f"{root}/{RECORD}", json.dumps({"files": arrived}).encode())
    if held is not None:
        fs.pipe_file(f"{root}/{JOURNAL}", held)
    return len(new) + (held is not None)


def stamps(folder: Path) -> dict[str, list[int]]:
    """Size and time of every file to copy, by its path in the folder.

    Left out: the journal, half-written files, the lock, what a person asks of this run (control/), Ray's own state.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if (
            path.name.startswith(".")
            or name.parts[0] == "control"
            or name.parts[:2] == ("logs", "ray")
            or str(name) in (JOURNAL, RECORD)
        ):
            continue
        try:
            if path.is_file():
                held = path.stat()
                found[name.as_posix()] = [held.st_size, held.st_mtime_ns]
        except FileNotFoundError:  # it went as we looked
            continue
    return found


def read_record(fs: AbstractFileSystem, path: str) -> dict[str, Any]:
    """What has arrived; nothing where there is no record, or one that does not read."""
    try:
        return dict(json.loads(fs.cat_file(path))["files"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


@contextmanager
def mirrored(folder: Path, uri: str | None, say: Callable[[str], None]) -> Iterator[None]:
    """Inside, a thread keeps the mirror up, and once more at the end. Nothing without a URI.

    A mirror that cannot be reached is said and never takes the search down. Raises: ValueError for a URI that will not do.
    """
    if uri is None:
        yield
        return
    open_target(uri)
    over, fault = threading.Event(), ""

    def work() -> None:
        """Copies again and again, and once more when it is over."""
        nonlocal fault
        while True:
            last = over.wait(EVERY)
            try:
                mirror(folder, uri)
                fault = ""
            except (
                Exception
            ) as error:  # each file system has faults of its own, and none of them is the search's
                if not fault:
                    say(
                        f"note: the mirror {uri} cannot be written ({type(error).__name__}: {error}); the search goes on without"
                    )
                fault = f"{type(error).__name__}: {error}"
            if last:
                return

    thread = threading.Thread(target=work, name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if fault:
            say(
                f"note: not all of {folder} is at {uri} ({fault}). Copy the folder there by hand, or search on with --resume and --mirror"
            )
