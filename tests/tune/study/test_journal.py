"""Tests of the journal: compatible with Optuna's backend, repaired after a kill or full disk."""

import os
import resource
import signal
import subprocess
import sys

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import tune.study.journal
from tune import ROOT
from tune.study.journal import OneWriterJournal, mend, open_journal, read_journal, trials_in


def stock(path):
    return JournalStorage(JournalFileBackend(str(path)))


def study_in(storage):
    return optuna.create_study(
        storage=storage, study_name="on", direction="maximize", load_if_exists=True
    )


def run(study, trials=2):
    for _ in range(trials):
        trial = study.ask()
        trial.suggest_float("weight", 0.1, 10, log=True)
        trial.suggest_categorical("head", ["none", "mlp"])
        trial.report(1.0, 1)
        trial.report(float("nan"), 2)
        trial.set_user_attr("proposal", '{"id": "ü"}')
        study.tell(trial, 2.5 + trial.number)


def plain(study):
    return [
        (
            t.number,
            t.state,
            t.params,
            t.distributions,
            repr(t.intermediate_values),
            t.user_attrs,
            t.values,
            t.datetime_start,
            t.datetime_complete,
        )
        for t in study.get_trials()
    ]


def test_optunas_backend_reads_it_while_it_is_written(tmp_path):
    path = tmp_path / "study.journal"
    ours = study_in(open_journal(path))
    theirs = optuna.load_study(storage=stock(path), study_name="on")
    for _ in range(3):
        run(ours)
        assert plain(theirs) == plain(ours) and len(plain(ours)) % 2 == 0 and plain(ours)
    assert {t.value for t in theirs.trials} == {2.5, 3.5, 4.5, 5.5, 6.5, 7.5}


def test_it_continues_a_journal_of_optunas_backend(tmp_path):
    path = tmp_path / "study.journal"
    theirs = study_in(stock(path))
    run(theirs, 3)
    ours = study_in(open_journal(path))
    run(ours)
    assert plain(ours) == plain(theirs) and len(ours.trials) == 5


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), block=st.integers(1, 90))
def test_a_last_line_cut_off_anywhere_is_forgotten_and_nothing_else(share, block, tmp_path_factory):
    path = tmp_path_factory.mktemp("journal") / "study.journal"
    storage = open_journal(path)
    study = study_in(storage)
    run(study)
    before = plain(study)
    whole = path.read_bytes()
    study.ask()
    line = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + line[: int(share * len(line))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune.study.journal, "BLOCK", block)
        again = study_in(open_journal(path))
    assert plain(again)[:2] == before and len(again.trials) == 2
    run(again)
    assert (
        plain(optuna.load_study(storage=stock(path), study_name="on")) == plain(again)
        and len(again.trials) == 4
    )


def test_a_first_line_that_was_cut_off_leaves_an_empty_journal(tmp_path):
    path = tmp_path / "study.journal"
    path.write_bytes(b'{"op_code":0,"wor')
    mend(path)
    assert path.read_bytes() == b""
    path.unlink()
    mend(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"\0\0\0",
        b"{",
        b"[1]",
        b"7",
        b'{"a":1}',
        b'{"op_code":77,"worker_id":"w"}',
        b"\xff",
        b'{"op_code":6,"worker_id":"w","trial_id":0,"state":99,"values":null}',
    ],
)
def test_damage_inside_is_named_with_its_line(tmp_path, line):
    path = tmp_path / "study.journal"
    run(study_in(open_journal(path)), 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[2:]]))
    damaged = path.read_bytes()
    for opens in (open_journal, read_journal):
        with pytest.raises(ValueError, match=r"study\.journal:3: .*Restore the file"):
            opens(path)
    assert path.read_bytes() == damaged


def test_locks_of_killed_users_are_removed(tmp_path):
    path = tmp_path / "study.journal"
    study_in(stock(path))
    for name in ("study.journal.lock", "study.journal.lock1b6f.rename"):
        os.symlink(path, tmp_path / name)
    open_journal(path)
    assert [each.name for each in tmp_path.iterdir()] == ["study.journal"]


