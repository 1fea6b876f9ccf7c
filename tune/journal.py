"""The study's journal, Optuna's own format: opened by one process at a time, mended where a killed one left it half written."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

LONGEST_LINE = 2**20  # bytes


class OneWriterJournal(BaseJournalBackend):
    """Appends lines through one open file and reads each line once. Whoever makes it holds the study's lock: no other process writes.

    What was appended outlives the process, however it ends; it is on the disk itself once the operating system has written it there.
    Others may read the file at any time with Optuna's own backend.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = open(path, "ab", buffering=0)
        self._lines = 0  # read or written so far
        self._offset = 0  # in bytes, behind them

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes records, all or none of them. Raises: OSError, as on a full disk."""
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, os.strerror(28), str(self._path))
        except OSError:
            self._file.truncate(end)
            raise

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The records from a number on."""
        if log_number_from < self._lines:
            self._lines = self._offset = 0
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            for line in file:
                number, self._lines, self._offset = self._lines, self._lines + 1, self._offset + len(line)
                if number >= log_number_from:
                    yield self._record(number, line)

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
            assert isinstance(record, dict)
            return record
        except (ValueError, AssertionError) as error:
            raise ValueError(f"{self._path}:{number + 1}: a line of a journal must be a JSON object, got something else. Put the file back "
                             "from a copy") from error


def open_journal(path: Path) -> JournalStorage:
    """The storage in a journal file, made where there is none. Raises: ValueError naming file and line of a damaged one."""
    mend(path)
    return JournalStorage(OneWriterJournal(path))


def mend(path: Path) -> None:
    """Cuts off a last line that was never written to its end, and removes a lock that a killed process left."""
    Path(f"{path}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_LINE))
        tail = file.read()
        if not tail.endswith(b"\n") and tail:
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
