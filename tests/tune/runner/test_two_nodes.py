"""Tests of searches on two real Ray nodes on this machine.

One node is killed, each node stores the lines once, trials share a GPU, a job is submitted.
"""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import yaml
from ray._private.authentication_test_utils import reset_auth_token_state

import tune.driver
from tests.tune.ray_node import RAY, cluster, environment
from tests.tune.runner.test_search import TINY, command, epochs_of, journal_of, search, wait_for
from tune import ROOT
from tune.runner.cluster import capacity, nodes_without
from tune.runner.trainable import GanHtrTrial
from tune.study.request import Request

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="several Ray nodes on one machine need Linux"
    ),
]
EPOCHS = 60
STUDY = {
    "budget": {"seeds": 2, "epochs": EPOCHS, "steps_per_epoch": 4},
    "early_stopping": {"patience": EPOCHS},
    "baseline": {"contrastive.formulation": "none"},
    "fixed": {"contrastive.formulation": "clip", **TINY},
}

NAMES = ("off-000", "off-001", "on-000", "on-001")


@pytest.fixture
def place():
    """A folder with a short name: Ray's sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def both_arms(tmp_path):
    """Four trials of some seconds each: OFF and ON for two seeds."""
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    return ["--space", path, "--results", tmp_path / "r"]


@pytest.fixture
def joined(place):
    """joined(*options): the nodes of a cluster that this process may join."""
    env = environment()
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
                patch.setenv(name, env[name])
            reset_auth_token_state()  # Ray holds the token of the process's first cluster
            yield lambda *options, nodes=2: stack.enter_context(
                cluster(place, env, *options, nodes=nodes)
            )
            ray.shutdown()
        reset_auth_token_state()


@pytest.fixture
def placed(monkeypatch):
    """Make searches of this process run `Placed` trials; the class is pickled by value."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("tune.runner.workers.GanHtrTrial", Placed)
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def rows_of(folder):
    """A study's trials without what depends on the clock."""
    return [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in csv.DictReader((folder / "trials.csv").open(encoding="utf-8"))
    ]


def times_of(folder, name):
    """When each epoch of a trial was written."""
    return [
        path.stat().st_mtime for path in sorted(folder.glob(f"trials/{name}/lines/epoch_*.npz"))
    ]


def test_a_node_is_killed_and_its_trial_goes_on_on_the_other(both_arms, place, tmp_path):
    assert search(*both_arms, "--name", "whole").returncode == 0
    env, folder = environment(), tmp_path / "r/cut"
    with cluster(place, env, "--num-cpus", 1, "--num-gpus", 0) as (head, second):
        process = subprocess.Popen(
            command(*both_arms, "--name", "cut", "--address", head.address),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            start_new_session=True,
        )
        try:
            wait_for(
                lambda: min(epochs_of(folder, "off-000"), epochs_of(folder, "on-000")) >= 5, process
            )
            assert len(head.workers()) == len(second.workers()) == 1
            kept = {name: epochs_of(folder, name) for name in NAMES}
            os.kill(second.raylet(), signal.SIGKILL)
            wait_for(lambda: not second.workers(), process)  # they die with their node
            gone = time.time()
            out, _ = process.communicate(timeout=240)
        finally:
            process.kill()
        assert process.returncode == 0, out
    assert rows_of(folder) == rows_of(tmp_path / "r/whole")
    assert {len(trials) for trials in journal_of(folder).values()} == {2}
    times = {name: times_of(folder, name) for name in NAMES}
    for name in NAMES:
        entries = json.loads(
            (folder / f"trials/{name}/metrics/training_metrics_fp32.json").read_text()
        )["epochs"]
        assert [entry["epoch"] for entry in entries] == list(range(1, EPOCHS + 1)) and len(
            times[name]
        ) == EPOCHS
    before = {name: sum(stamp < gone for stamp in stamps) for name, stamps in times.items()}
    assert any(0 < done < EPOCHS for done in before.values()), "a trial was in the midst of it"
    assert "Trial task failed for trial" in (folder / "logs/ray.log").read_text()
    for name in NAMES:
        assert before[name] >= kept[name] and times[name] == sorted(times[name]), (
            "what was done before the kill was not done again"
        )


class Placed(GanHtrTrial):
    """A trial that records where the lines of the study are stored.

    It waits in its first epoch until every slot has a running trial.
    """

    def value_of(self, metrics):
        notes = self.plan.folder / "notes"
        notes.mkdir(exist_ok=True)
        address = self.inputs.pairs.train.clean.ctypes.data
        note = {
            "node": ray.get_runtime_context().get_node_id(),
            "cards": ray.get_gpu_ids(),
            "pid": os.getpid(),
            "writeable": self.inputs.pairs.train.clean.flags.writeable,
            "lies": mapping_of(address),
            "time": time.time(),
        }
        with (notes / f"{self.config['id']}.jsonl").open("a") as file:
            file.write(json.dumps(note) + "\n")
        crowd, deadline = int((self.plan.folder / "crowd").read_text()), time.monotonic() + 60
        while len(list(notes.iterdir())) < crowd and time.monotonic() < deadline:
            time.sleep(0.05)
        return float(self.state.epoch)