def test_reading_changes_nothing_and_follows_a_writer(tmp_path):
    path = tmp_path / "study.journal"
    storage = open_journal(path)
    study = study_in(storage)
    run(study)
    looking = optuna.load_study(storage=read_journal(path), study_name="on")
    whole = path.read_bytes()
    study.ask()
    line = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + line[:20])
    os.symlink(path, tmp_path / "study.journal.lock")
    path.chmod(0o400)
    assert len(looking.trials) == 2 and [name for name, _ in trials_in(path)] == ["on", "on"]
    assert path.read_bytes() == whole + line[:20] and (tmp_path / "study.journal.lock").is_symlink()
    path.chmod(0o600)
    path.write_bytes(whole + line)
    assert [t.state for t in looking.trials] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]
    with pytest.raises(AssertionError, match="opened for reading"):
        looking.ask()


def room_for(size):
    """From now on no file of this process may grow beyond that many bytes; None: any size."""
    resource.setrlimit(
        resource.RLIMIT_FSIZE,
        (resource.RLIM_INFINITY if size is None else size, resource.RLIM_INFINITY),
    )


def test_a_full_disk_leaves_it_whole_and_says_so_until_it_is_opened_anew(tmp_path):
    path = tmp_path / "study.journal"
    study = study_in(open_journal(path))
    run(study)
    trial = study.ask()
    content, before = path.read_bytes(), plain(study)
    room_for(len(content) + 40)  # the system takes 40 bytes of the line and no more
    try:
        with pytest.raises(OSError, match="study.journal"):
            trial.report(1.0, 1)
        assert path.read_bytes() == content and plain(study) == before
    finally:
        room_for(None)
    with pytest.raises(OSError, match="study.journal"):
        study.tell(trial, 1.0)
    assert path.read_bytes() == content
    again = study_in(open_journal(path))
    assert plain(again) == before and again.trials[-1].state == TrialState.RUNNING
    again.tell(2, 1.0)
    assert again.trials[-1].value == 1.0


def test_a_line_that_could_not_be_cut_off_is_mended_at_the_next_opening(tmp_path):
    path = tmp_path / "study.journal"
    study = study_in(open_journal(path))
    run(study, 1)

    class Broken:
        def __init__(self, file):
            self.file, self.left = file, 2

        def write(self, data):
            self.left -= 1
            if self.left == 0:
                raise OSError(5, "Input/output error")
            return self.file.write(bytes(data)[:10])

        def truncate(self, size):
            raise OSError(5, "Input/output error")

        def __getattr__(self, name):
            return getattr(self.file, name)

    backend = study._storage._backend
    assert isinstance(backend, OneWriterJournal)
    backend._file = Broken(backend._file)
    for _ in range(2):
        with pytest.raises(OSError, match=r"Input/output error.*study\.journal"):
            study.ask()
    assert not path.read_bytes().endswith(b"\n")
    again = study_in(open_journal(path))
    run(again, 1)
    assert (
        len(again.trials) == 2
        and len(optuna.load_study(storage=stock(path), study_name="on").trials) == 2
    )


def test_the_proposal_and_the_end_of_a_trial_are_forced_to_the_disk(tmp_path, monkeypatch):
    forced = []
    study = study_in(open_journal(tmp_path / "study.journal"))
    number = study._storage._backend._file.fileno()
    monkeypatch.setattr(tune.study.journal.os, "fsync", forced.append)
    trial = study.ask()
    trial.suggest_float("weight", 0.1, 10)
    assert not forced
    trial.set_user_attr("proposal", "{}")
    assert forced == [number]
    trial.report(1.0, 1)
    trial.set_user_attr("status", "complete")
    assert forced == [number]
    study.tell(trial, 1.0)
    assert forced == [number] * 2


WRITER = """
import sys
from pathlib import Path
import optuna
from tune.study.journal import open_journal
storage = open_journal(Path(sys.argv[1]))
study = optuna.create_study(storage=storage, study_name="on", direction="maximize")
trial = study.ask()
for step in range(10**6):
    trial.report(1.5, step)
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
"""


def test_what_a_killed_writer_had_written_is_there(tmp_path):
    path = tmp_path / "study.journal"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    for line in process.stdout:
        if line == "300\n":
            process.send_signal(signal.SIGKILL)
            break
    steps = [line for line in process.stdout if line.endswith("\n")]
    process.wait()
    last = int(steps[-1]) if steps else 300
    ((_, trial),) = trials_in(path)
    assert (
        len(trial.intermediate_values) in (last + 1, last + 2) and trial.state == TrialState.RUNNING
    )
