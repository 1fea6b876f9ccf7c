"""The mirror: a copy of a study folder at an fsspec URI, which outlives the cluster.

A thread updates it while the search runs. Nothing is ever deleted there. `mirror.json`, beside the
copies, records which state of each file has arrived. The journal is read before all other files and
written after them, so that it mentions no epoch whose files are missing: a folder copied back can
be resumed.
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

EVERY = 60.0  # seconds between two copies: the most that is lost with a cluster
AT_ONCE = 100  # files in one transfer; a transfer that fails is repeated with the next copy
JOURNAL, RECORD = "study.journal", "mirror.json"


def open_target(uri: str) -> tuple[AbstractFileSystem, str]:
    """Open the file system of a URI.

    Returns: the file system and the path on it.
    Raises: ValueError if the URI is unknown, or names a package that is not installed.
    """
    protocol, _ = split_protocol(uri)
    options = {"auto_mkdir": True} if protocol in (None, "file", "local") else {}
    try:
        return url_to_fs(uri, **options)
    except ImportError as error:
        raise ValueError(
            f"--mirror {uri}: the fsspec package of this protocol is not installed ({error}). "
            "Install it into the environment of the driver with pip"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"--mirror {uri}: not a URI that fsspec knows ({error}). Write for instance "
            "s3://bucket/studies, or install the package that knows it"
        ) from error


def mirror(folder: Path, uri: str) -> int:
    """Copy what is new or changed in a study folder to `uri`/<its name>.

    Returns: the number of files copied.
    Raises: ValueError for an unusable URI; any error of a file system that cannot be written.
    """
    fs, root = open_target(uri)
    root = f"{root.rstrip('/')}/{folder.name}"
    journal = (folder / JOURNAL).read_bytes() if (folder / JOURNAL).exists() else None
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
    if journal is None:
        return len(new)
    fs.pipe_file(f"{root}/{JOURNAL}", journal)
    return len(new) + 1


def stamps(folder: Path) -> dict[str, list[int]]:
    """Size and modification time (ns) of every file to copy, by its path in the folder.

    Left out: the journal, half-written files, the lock, control/, and Ray's own state.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = path.name.startswith(".")
        private = name.parts[0] == "control" or name.parts[:2] == ("logs", "ray")
        if hidden or private or str(name) in (JOURNAL, RECORD):
            continue
        try:
            if path.is_file():
                status = path.stat()
                files[name.as_posix()] = [status.st_size, status.st_mtime_ns]
        except FileNotFoundError:  # removed meanwhile
            continue
    return files


def read_record(fs: AbstractFileSystem, path: str) -> dict[str, Any]:
    """What has arrived; empty if there is no readable record."""
    try:
        return dict(json.loads(fs.cat_file(path))["files"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


@contextmanager
def mirrored(folder: Path, uri: str | None, say: Callable[[str], None]) -> Iterator[None]:
    """Update the mirror in a thread, and once more at the end. Does nothing without a URI.

    A mirror that cannot be reached is reported and never ends the search.
    Raises: ValueError for an unusable URI.
    """
    if uri is None:
        yield
        return
    open_target(uri)
    over, fault = threading.Event(), ""

    def work() -> None:
        """Copy at intervals, and once more at the end."""
        nonlocal fault
        last = False
        while not last:
            last = over.wait(EVERY)
            try:
                mirror(folder, uri)
                fault = ""
            except Exception as error:  # every file system has its own errors
                message = f"{type(error).__name__}: {error}"
                if not fault:
                    say(f"note: cannot write the mirror {uri} ({message}); the search continues")
                fault = message

    thread = threading.Thread(target=work, name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if fault:
            say(
                f"note: the mirror {uri} of {folder} is incomplete ({fault}). Copy the folder by "
                "hand, or resume with --resume and --mirror"
            )