def mapping_of(address):
    """Return the mapped file of an address as device and inode, and the offset in it.

    Two processes with equal results read the same bytes.
    """
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset, device, inode, *_ = line.split()
        first, last = (int(part, 16) for part in span.split("-"))
        if first <= address < last:
            return [device, int(inode), int(offset, 16) + address - first]
    raise AssertionError("the address is not mapped")


def notes_of(folder):
    """Trial -> its notes, an epoch each."""
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (folder.path / "notes").iterdir()
    }


def test_lines_lie_once_on_each_node(joined, placed, study, experiment, inputs):
    """Four trials run at once on two nodes, and each node has its own copy of the lines.

    The two trials of a node read the same bytes of its object store.
    """
    nodes = joined("--num-cpus", 2, "--num-gpus", 0)
    folder, request = study(
        trials=4, epochs=2, of=replace(experiment, budget=replace(experiment.budget, seeds=2))
    )
    (folder.path / "crowd").write_text("4")
    assert tune.driver.run_search(folder, request, inputs.pairs, nodes[0].address, io.StringIO())
    first = [notes[0] for notes in notes_of(folder).values()]
    assert len(first) == 4 and len({note["pid"] for note in first}) == 4
    places = {}
    for note in first:
        assert not note["writeable"]
        places.setdefault(note["node"], set()).add(tuple(note["lies"]))
    assert [len(mappings) for mappings in places.values()] == [1, 1], places
    assert len(set.union(*places.values())) == 2, "each node has its own store"


@pytest.mark.parametrize("share, together", [(0.5, 2), (0.6, 1)])
def test_trials_share_a_card_by_fractions(
    joined, placed, study, experiment, inputs, monkeypatch, share, together
):
    """Tests the resources that the search requests from Ray.

    The node's GPU is invented, and the trials train on the CPU.
    """
    monkeypatch.setattr(Request, "device", property(lambda self: "cpu"))
    nodes = joined("--num-cpus", 4, "--num-gpus", 1, nodes=1)
    folder, request = study(
        trials=2, epochs=3, of=replace(experiment, budget=replace(experiment.budget, seeds=1))
    )
    (folder.path / "crowd").write_text(str(together))
    request = replace(request, gpus_per_trial=share)
    assert tune.driver.run_search(folder, request, inputs.pairs, nodes[0].address, io.StringIO())
    off, on = (notes_of(folder)[name] for name in ("off-000", "on-000"))
    assert {str(card) for note in off + on for card in note["cards"]} == {"0"}
    overlap = on[0]["time"] < off[-1]["time"] and off[0]["time"] < on[-1]["time"]
    assert overlap == (together == 2)


def test_a_trial_has_room_on_one_node_and_every_node_must_see_the_study(joined, tmp_path):
    nodes = joined("--num-cpus", 2, "--num-gpus", 1)
    ray.init(address=nodes[0].address, log_to_driver=False)
    assert [
        capacity(1, 0),
        capacity(2, 0),
        capacity(3, 0),
        capacity(0.5, 0.5),
        capacity(2, 0.5),
        capacity(1, 2),
    ] == [
        4,
        2,
        0,
        4,
        2,
        0,
    ]
    assert capacity(0.1, 0.1) == 20
    assert nodes_without(tmp_path) == []
    assert nodes_without(tmp_path / "elsewhere") == [
        node["NodeManagerAddress"] for node in ray.nodes()
    ]


def test_a_job_is_submitted_and_its_workers_find_the_packages_on_another_node(
    both_arms, place, tmp_path
):
    """The checkout is uploaded, and runs on each node from that node's own folder."""
    env, folder = environment(), tmp_path / "r/job"
    with cluster(place, env, "--num-cpus", 1, "--num-gpus", 0, dashboard=True) as (head, second):
        words = [
            RAY,
            "job",
            "submit",
            "--address",
            head.dashboard,
            "--working-dir",
            ROOT,
            "--",
            sys.executable,
            "tune/search.py",
            *both_arms,
            "--name",
            "job",
            "--address",
            "auto",
        ]
        process = subprocess.Popen(
            list(map(str, words)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            cwd=tmp_path,
            start_new_session=True,
        )
        try:
            wait_for(
                lambda: (
                    min(epochs_of(folder, "off-000"), epochs_of(folder, "on-000")) >= 2
                    and second.workers()
                ),
                process,
            )
            paths = (
                Path(f"/proc/{second.workers()[0]}/environ")
                .read_bytes()
                .decode()
                .split("PYTHONPATH=")[1]
                .split("\0")[0]
            ).split(":")
            out, _ = process.communicate(timeout=240)
        finally:
            process.kill()
        assert process.returncode == 0, out
    assert paths[0].startswith(f"{second.folder}/"), paths
    assert [row["status"] for row in rows_of(folder)] == ["complete"] * 4
