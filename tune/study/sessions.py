"""When the searches of a study ran (sessions.json). A budget in hours counts killed ones too."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from ganhtr.atomic import to_json, write_atomically
from tune.study.folder import StudyFolder
from tune.study.journal import trials_in


class Sessions:
    """The sessions of a study: `started`, and `seconds` (None if running or killed)."""

    def __init__(self, folder: StudyFolder):
        self.folder = folder

    def all(self) -> list[dict[str, Any]]:
        """Every session, the latest last."""
        return self.folder.read_json("sessions.json").get("sessions", [])

    def begin(self) -> None:
        """Record that a session begins. A killed one ended when a trial last began or ended."""
        sessions = self.all()
        for session in sessions:
            if session["seconds"] is None:
                since = datetime.fromisoformat(session["started"]).timestamp()
                session["seconds"] = round(max(0.0, self._last_trial_time() - since), 1)
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write([*sessions, {"started": started, "seconds": None}])

    def end(self) -> None:
        """Record how long the latest session took."""
        *before, last = self.all()
        seconds = round(time.time() - datetime.fromisoformat(last["started"]).timestamp(), 1)
        self._write([*before, {**last, "seconds": seconds}])

    def spent_seconds(self) -> float:
        """The time of all sessions that have ended, in seconds."""
        return sum(session["seconds"] or 0.0 for session in self.all())

    def _last_trial_time(self) -> float:
        """When a trial of the journal last began or ended, in seconds since 1970.

        The file's own time does not tell: it changes when the file is copied.
        """
        journal = self.folder.journal
        if not journal.exists():
            return 0.0
        times = (trial.datetime_complete or trial.datetime_start for _, trial in trials_in(journal))
        return max((when.timestamp() for when in times if when is not None), default=0.0)

    def _write(self, sessions: list[dict[str, Any]]) -> None:
        write_atomically(self.folder.path / "sessions.json", to_json({"sessions": sessions}))
