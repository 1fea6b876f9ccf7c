"""The studies in an SQLite file of Optuna 2.4 or later.

Optuna reads a copy of the file, after it has upgraded the copy to its current schema. SQLite writes
beside every file that it opens (-wal, -shm), so that the source itself is never opened as a
database. Optuna unpickles nothing in such a file: distributions are JSON.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

from tune.space.source import printable
from tune.warm_start.source_study import SourceStudy, check_size

PREFIX = "sqlite:///"
MAGIC = b"SQLite format 3\0"
TABLES = ("studies", "trials", "trial_params", "trial_values")
UNUSED = (  # emptied in the copy: a long study has a hundred intermediate values for each trial
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
    "study_user_attributes",
    "study_system_attributes",
)
MAX_ROWS = 500_000  # Optuna takes about 2.5 KB of memory for each; 10,000 trials have about 100,000
MAX_CELL = 2**20  # bytes of a text
MAX_SECONDS = 300.0  # for reading a file; 10,000 trials take about 5
CHECK_EVERY = 1_000  # operations of SQLite between two looks at the clock
COPY_ATTEMPTS = 5


def read_sqlite(path: Path) -> list[SourceStudy]:
    """Every study of the file. The file and the files next to it are not changed.

    Raises: ValueError for a file that is not an Optuna storage, is damaged, is too old, or is being
        written to.
    """
    with _copy(path) as copy, closing(sqlite3.connect(copy)) as connection:
        deadline = time.monotonic() + MAX_SECONDS
        _bound(connection, deadline)
        writer = ""
        try:
            fault = _fault(connection, copy)
            if fault is None:
                writer = _writer(connection)
                return _studies(connection, copy, deadline)
        except Exception as error:  # Optuna may raise anything at a database that a stranger made
            cause = error.__cause__ or error  # the one that Optuna wrapped
            reason = printable((str(cause) or type(cause).__name__).splitlines()[0])
            fault = (
                f"Optuna {optuna.__version__} cannot read this SQLite file{writer}: {reason}. "
                "Restore the file from a backup; if a newer Optuna wrote it, let that one copy the "
                "study into a journal file (optuna.copy_study)"
            )
        raise ValueError(f"{path}: {fault}")


@contextmanager
def _copy(path: Path) -> Iterator[Path]:
    """Copy the file, with the logs of what SQLite has not yet written into it, to a new folder."""
    real = path.resolve()  # SQLite keeps its logs beside the file, not beside a link to it
    files = {ending: Path(f"{real}{ending}") for ending in ("", "-wal", "-journal")}
    for _ in range(COPY_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="warm-start-") as folder:
            before = [_mark(file) for file in files.values()]
            check_size(path, sum(mark[0] for mark in before if mark))
            for ending, file in files.items():
                with suppress(FileNotFoundError):  # there need not be a log
                    shutil.copyfile(file, Path(folder, f"study.db{ending}"))
            if [_mark(file) for file in files.values()] == before:
                yield Path(folder, "study.db")
                return
        time.sleep(0.2)
    raise ValueError(
        f"{path}: another process keeps writing to this file. Try again when its search has ended"
    )


def _mark(file: Path) -> tuple[int, int] | None:
    """What changes when a file is written to; None if there is no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _bound(connection: sqlite3.Connection, deadline: float) -> None:
    """Bound memory and time: expressions in a table's definition may ask for any amount of both."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, CHECK_EVERY)
    connection.text_factory = lambda text: text.decode(errors="replace")


def _writer(connection: sqlite3.Connection) -> str:
    """Which Optuna wrote the file, for a message."""
    try:
        row = connection.execute("SELECT library_version FROM version_info").fetchone()
    except sqlite3.Error:
        return ""
    return f" of Optuna {printable(str(row[0]))}" if row else ""


def _fault(connection: sqlite3.Connection, copy: Path) -> str | None:
    """Why Optuna is not to open the copy; None if it may."""
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    tables = {name for kind, name, _ in rows if kind == "table"}
    if missing := [name for name in TABLES if name not in tables]:
        return f"not an Optuna storage, as it has no table {' and '.join(missing)}. Check the path"
    for kind, name, text in rows:
        # Optuna creates tables and indices alone. A view or a trigger could do anything when read.
        if kind not in ("table", "index") or text.upper().startswith("CREATE VIRTUAL"):
            return (
                f"it has the {kind} {printable(name)}, which Optuna does not create. Copy the "
                "study into a new storage (optuna.copy_study)"
            )
    if "study_directions" not in tables:
        # The upgrade fails on intermediate values, and on the constraint of studies.direction.
        return (
            f"Optuna {optuna.__version__} cannot upgrade SQLite files of Optuna 2.3 and older, "
            f"and this is one{_writer(connection)}. Upgrade a copy of it first, in a Python 3.9 "
            "environment with optuna==2.10.1, alembic<1.7 and sqlalchemy<1.4: optuna storage "
            f"upgrade --storage {PREFIX}COPY"
        )
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    size = copy.stat().st_size  # SQLite has undone an interrupted write by now
    if size % page:  # SQLite reads the missing end of a page as zeros
        return (
            f"the SQLite file is cut off: its {size} bytes are not a whole number of pages of "
            f"{page} bytes. Restore the file from a backup"
        )
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
    if sum(counts) > MAX_ROWS:
        return (
            f"its studies have {sum(counts)} records, more than {MAX_ROWS}. Copy the study alone "
            "into a new storage (optuna.copy_study)"
        )
    return None


def _studies(connection: sqlite3.Connection, copy: Path, deadline: float) -> list[SourceStudy]:
    """Every study of the copy, which is upgraded to Optuna's current schema."""
    with connection:
        for table in UNUSED:
            connection.execute(f"DELETE FROM {table}")
    with _guarded(deadline):
        storage = RDBStorage(f"{PREFIX}{copy}", skip_compatibility_check=True)
        try:
            storage.upgrade()
            return [_study(connection, storage, study) for study in storage.get_all_studies()]
        finally:
            storage.engine.dispose()


