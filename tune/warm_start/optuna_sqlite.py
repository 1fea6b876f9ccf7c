"""The studies in an Optuna SQLite file, of any version from 1.3 on.

The tables are read as they are. Optuna would first raise an older file to its own schema, which rewrites it, and which fails for files of
version 2.3 and older that hold intermediate values. SQLite itself changes the folder of a file that it opens (-wal, -shm), so a copy is
opened. Nothing in such a file is ever unpickled: distributions are JSON.
"""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState

from tune.space.source import printable
from tune.warm_start.source_study import MAX_BYTES, SourceStudy, SourceTrial, as_value

MAGIC = b"SQLite format 3\0"
TABLES = {"studies", "trials", "trial_params", "trial_values"}
MAX_CELL = 2**20  # bytes of one text
FAULTS = (
    sqlite3.Error,
    UnicodeDecodeError,
)  # SQLite's own messages may quote bytes of a damaged file
COPIES = 5  # tries at a copy during which nobody writes


def read_sqlite(path: Path) -> list[SourceStudy]:
    """Every study of the file; the file and what lies beside it stay as they are.

    Raises: ValueError for a file that is no Optuna storage, is damaged, or is being written to.
    """
    with _copy(path) as copy, closing(sqlite3.connect(copy)) as connection:
        try:
            connection.text_factory = lambda text: text.decode(errors="replace")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
            _check_tables(path, connection)
            names = connection.execute(
                "SELECT study_id, study_name FROM studies ORDER BY study_id"
            ).fetchall()
            studies = [_study(connection, number, str(name)) for number, name in names]
            _check_whole(path, copy, connection)
            return studies
        except FAULTS as error:
            raise ValueError(
                f"{path}: must be a sound SQLite file of Optuna 1.3 or later, got one{_version(connection)} that cannot be "
                f"read ({printable(str(error))}). Put the file back from a copy, or let that Optuna copy the study into a "
                "journal (optuna.copy_study)"
            ) from error


@contextmanager
def _copy(path: Path) -> Iterator[Path]:
    """The file in a folder of its own, with the log of what SQLite has not yet written into it."""
    real = path.resolve()  # SQLite keeps its logs beside the file itself, not beside a link to it
    files = [Path(f"{real}{ending}") for ending in ("", "-wal", "-journal")]
    for _ in range(COPIES):
        with tempfile.TemporaryDirectory(prefix="warm-start-") as folder:
            before = [_mark(file) for file in files]
            if sum(mark[0] for mark in before if mark) > MAX_BYTES:
                raise ValueError(
                    f"{path}: must be at most {MAX_BYTES >> 20} MiB with its log, got more. Copy the study alone into a new "
                    "storage (optuna.copy_study)"
                )
            for file, mark in zip(files, before, strict=True):
                if mark:
                    with suppress(FileNotFoundError):  # a log that went away since: its mark tells
                        shutil.copyfile(file, Path(folder, file.name))
            if [_mark(file) for file in files] == before:
                yield Path(folder, real.name)
                return
        time.sleep(0.2)
    raise ValueError(
        f"{path}: must rest while it is read, got one that is written to all the time. Try again when its search has ended"
    )


def _mark(file: Path) -> tuple[int, int] | None:
    """What changes when a file is written to; None where there is none."""
    try:
        held = file.stat()
    except FileNotFoundError:
        return None
    return held.st_size, held.st_mtime_ns


def _check_whole(path: Path, copy: Path, connection: sqlite3.Connection) -> None:
    """SQLite reads zeros where the end of the last page is missing. An interrupted write has been taken back by now."""
    size, (page,) = copy.stat().st_size, connection.execute("PRAGMA page_size").fetchone()
    if size % page:
        raise ValueError(
            f"{path}: must be a whole SQLite file, in pages of {page} bytes, got {size} bytes: its last page is cut off. Put "
            "the file back from a copy"
        )


