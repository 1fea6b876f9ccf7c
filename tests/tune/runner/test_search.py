"""Searches through Ray Tune, from the driver and from the command line, as a user sees them."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from typer.testing import CliRunner

import tune.driver
import tune.runner.preparation
import tune.runner.workers
from tests.tune.conftest import EXPERIMENT, SMALL, SPACE
from tests.tune.runner.test_trainable import config_of, drive, trial_class
from tune.commands.search import app
from tune.runner.trainable import GanHtrTrial

ROOT = Path(__file__).resolve().parents[3]
# Starting a second worker takes longer than a trial.
ONE_WORKER = ("--cpus-per-trial", os.cpu_count() or 1)
TINY = {
    **SMALL,
    "data.height": 16,
    "data.width": 64,
    "data.lines": 32,
    "recognizer_training.epochs": 1,
}


def journal_of(folder):
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return {arm: optuna.load_study(study_name=arm, storage=storage).trials for arm in ("off", "on")}


def rows_of(folder):
    return list(csv.DictReader((folder / "trials.csv").open(encoding="utf-8")))


def command(*words):
    return [sys.executable, str(ROOT / "tune/search.py"), *map(str, words)]


def search(*words, **kwargs):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=180, **kwargs)


@pytest.fixture
def space_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**SPACE, "fixed": TINY}), encoding="utf-8")
    return path


@pytest.fixture
def experiment_file(tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text(
        yaml.safe_dump({**EXPERIMENT, "fixed": {**EXPERIMENT["fixed"], **TINY}}), encoding="utf-8"
    )
    return path


def test_a_search_through_ray_with_a_plateau_a_failure_and_a_worker_that_dies(
    study, inputs, shared_ray, monkeypatch, tmp_path
):
    """The duties of a driver, on one cluster.

    OFF runs first, patience works through Tune, a failure stays alone, a dead worker is replaced,
    workers are reused.
    """

    class Scripted(GanHtrTrial):
        def value_of(self, metrics):
            assert not self.inputs.pairs.train.clean.flags.writeable  # it lies in the object store
            with (tmp_path / "workers").open("a") as file:
                file.write(f"{os.getpid()} {self.config['id']} {self.state.epoch}\n")
            if (
                self.config["id"] == "on-002"
                and self.state.epoch == 7
                and not (tmp_path / "died").exists()
            ):
                (tmp_path / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.config["id"] == "on-001":
                raise RuntimeError("made to fail")
            if self.config["id"] == "off-000":
                return [1.0, 2.0, *[2.0] * 40][self.state.epoch - 1]
            return float(self.state.epoch)

    monkeypatch.setattr(tune.runner.workers, "GanHtrTrial", Scripted)
    folder, request = study(trials=4, epochs=20)
    out = io.StringIO()
    assert tune.driver.run_search(folder, request, inputs.pairs, None, out)
    rows = {row["trial"]: row for row in rows_of(folder.path)}
    assert list(rows) == ["off-000", "on-000", "on-001", "on-002"]
    assert (
        rows["off-000"]["status"],
        rows["off-000"]["epochs"],
        rows["off-000"]["best_epoch"],
    ) == ("stopped", "17", "2")
    assert (rows["on-000"]["status"], rows["on-000"]["value"]) == ("complete", "20.0")
    assert rows["on-001"]["status"] == "failed" and "made to fail" in rows["on-001"]["error"]
    assert "made to fail" in (folder.path / "trials/on-001/traceback.txt").read_text()
    assert json.loads((folder.path / "best/config.json").read_text())["id"] in ("on-000", "on-002")
    arms = journal_of(folder.path)
    assert [t.state for t in arms["off"]] == [TrialState.COMPLETE] and arms["off"][0].value == 2.0
    assert len(arms["off"][0].intermediate_values) == 17
    assert [t.state for t in arms["on"]] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]
    assert [len(t.intermediate_values) for t in arms["on"]] == [20, 0, 20]
    seen = [line.split() for line in (tmp_path / "workers").read_text().splitlines()]
    epochs = [int(epoch) for _, name, epoch in seen if name == "on-002"]
    assert (tmp_path / "died").exists() and epochs == [*range(1, 8), *range(7, 21)]
    assert len({pid for pid, _, _ in seen}) <= 3, (
        "two workers serve the four trials, a third takes the place of the dead one"
    )
    output = out.getvalue()
    assert "| OFF (off-000)" in output and "1 trial failed" in output
    assert not list(folder.path.rglob("*.pkl")), "nothing of a study needs unpickling"
    report = (folder.path / "report.md").read_text()
    assert all(
        f"| {name}" in report
        for name in ("degraded", "Sauvola", "OFF (off-000)", "best (on-", "clean")
    )


def test_a_search_ends_with_a_verdict_and_can_be_extended(search_here, space_file, tmp_path):
    """Choice and verdict through Ray, from the command line.

    `--extend` adds trials and repeats the verdict; confirm.py adds seeds.
    """
    where = ["--results", tmp_path / "r", "--name", "judged"]
    short = ["--trials", 3, "--epochs", 1, "--seeds", 3, "--set", "train.steps_per_epoch=1"]
    short += ONE_WORKER
    done = search_here("--space", space_file, *where, *short)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "r/judged"
    verdict = json.loads((folder / "confirm/verdict.json").read_text())
    judged = {judgement["metric"] for judgement in verdict["judgements"]}
    assert judged == {"score", "psnr", "ssim", "judge_cer", "judge_wer"}
    objective = json.loads((folder / "environment.json").read_text())["objective"]
    assert verdict["primary"] == objective, "psnr where the recognizers are too weak, else score"
    assert all(
        judgement["seeds"] == [2000, 2001, 2002] and judgement["lines"] == 400
        for judgement in verdict["judgements"]
    )
    assert len(list((folder / "confirm/trials").iterdir())) == 2 * 3 + 2 * 3
    more = search_here("--extend", 1, *where)
    assert more.returncode == 0, more.stdout + more.stderr
    assert [row["trial"] for row in rows_of(folder)] == ["off-000", "on-000", "on-001", "on-002"]
    chosen = json.loads((folder / "confirm/choice.json").read_text())["arms"]["on"]
    assert (
        sorted(each["id"] for each in chosen) == ["on-000", "on-001", "on-002"]
        and (folder / "confirm/verdict.json").exists()
    )
    assert len(json.loads((folder / "confirm/openings.json").read_text())["openings"]) == 2
    other = tmp_path / "other.yaml"
    other.write_text(space_file.read_text().replace("0.01", "0.02"), encoding="utf-8")
    refused = search_here("--resume", "--space", other, *where)
    assert refused.returncode == 2 and "--warm-start" in refused.stderr


def test_the_command_searches_is_killed_and_resumed(search_here, space_file, tmp_path):
    """After kill -9 in the middle of a search, --resume ends with every trial once.

    No trial runs again; running trials continue from their epoch.
    """
    name = ["--space", space_file, "--results", tmp_path / "r", "--name", "killed"]
    process = subprocess.Popen(
        command(*name, "--trials", 3, "--epochs", 10, *ONE_WORKER),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    folder = tmp_path / "r/killed"
    wait_for(lambda: epochs_of(folder, "off-000") >= 3, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)  # Ray's own processes follow their driver
    before = {
        path.parent.name: epochs_of(folder, path.parent.name)
        for path in folder.glob("trials/*/config.json")
    }
    assert before["off-000"] >= 3
    stamp = (folder / "trials/off-000/lines/epoch_0001.npz").stat().st_mtime_ns
    done = search_here("--resume", "--name", "killed", "--results", tmp_path / "r")
    assert done.returncode == 0, done.stdout + done.stderr
    arms = journal_of(folder)
    assert {t.state for trials in arms.values() for t in trials} == {TrialState.COMPLETE}
    assert len(arms["off"]) == 1 and len(arms["on"]) == 2
    assert [row["trial"] for row in rows_of(folder)] == ["off-000", "on-000", "on-001"]
    entries = json.loads(
        (folder / "trials/off-000/metrics/training_metrics_fp32.json").read_text()
    )["epochs"]
    assert [entry["epoch"] for entry in entries] == list(range(1, len(entries) + 1))
    assert stamp == (folder / "trials/off-000/lines/epoch_0001.npz").stat().st_mtime_ns, (
        "the first epoch was not done again"
    )
    again = search_here("--resume", "--name", "killed", "--results", tmp_path / "r")
    assert again.returncode == 0 and "starts" not in again.stdout


def epochs_of(folder, name):
    path = folder / f"trials/{name}/result.json"
    return json.loads(path.read_text()).get("epoch", 0) if path.exists() else 0


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupt_stops_within_ten_seconds_and_can_be_resumed(
    search_here, space_file, tmp_path, number
):
    words = ["--space", space_file, "--results", tmp_path / "r", "--name", "cut"]
    process = subprocess.Popen(
        command(*words, "--trials", 2, "--epochs", 12, *ONE_WORKER),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    folder = tmp_path / "r/cut"
    wait_for(lambda: epochs_of(folder, "off-000") >= 2, process)
    asked = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10 and process.returncode == 130, out
    assert "--resume" in out
    states = {t.state for trials in journal_of(folder).values() for t in trials}
    assert TrialState.RUNNING not in states and TrialState.WAITING in states
    assert (folder / "report.md").exists() and rows_of(folder)
    reached = epochs_of(folder, "off-000")
    done = search_here("--resume", "--name", "cut", "--results", tmp_path / "r")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {t.state for trials in journal_of(folder).values() for t in trials} == {
        TrialState.COMPLETE
    }
    assert epochs_of(folder, "off-000") >= reached


def test_single_trial_gives_the_bits_of_the_same_trial_in_a_search(
    search_here, space_file, tmp_path
):
    words = ["--space", space_file, "--results", tmp_path / "r", "--set", "train.steps_per_epoch=3"]
    for name, run in (("a", partial(search, cwd="/")), ("b", search_here)):
        done = run(
            *words, "--name", name, "--single-trial", "--set", "contrastive.formulation=none"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Ray" not in done.stdout
    assert search_here(*words, "--name", "s", "--trials", 1).returncode == 0
    weights = [
        (tmp_path / "r" / part / "best.safetensors").read_bytes()
        for part in ("a/trials/single", "b/trials/single", "s/trials/off-000")
    ]
    assert weights[0] == weights[1] == weights[2]


def test_an_experiment_through_ray(study, experiment, inputs, shared_ray):
    """Both arms run for both seeds, and best/ is complete.

    A trial run by Ray equals the trial of the same seed without Ray.
    """
    folder, request = study(
        trials=4, epochs=2, of=replace(experiment, budget=replace(experiment.budget, seeds=2))
    )
    assert tune.driver.run_search(folder, request, inputs.pairs, None, io.StringIO())
    rows = rows_of(folder.path)
    assert [
        (
            row["trial"],
            row["proposed_by"],
            row["train.seed"],
            row["status"],
            row["epochs"],
            row["peak_memory_mb"],
        )
        for row in rows
    ] == [
        (f"{arm}-00{seed}", "experiment", str(seed), "complete", "2", "")
        for arm in ("off", "on")
        for seed in (0, 1)
    ]
    assert {t.state for trials in journal_of(folder.path).values() for t in trials} == {
        TrialState.COMPLETE
    }
    assert {path.name for path in (folder.path / "best").iterdir()} == {
        "generator.safetensors",
        "guide.safetensors",
        "config.json",
    }
    alone, request = study("alone", trials=4, epochs=2, of=request.space)
    drive(
        trial_class(tune.runner.preparation.plan_of(request, alone, "score"), inputs)(
            config_of("on-001", **{"train.seed": 1})
        )
    )
    best = [place.path / "trials/on-001/best.safetensors" for place in (folder, alone)]
    assert best[0].read_bytes() == best[1].read_bytes()


@pytest.mark.slow
def test_an_experiment_that_is_killed_and_resumed_ends_with_its_pairs(experiment_file, tmp_path):
    words = [
        "--space",
        experiment_file,
        "--results",
        tmp_path / "r",
        "--name",
        "e",
        "--epochs",
        4,
        "--seeds",
        2,
    ]
    process = subprocess.Popen(
        command(*words, *ONE_WORKER),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    folder = tmp_path / "r/e"
    wait_for(lambda: epochs_of(folder, "on-000") >= 1, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)
    assert not (folder / "trials/off-001").exists() or epochs_of(folder, "on-000") == 4
    done = search("--resume", "--name", "e", "--results", tmp_path / "r", cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        (row["trial"], row["train.seed"], row["status"], row["epochs"]) for row in rows_of(folder)
    ] == [
        (f"{arm}-00{seed}", str(seed), "complete", "4") for arm in ("off", "on") for seed in (0, 1)
    ]


def test_a_dry_run_of_an_experiment_lists_both_arms_and_the_seeds(experiment_file, tmp_path):
    words = [
        "--space",
        str(experiment_file),
        "--results",
        str(tmp_path / "r"),
        "--dry-run",
        "--seed",
        "4",
        "--seeds",
        "2",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    shown = (
        "experiment both",
        "2 arms x 2 seeds = 4 trials",
        "OFF  contrastive.formulation=none  loss.ctc=2",
        "ON   contrastive.formulation=clip",
        "train.seed 4, 5\n",
        "expected:",
    )
    assert all(words in done.stdout for words in shown), done.stdout
    assert "random trials" not in done.stdout and not (tmp_path / "r").exists()


def test_a_dry_run_shows_everything_and_leaves_nothing(space_file, tmp_path):
    done = search(
        "--space",
        space_file,
        "--results",
        tmp_path / "r",
        "--dry-run",
        "--set",
        "train.clip_norm=0.5",
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    shown = (
        "train.clip_norm",
        "0.5",
        "contrastive.weight: float 0.01 to 30, log",
        "[mlp] head.layers: int 1 to 3",
        "it ends no trial early",
        "5 random trials",
        "expected:",
    )
    assert all(words in done.stdout for words in shown)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["--space", "contrastve"], "contrastive"),
        (["--preset", "huge"], "preset must be one of tiny, small, seed"),
        (["--set", "contrastive.wieght=1"], "Did you mean contrastive.weight?"),
        (["--set", "contrastive.weight"], "--set must be key=value"),
        (["--set", "contrastive.weight=1"], "contrastive searches this key"),
        (["--set", "train.batch_size=many"], "train.batch_size must be a whole number"),
        (["--data", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--charset", "/nowhere.txt"], "/nowhere.txt"),
        (["--resume", "--name", "never"], "no study is here"),
        (["--resume", "--trials", "9"], "--trials cannot be changed with --resume"),
        (["--resume", "--seeds", "9"], "--seeds cannot be changed with --resume"),
        (["--space", "experiment", "--seeds", "0"], "--seeds must be at least 1 with experiment"),
        (
            ["--space", "experiment", "--warm-start", "x"],
            "--warm-start: experiment, an experiment, searches nothing",
        ),
        (["--extend", "3", "--name", "never"], "no study is here"),
        (["--space", "experiment", "--trials", "4"], "Use --seeds, or set budget.seeds"),
        (
            ["--space", "experiment", "--set", "contrastive.formulation=none"],
            "add --single-trial to train OFF alone",
        ),
        (["--name", "../up"], "is not a plain folder name"),
    ],
)
def test_bad_options_are_reported_and_leave_nothing(tmp_path, words, message):
    done = CliRunner().invoke(app, ["--results", str(tmp_path / "r"), *words])
    assert done.exit_code == 2 and message in done.stderr and not (tmp_path / "r").exists()


def test_a_name_that_exists_is_refused(study):
    from tune.study.folder import StudyError

    study("twice")
    with pytest.raises(StudyError, match="--resume"):
        study("twice")


def test_a_second_search_in_the_same_folder_is_refused(study, inputs):
    from tune.study.folder import StudyError, StudyFolder

    folder, request = study()
    with folder.locked(), pytest.raises(StudyError, match="another search is running"):
        tune.driver.run_search(StudyFolder(folder.path), request, inputs.pairs, None, io.StringIO())


def test_the_schema_is_printed():
    done = CliRunner().invoke(app, ["--schema"])
    assert (
        done.exit_code == 0
        and "contrastive.weight" in json.loads(done.stdout)["properties"]["space"]["properties"]
    )
