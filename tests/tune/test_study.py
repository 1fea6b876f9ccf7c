"""A study's folder: how long its searches took, also those that were killed."""

import json
import os
import time
from datetime import datetime

import pytest

from tune.study import StudyFolder


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path)


def test_sessions_are_counted_from_begin_to_end(folder):
    for _ in range(2):
        folder.begin_session()
        time.sleep(0.3)
        assert folder.sessions()[-1]["seconds"] is None, "it runs still"
        folder.end_session()
    assert len(folder.sessions()) == 2 and 0.6 <= folder.spent_seconds() < 60


def test_a_killed_session_lasted_until_it_last_wrote_to_the_journal(folder):
    folder.begin_session()
    began = datetime.fromisoformat(folder.sessions()[0]["started"]).timestamp()
    folder.journal.write_text("")
    os.utime(folder.journal, (began + 90, began + 90))
    assert folder.spent_seconds() == 0, "nobody knows yet that it was killed"
    folder.begin_session()
    assert folder.spent_seconds() == pytest.approx(90, abs=0.2)
    folder.end_session()
    assert [session["seconds"] is None for session in folder.sessions()] == [False, False]


def test_a_session_killed_before_there_was_a_journal_took_nothing(folder):
    folder.begin_session()
    folder.begin_session()
    assert folder.sessions()[0]["seconds"] == 0


def test_sessions_of_earlier_versions_count(folder):
    (folder.path / "sessions.json").write_text(json.dumps({"sessions": [{"started": "2026-01-01T10:00:00", "seconds": 12.5}]}))
    folder.begin_session()
    assert folder.spent_seconds() == 12.5
