"""Tests of kill -9 at random moments, followed by --resume.

Killed are the search, its workers, and a search with two trials at a time.

The moments are drawn from a seed that a failing test names; KILL_SEED sets it.
"""

import contextlib
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

import tune.driver
import tune.runner.workers
from tests.tune.conftest import SPACE
from tests.tune.runner.test_search import TINY, command, rows_of
from tune.runner.trainable import GanHtrTrial
from tune.study.journal import trials_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
TRIALS, EPOCHS, CPUS = 6, 5, os.cpu_count() or 1
ENDED = {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.fixture
def moments():
    """A generator of random moments; its seed is shown when the test fails."""
    print(f"KILL_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def words(tmp_path):
    """words(**verdict): the options of a search that prunes and runs one trial at a time.

    verdict: settings of the verdict at the end, if there is one.

    shared: a parameter that also matters without contrast, so that OFF searches too.
    """

    def build(trials=TRIALS, cpus=CPUS, shared=None, **verdict):
        space = {
            **SPACE,
            "space": {**SPACE["space"], **(shared or {})},
            "budget": {"steps_per_epoch": 1},
            "fixed": TINY,
            "search": {"pruner": "asha", "warmup": 2},
            "verdict": {"seeds": 0, **verdict},
        }
        (tmp_path / "killed.yaml").write_text(yaml.safe_dump(space), encoding="utf-8")
        return [
            "--space",
            tmp_path / "killed.yaml",
            "--results",
            tmp_path / "r",
            "--trials",
            trials,
            "--epochs",
            EPOCHS,
            "--cpus-per-trial",
            cpus,
        ]

    return build


class Session:
    """A search in a process of its own, begun or resumed, whichever the folder needs."""

    def __init__(self, folder, words):
        going_on = (folder / "study.yaml").exists()
        options = ["--resume", "--results", folder.parent] if going_on else words
        self.folder, self.began = folder, time.monotonic()
        self.log = open(folder.parent.parent / f"{folder.name}.log", "a")  # noqa: SIM115 as long as the process
        self.process = subprocess.Popen(
            command(*options, "--name", folder.name),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def until(self, condition, seconds=180):
        """Waits for it; whether it came before the search ended, which must be well."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                assert self.process.returncode == 0, Path(self.log.name).read_text()
                return False
            assert time.monotonic() < deadline, (
                "it took too long\n" + Path(self.log.name).read_text()
            )
            time.sleep(0.02)
        return True

    def kill(self):
        """Kill only the search, with SIGKILL.

        Ray's workers must end by themselves. Ray's agents would take a minute: they are ended here.
        """
        started, training = descendants(self.process.pid), workers_of(self)
        self.process.kill()
        self.process.wait()
        self.log.close()
        alive = [pid for pid, began in started.items() if stat_of(pid).get("began") == began]
        for pid in set(alive) - set(training):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while any(stat_of(pid).get("began") == started[pid] for pid in training if pid in started):
            assert time.monotonic() < deadline, "a worker trains on without its search"
            time.sleep(0.1)

    def end(self):
        """Lets it come to its end."""
        code = self.process.wait(timeout=400)
        self.log.close()
        assert code == 0, Path(self.log.name).read_text()


def stat_of(pid):
    """Parent, start and state of a process; nothing of one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    return {} if fields[0] == "Z" else {"parent": int(fields[1]), "began": fields[19]}


def descendants(root):
    """Return the processes below one with their start times, because ids are reused."""
    stats = {
        int(path.name): stat_of(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
    }
    below, new = {}, {root}
    while new:
        new = {pid for pid, stat in stats.items() if stat.get("parent") in new and pid not in below}
        below |= {pid: stats[pid]["began"] for pid in new}
    return below


def workers_of(session):
    """The processes that train, by the title that Ray gives them."""

    def title(pid):
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""

    return [
        pid
        for pid in descendants(session.process.pid)
        if title(pid).startswith(b"ray::ResourceTrainable")
    ]


def results_of(folder):
    """Return the result of every trial, including the trials of the confirmation."""
    return {
        str(path.parent.relative_to(folder)): json.loads(path.read_text())
        for path in folder.glob("**/trials/*/result.json")
    }


def epochs_in(folder):
    return sum(result.get("epoch", 0) for result in results_of(folder).values())


def table_of(folder):
    """Return the trial table of a study without the durations."""
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in rows_of(folder)
    ]


def kill_at_random(folder, words, targets, moments, start_up):
    """Run sessions that are killed; return the trials that had ended at each kill.

    Each kill comes a random time after the study has reached its target number of epochs.
    """
    ended = {}
    for target in targets:
        session = Session(folder, words)
        ahead = epochs_in(folder) >= target
        if session.until(lambda target=target: epochs_in(folder) >= target):
            pause = moments.uniform(0, start_up if ahead else 0.6)
            with contextlib.suppress(subprocess.TimeoutExpired):
                session.process.wait(pause)
        session.kill()
        ended |= {
            name: result
            for name, result in results_of(folder).items()
            if result.get("status") in ("complete", "stopped", "pruned")
        }
    return ended


def test_killed_at_twenty_random_moments_it_ends_as_an_unbroken_search(words, tmp_path, moments):
    """Trials and verdict equal those of an uninterrupted search.

    Kills come during start-up, within an epoch, at the end of a trial, in confirmation and report.
    """
    options = words(
        trials=12, shared={"loss.ctc": {"float": [0.5, 2]}}, seeds=3, top=2
    )  # the model proposes each arm's fifth and sixth
    whole, cut = tmp_path / "r/whole", tmp_path / "r/cut"
    unbroken = Session(whole, options)
    unbroken.until(lambda: epochs_in(whole) >= 1)
    start_up = time.monotonic() - unbroken.began
    unbroken.end()
    total = epochs_in(whole)
    targets = sorted([0, *(moments.randrange(total + 1) for _ in range(18)), total])
    ended = kill_at_random(cut, options, targets, moments, start_up)
    Session(cut, options).end()
    assert table_of(whole) == table_of(cut)
    results = results_of(cut)
    assert {name: results[name] for name in ended} == ended, "a trial that had ended was run again"
    assert results.keys() == results_of(whole).keys()
    assert {trial.state for _, trial in trials_in(cut / "study.journal")} <= ENDED
    for name in ("choice.json", "judged.json", "lines.csv", "verdict.json"):
        assert (whole / "confirm" / name).read_bytes() == (cut / "confirm" / name).read_bytes(), (
            name
        )


def test_two_trials_at_a_time_killed_at_random_moments(words, tmp_path, moments):
    """Every trial runs once, under the next free name, ends, and has each of its epochs once.

    No trial that had ended runs again.
    """
    options, folder, trials = words(trials=8, cpus=CPUS / 2), tmp_path / "r/two", 8
    ended = kill_at_random(
        folder,
        options,
        sorted(moments.randrange(trials * EPOCHS * 2 // 3) for _ in range(8)),
        moments,
        10,
    )
    Session(folder, options).end()
    results, rows = results_of(folder), rows_of(folder)
    assert {name: results[name] for name in ended} == ended
    assert [row["trial"] for row in rows] == [
        "off-000",
        *(f"on-{number:03d}" for number in range(trials - 1)),
    ]
    assert {row["status"] for row in rows} <= {"complete", "pruned"}
    assert sorted(results) == sorted(f"trials/{row['trial']}" for row in rows)
    of_study = [
        trial for _, trial in trials_in(folder / "study.journal") if "proposal" in trial.user_attrs
    ]
    assert {trial.state for trial in of_study} <= ENDED and len(of_study) == trials
    for row in rows:
        entries = json.loads(
            (folder / "trials" / row["trial"] / "metrics/training_metrics_fp32.json").read_text()
        )["epochs"]
        assert [entry["epoch"] for entry in entries] == list(range(1, int(row["epochs"]) + 1))


def test_workers_killed_at_random_moments_leave_no_trace_in_the_study(words, tmp_path, moments):
    """Every trial continues from its checkpoint, as if nothing had happened.

    There are more kills than a trial survives within one epoch, but they are spread out.
    """
    options = words(trials=2)
    options[options.index(EPOCHS)] = 16
    whole, cut = tmp_path / "r/whole", tmp_path / "r/cut"
    Session(whole, options).end()
    session, killed = Session(cut, options), 0
    for target in sorted(moments.sample(range(1, 31), 7)):
        if not session.until(
            lambda target=target: epochs_in(cut) >= target and workers_of(session)
        ):
            break
        time.sleep(moments.uniform(0, 0.4))
        for pid in workers_of(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    session.end()
    assert killed >= 4, "more than max_failures in one of the two trials"
    assert table_of(whole) == table_of(cut)


def test_a_trial_whose_worker_dies_in_the_same_epoch_every_time_fails_alone(
    study, inputs, monkeypatch, tmp_path
):
    class Deadly(GanHtrTrial):
        def value_of(self, metrics):
            if self.config["id"] == "on-000" and self.state.epoch == 3:
                with (tmp_path / "deaths").open("a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            return float(self.state.epoch)

    monkeypatch.setattr(tune.runner.workers, "GanHtrTrial", Deadly)
    folder, request = study(trials=3, epochs=4)
    assert tune.driver.run_search(folder, request, inputs.pairs, None, io.StringIO())
    assert [
        (row["trial"], row["status"], row["epochs"])
        for row in csv.DictReader((folder.path / "trials.csv").open())
    ] == [("off-000", "complete", "4"), ("on-000", "failed", "2"), ("on-001", "complete", "4")]
    assert (tmp_path / "deaths").read_text() == "xxx"
