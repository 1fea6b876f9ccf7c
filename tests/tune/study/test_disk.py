"""Tests of a full or read-only disk: a one-line message, no failed trial, a clean resume."""

import csv
import errno
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from optuna.trial import TrialState

import ganhtr.atomic
import tune.study.journal
from ganhtr.atomic import opened_atomically
from tests.tune.runner.test_search import command, space_file  # noqa: F401 a fixture
from tests.tune.runner.test_trainable import config_of, drive, trial_class, weights
from tests.tune.searcher.test_searcher import opened, result
from tune.runner.preparation import plan_of
from tune.runner.scheduler import StudyScheduler
from tune.study.control_files import ControlFiles
from tune.study.disk import disk_fault, disk_faults_explained
from tune.study.folder import StudyError, StudyFolder

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/file")


def raised(error, cause=None):
    """The error as it is caught: raised from a cause, or while one was handled."""
    try:
        if cause is None:
            raise error
        try:
            raise cause
        except OSError as first:
            if isinstance(error, TypeError):
                raise error  # noqa: B904 raised while `first` was handled
            raise error from first
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO]
)
def test_a_disk_fault_is_recognized_wherever_it_surfaces(number):
    fault = OSError(number, os.strerror(number), "/a/file")
    for outer in (
        fault,
        raised(RuntimeError("Ray's"), fault),
        raised(TypeError("while it was handled"), fault),
    ):
        assert disk_fault(outer) is fault
    full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    problem = "disk is full" if full else "cannot be written"
    with (
        pytest.raises(
            ValueError,
            match=rf"^/a/file: .*{problem} \({os.strerror(number)}\)\. .* then run it again$",
        ),
        disk_faults_explained("run it again"),
    ):
        raise RuntimeError("Ray's") from fault


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "gone"),
        BlockingIOError(errno.EAGAIN, "busy"),
        RuntimeError("x"),
        None,
    ],
)
def test_other_errors_are_not_the_disks(error):
    assert disk_fault(error) is None
    if error is not None:
        with pytest.raises(type(error)), disk_faults_explained("run it again"):
            raise error


def test_an_error_that_is_already_explained_stays_unchanged():
    with pytest.raises(ValueError, match="^its own words$"), disk_faults_explained("run it again"):
        raise ValueError("its own words") from FULL


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "best.safetensors",
        "training_metrics_fp32.json",
        "epoch_0002.npz",
        "last.pt",
        "result.json",
    ],
)
def test_a_trial_whose_disk_is_full_has_not_failed_and_goes_on_as_if_nothing_had_been(
    study, inputs, monkeypatch, name
):
    folder, request = study(epochs=3)
    make = trial_class(plan_of(request, folder, "score"), inputs, [1.0, 2.0, 3.0])
    drive(make(config_of("on-000")))
    drive(make(config_of("on-001")), 1)

    def full(path):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened_atomically(path)

    with monkeypatch.context() as patch:
        patch.setattr(ganhtr.atomic, "opened_atomically", full)
        reply = drive(make(config_of("on-001")), 2)[-1]
    assert reply["status"] == "running" and reply["disk"][2].endswith(name) and not reply["done"]
    assert not (folder.path / "trials/on-001/traceback.txt").exists()
    last = drive(make(config_of("on-001")))[-1]
    assert (last["status"], last["epoch"], last["value"]) == ("complete", 3, 3.0)
    first, second = weights(folder, "on-000"), weights(folder, "on-001")
    assert first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)
    assert (
        len(
            json.loads(
                (folder.path / "trials/on-001/metrics/training_metrics_fp32.json").read_text()
            )["epochs"]
        )
        == 3
    )


def test_a_full_disk_in_a_trial_ends_the_search(space, tmp_path):
    searcher = opened(space, tmp_path)
    scheduler = StudyScheduler(searcher, ControlFiles(tmp_path))
    searcher.suggest("t")
    with pytest.raises(OSError, match="/a/file"):
        scheduler.on_trial_result(
            None,
            None,
            {
                "trial": "off-000",
                "status": "running",
                "disk": [*FULL.args, "/a/file"],
                "done": False,
            },
        )
    searcher.open()
    assert [trial.state for _, trial in opened(space, tmp_path).all_trials()] == [
        TrialState.WAITING
    ]