@contextmanager
def _guarded(deadline: float) -> Iterator[None]:
    """Bound Optuna's connections, the upgrade's too, and suppress its warnings and log messages.

    These may quote bytes of a damaged file. Without a handler at the root logger, the upgrade would
    configure logging for the whole process.
    """
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def bound(connection: sqlite3.Connection, _: Any) -> None:
        _bound(connection, deadline)

    root, handler = logging.getLogger(), logging.NullHandler()
    disabled = root.manager.disable
    event.listen(Pool, "connect", bound)
    root.addHandler(handler)
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.removeHandler(handler)
        event.remove(Pool, "connect", bound)


def _study(connection: sqlite3.Connection, storage: RDBStorage, study: FrozenStudy) -> SourceStudy:
    """A study with the trials that can be read."""
    number = study._study_id
    trials = _read(storage.get_all_trials, number, False)
    if trials is None:  # a damaged trial fails them all
        rows = connection.execute("SELECT trial_id FROM trials WHERE study_id = ?", (number,))
        trials = [_read(storage.get_trial, trial) for (trial,) in rows.fetchall()]
    sound = [trial for trial in trials if trial and _is_sound(trial)]
    return SourceStudy.of(study, sound, len(trials) - len(sound))


def _read(get: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of the storage returns; None if it cannot read what is stored."""
    try:
        return get(*arguments)
    except StorageInternalError:  # from SQLite: the file is damaged, or the time is up
        raise
    except Exception:  # such as an unknown state, or a distribution that is not JSON
        return None


def _is_sound(trial: FrozenTrial) -> bool:
    """Whether numbers are numbers: SQLite stores text in a column of numbers too."""
    return isinstance(trial.number, int) and all(
        isinstance(value, (int, float))
        or isinstance(trial.distributions[name], CategoricalDistribution)
        for name, value in trial.params.items()
    )
