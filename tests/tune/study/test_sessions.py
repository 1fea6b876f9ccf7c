"""How long a study's searches took, also those that were killed."""

import json
import os
import time

import optuna
import pytest

from tune.study.folder import StudyFolder
from tune.study.journal import open_journal
from tune.study.sessions import Sessions


@pytest.fixture
def sessions(tmp_path):
    return Sessions(StudyFolder(tmp_path))


def test_sessions_are_counted_from_begin_to_end(sessions):
    for _ in range(2):
        sessions.begin()
        time.sleep(0.3)
        assert sessions.all()[-1]["seconds"] is None, "it runs still"
        sessions.end()
    assert len(sessions.all()) == 2 and 0.6 <= sessions.spent_seconds() < 60


def test_a_killed_session_lasted_until_a_trial_last_began_or_ended(sessions):
    sessions.begin()
    study = optuna.create_study(storage=open_journal(sessions.folder.journal))
    study.tell(study.ask(), 1.0)
    time.sleep(0.5)
    study.ask()
    os.utime(
        sessions.folder.journal, (0, 0)
    )  # as where a folder is copied, the file's own time says nothing
    assert sessions.spent_seconds() == 0, "nobody knows yet that it was killed"
    time.sleep(0.5)
    sessions.begin()
    assert 0.5 <= sessions.spent_seconds() < 1
    sessions.end()
    assert [session["seconds"] is None for session in sessions.all()] == [False, False]


def test_a_session_killed_before_there_was_a_journal_took_nothing(sessions):
    sessions.begin()
    sessions.begin()
    assert sessions.all()[0]["seconds"] == 0


def test_sessions_of_earlier_versions_count(sessions):
    (sessions.folder.path / "sessions.json").write_text(
        json.dumps({"sessions": [{"started": "2026-01-01T10:00:00", "seconds": 12.5}]})
    )
    sessions.begin()
    assert sessions.spent_seconds() == 12.5