def test_a_trial_whose_end_could_not_be_recorded_has_not_ended(space, tmp_path):
    """Ray catches the error and reports the trial as failed.

    That failure is not recorded, even if the disk has space again.
    """
    searcher = opened(space, tmp_path)
    searcher.suggest("t")
    backend = searcher.arms["off"].study._storage._backend
    before, backend._fault = backend.path.read_bytes(), FULL
    for report in ({"result": result(1.0, 3, "complete")}, {"error": True}):
        with pytest.raises(OSError, match="/a/file"):
            searcher.on_trial_complete("t", **report)
    with pytest.raises(OSError, match="/a/file"):
        searcher.suggest("u")
    assert backend.path.read_bytes() == before
    again = opened(space, tmp_path)
    assert again.suggest("t")["id"] == "off-000"
    again.on_trial_complete("t", result(1.0, 3, "complete"))
    assert [(trial.state, trial.value) for _, trial in again.all_trials()] == [
        (TrialState.COMPLETE, 1.0)
    ]


@pytest.mark.skipif(not Path("/sys").exists(), reason="needs a folder that nobody can write to")
def test_an_unwritable_folder_is_reported_with_the_next_command(request_of):
    with (
        pytest.raises(
            ValueError,
            match=r"^/sys/\.lock: the disk or file cannot be written \("
            r".*--name sys --results / --resume$",
        ),
        StudyFolder(Path("/sys")).locked(),
    ):
        pass
    with pytest.raises(StudyError, match="^/sys/new: cannot write the results folder"):
        StudyFolder.planned(Path("/sys"), "new", request_of()).create(request_of())


def test_a_study_that_was_cut_off_before_it_began_can_begin(tmp_path, request_of):
    request = request_of()
    (tmp_path / "new").mkdir()
    (tmp_path / "new/.study.yaml.71.writing").touch()
    StudyFolder.planned(tmp_path, "new", request).create(request)
    with pytest.raises(StudyError, match="--resume"):
        StudyFolder.planned(tmp_path, "new", request)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").touch()
    with pytest.raises(StudyError, match="a study of this name exists"):
        StudyFolder.planned(tmp_path, "notes", request)


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=1800k none small
{start} >out.1 2>err.1; echo $? >code.1
mount -o remount,ro small
{resume} >out.2 2>err.2; echo $? >code.2
{other} >out.3 2>err.3; echo $? >code.3
mount -o remount,rw,size=100m small
{resume} >out.4 2>err.4; echo $? >code.4
cp -r small/s end
"""


def may_mount():
    return (
        shutil.which("unshare")
        and subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not may_mount(), reason="needs a mount namespace of its own")
def test_a_search_survives_a_disk_that_is_full_and_then_read_only(space_file, tmp_path):  # noqa: F811
    """A file system smaller than the study.

    Every error is one line, and no trial is lost, repeated or failed.
    """
    where = ["--results", tmp_path / "small"]
    start = shlex.join(
        command("--space", space_file, *where, "--name", "s", "--trials", 4, "--epochs", 6)
    )
    resume = shlex.join(command("--resume", "--name", "s", *where))
    other = shlex.join(command("--space", space_file, *where, "--name", "t"))
    (tmp_path / "small").mkdir()
    script = ON_A_SMALL_DISK.format(start=start, resume=resume, other=other)
    subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, timeout=400, check=True)
    codes, errors = (
        [(tmp_path / f"{name}.{number}").read_text() for number in (1, 2, 3, 4)]
        for name in ("code", "err")
    )
    assert [int(code) for code in codes] == [2, 2, 2, 0], errors
    assert all(text.count("\n") == 1 for text in errors[:3]), errors
    assert f"the disk is full ({os.strerror(errno.ENOSPC)})" in errors[0] and errors[0].endswith(
        "--resume\n"
    )
    assert all(os.strerror(errno.EROFS) in text for text in errors[1:3])
    rows = list(csv.DictReader((tmp_path / "end/trials.csv").open(encoding="utf-8")))
    assert [(row["trial"], row["status"], row["epochs"]) for row in rows] == [
        (name, "complete", "6") for name in ("off-000", "on-000", "on-001", "on-002")
    ]
    states = [
        trial.state for _, trial in tune.study.journal.trials_in(tmp_path / "end/study.journal")
    ]
    assert states == [TrialState.COMPLETE] * 4
    assert not list((tmp_path / "end").rglob("traceback.txt")) and not list(
        (tmp_path / "end").rglob("*.writing")
    )