def _check_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Optuna makes tables and indices alone: a view or a trigger could do anything at all while it is read."""
    held = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    missing = TABLES - {name for kind, name, _ in held if kind == "table"}
    if missing:
        raise ValueError(
            f"{path}: must be an Optuna storage, got an SQLite file without the tables {', '.join(sorted(missing))}. "
            "Check the path"
        )
    for kind, name, text in held:
        if kind not in ("table", "index") or text.upper().startswith("CREATE VIRTUAL"):
            raise ValueError(
                f"{path}: must hold Optuna's tables alone, got the {kind} {printable(name)}. Copy the study into a new "
                "storage (optuna.copy_study)"
            )


def _version(connection: sqlite3.Connection) -> str:
    """Which Optuna wrote the file, for a message."""
    try:
        held = connection.execute("SELECT library_version FROM version_info").fetchone()
    except FAULTS:
        held = None
    return f" of Optuna {printable(str(held[0]))}" if held else ""


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _study(connection: sqlite3.Connection, study: int, name: str) -> SourceStudy:
    """Before 2.4 a study had its one direction and a trial its one value in the same row."""
    if _columns(connection, "study_directions"):
        rows = connection.execute(
            "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", (study,)
        )
    else:
        rows = connection.execute("SELECT direction FROM studies WHERE study_id = ?", (study,))
    signs = tuple(1 if direction == "MAXIMIZE" else -1 for (direction,) in rows)
    values, params = _values(connection, study), _params(connection, study)
    trials, damaged = [], 0
    rows = connection.execute(
        "SELECT trial_id, number, state FROM trials WHERE study_id = ? ORDER BY trial_id", (study,)
    )
    for key, number, state in rows:
        given = params.get(key, {})
        if given is None or state not in TrialState.__members__ or not isinstance(number, int):
            damaged += 1
            continue
        held = values.get(key, {})
        trials.append(
            SourceTrial(
                number,
                TrialState[state],
                tuple(held.get(place, math.nan) for place in range(len(signs))),
                given,
            )
        )
    return SourceStudy(name, signs, tuple(trials), damaged)


def _values(connection: sqlite3.Connection, study: int) -> dict[int, dict[int, float]]:
    """Trial -> objective -> value. SQLite has no NaN: it stands as NULL, and so do infinite values from 3.0 on."""
    if "objective" in _columns(connection, "trial_values"):
        rows = connection.execute(
            "SELECT trial_id, objective, value FROM trial_values WHERE trial_id IN "
            "(SELECT trial_id FROM trials WHERE study_id = ?)",
            (study,),
        )
    else:
        rows = connection.execute(
            "SELECT trial_id, 0, value FROM trials WHERE study_id = ?", (study,)
        )
    found: dict[int, dict[int, float]] = {}
    for key, place, value in rows:
        found.setdefault(key, {})[place] = as_value(value)
    return found


def _params(connection: sqlite3.Connection, study: int) -> dict[int, dict[str, Any] | None]:
    """Trial -> parameters; None for a trial with one that cannot be read."""
    rows = connection.execute(
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params WHERE trial_id IN "
        "(SELECT trial_id FROM trials WHERE study_id = ?)",
        (study,),
    )
    found: dict[int, dict[str, Any] | None] = {}
    for key, name, value, distribution in rows:
        held = found.setdefault(key, {})
        try:
            if held is not None:
                held[str(name)] = _external(value, distribution)
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            RecursionError,
        ):
            found[key] = None
    return found


def _external(value: Any, distribution: str) -> Any:
    """The value that a trial had: a choice is stored as its place."""
    plain = json.loads(distribution)
    if "choices" in plain["attributes"]:
        place = int(value)
        if place < 0:
            raise IndexError(place)
        return plain["attributes"]["choices"][place]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distributions of Optuna 1 and 2 have other names
        return json_to_distribution(distribution).to_external_repr(float(value))
