"""The studies in an Optuna journal file (3.1 and later), read without opening it for writing.

Optuna's own file backend makes a missing file and takes a lock beside it. Here its storage replays the lines from memory. They are JSON:
Optuna unpickles only what a backend with snapshots gives it (Redis has them), and this one has none.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection

from tune.warm_start.source_study import SourceStudy, SourceTrial, as_value

LONGEST_LINE = 2**20  # bytes
PASSED_OVER = (
    3,
    7,
    9,
    10,
)  # system attributes, intermediate values and discards: nothing here asks for them


class Lines(BaseJournalBackend):
    """A journal's records that were read already."""

    def __init__(self, records: list[dict[str, Any]]):
        self.records = records

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """The records from a number on."""
        return iter(self.records[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Never called: nothing is written to a source."""
        raise AssertionError("a source is only read")


def read_journal(path: Path) -> tuple[list[SourceStudy], list[str]]:
    """Every study of the file, and what to tell the user of it.

    Lines from the first unreadable one on are left out: trials are numbered by the lines that made them, so none may be missing in between.

    Raises: ValueError for a file that is no journal.
    """
    records, said = _records(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage = JournalStorage(Lines(records))
        return [
            _study(storage, held._study_id, held.study_name, held.directions)
            for held in storage.get_all_studies()
        ], said
    except Exception as error:  # whatever the replay of a stranger's records may raise
        raise ValueError(
            f"{path}: must be a journal that an Optuna up to this one wrote, got records that it cannot follow "
            f"({type(error).__name__}: {error}). Put the file back from a copy"
        ) from error


def _study(
    storage: JournalStorage, study: int, name: str, directions: list[StudyDirection]
) -> SourceStudy:
    signs = tuple(1 if direction == StudyDirection.MAXIMIZE else -1 for direction in directions)
    trials = tuple(
        SourceTrial(
            trial.number,
            trial.state,
            tuple(map(as_value, trial.values or ())),
            trial.params,
            trial.user_attrs,
        )
        for trial in storage.get_all_trials(study, deepcopy=False)
    )
    return SourceStudy(name, signs, trials)


def _records(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The records up to the first line that is none. A last line without an end is passed over in silence: somebody is writing it."""
    records: list[dict[str, Any]] = []
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            record = _record(line)
            if record is None:
                if number == 1:
                    raise ValueError(
                        f"{path}: must be a study folder of ours, an Optuna journal or an Optuna SQLite file, got none of "
                        "them. Check the path"
                    )
                torn = not line.endswith(b"\n") and len(line) <= LONGEST_LINE
                return records, [] if torn else [
                    f"{path}:{number}: no record of a journal: this line and those after it are left out"
                ]
            if record["op_code"] not in PASSED_OVER:
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
