"""When the searches of a study ran (sessions.json), also those that were killed: a budget in hours counts all of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from ganhtr.atomic import to_json, write_atomically
from tune.study.folder import StudyFolder
from tune.study.journal import trials_in


class Sessions:
    """The sessions of a study: `started`, and how many `seconds` until they ended; None of one that runs or was killed."""

    def __init__(self, folder: StudyFolder):
        self.folder = folder

    def all(self) -> list[dict[str, Any]]:
        """Every session, the latest last."""
        return self.folder.read_json("sessions.json").get("sessions", [])

    def begin(self) -> None:
        """Notes that a search begins now. One that was killed is taken to have ended when a trial last began or ended."""
        sessions = self.all()
        for session in sessions:
            if session["seconds"] is None:
                since = datetime.fromisoformat(session["started"]).timestamp()
                session["seconds"] = round(max(0.0, self._last_trial_time() - since), 1)
        self._write(
            [
                *sessions,
                {"started": datetime.now(UTC).isoformat(timespec="milliseconds"), "seconds": None},
            ]
        )

    def end(self) -> None:
        """Notes how long the session took that began last."""
        *before, last = self.all()
        seconds = round(time.time() - datetime.fromisoformat(last["started"]).timestamp(), 1)
        self._write([*before, {**last, "seconds": seconds}])

    def spent_seconds(self) -> float:
        """How long the sessions took in all, without one that has not ended."""
        return sum(session["seconds"] or 0.0 for session in self.all())

    def _last_trial_time(self) -> float:
        """When a trial of the journal began or ended last, in seconds since 1970; the file's own time changes when it is copied."""
        journal = self.folder.journal
        times = (
            (trial.datetime_complete or trial.datetime_start for _, trial in trials_in(journal))
            if journal.exists()
            else ()
        )
        return max((each.timestamp() for each in times if each is not None), default=0.0)

    def _write(self, sessions: list[dict[str, Any]]) -> None:
        write_atomically(self.folder.path / "sessions.json", to_json({"sessions": sessions}))
