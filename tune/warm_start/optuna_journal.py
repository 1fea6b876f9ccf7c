"""The studies in an Optuna journal file (3.1 and later), read without opening it for writing.

Optuna's file backend creates a missing file and takes a lock beside it. Here Optuna's storage
replays the lines from memory. They are JSON: Optuna unpickles only the snapshots of a backend that
has them (Redis), and this one has none.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from tune.warm_start.source_study import SourceStudy

MAX_LINE = 2**20  # bytes
UNUSED = (  # a long study has a hundred intermediate values for each trial; a discard frees memory
    JournalOperation.SET_STUDY_SYSTEM_ATTR,
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
    JournalOperation.DISCARD_TRIALS,
)


class Records(BaseJournalBackend):
    """The records of a journal, already read."""

    def __init__(self, records: list[dict[str, Any]]):
        self.records = records

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """The records from a number on."""
        return iter(self.records[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Never called: nothing is written to a source."""
        raise AssertionError("a source is only read")


def read_journal(path: Path) -> tuple[list[SourceStudy], list[str]]:
    """Every study of the file, with notes for the user.

    Lines from the first unreadable one on are left out: Optuna numbers trials by the lines that
    create them, so that none may be missing in between.

    Raises: ValueError for a file that is not a journal.
    """
    records, notes = _records(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage = JournalStorage(Records(records))
        studies = [
            SourceStudy.of(study, storage.get_all_trials(study._study_id, deepcopy=False))
            for study in storage.get_all_studies()
        ]
    except Exception as error:  # the records of a stranger may make Optuna raise anything
        raise ValueError(
            f"{path}: Optuna cannot replay the records of this journal ({type(error).__name__}: "
            f"{error}). Restore the file from a backup"
        ) from error
    return studies, notes


def _records(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The records up to the first line that is not one.

    There is no note of a last line without an end: another process is writing it.
    """
    records: list[dict[str, Any]] = []
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            record = _record(line)
            if record is None:
                if number == 1:
                    raise ValueError(f"{path}: neither an Optuna journal nor an SQLite file")
                if not line.endswith(b"\n") and len(line) <= MAX_LINE:
                    return records, []
                return records, [
                    f"{path}:{number}: not a record of a journal: this line and all after it are "
                    "left out"
                ]
            if record["op_code"] not in UNUSED:
                records.append(record)
    return records, []


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and type(record.get("op_code")) is int else None
