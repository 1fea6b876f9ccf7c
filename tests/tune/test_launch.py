"""Tests of the cluster manifests: valid for Ray's launcher, KubeRay and our command line."""

import json
import shlex
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import typer
import yaml

from tune import ROOT
from tune.commands.search import app

LAUNCH = ROOT / "tune/launch"
OPTIONS = {name: option for option in typer.main.get_command(app).params for name in option.opts}


@pytest.fixture(scope="module")
def launcher():
    return yaml.safe_load((LAUNCH / "ray-cluster.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def kubernetes():
    """The claim and the job."""
    return list(yaml.safe_load_all((LAUNCH / "kuberay-rayjob.yaml").read_text(encoding="utf-8")))


def words_of(command):
    """Return the options and values of a search command.

    Fails on an option that the search does not have.
    """
    words = shlex.split(command)
    words = words[next(i for i, word in enumerate(words) if word.endswith("tune/search.py")) + 1 :]
    given = {}
    while words:
        name = words.pop(0)
        assert name in OPTIONS, f"{name} is no option of the search"
        given[name] = "" if OPTIONS[name].is_flag else words.pop(0)
    return given


def test_the_launcher_file_is_valid_by_rays_schema(launcher):
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(launcher, schema)
    assert launcher["provider"]["type"] == "local" and launcher["max_workers"] == len(
        launcher["provider"]["worker_ips"]
    )


def test_the_launcher_installs_what_is_pinned_and_mounts_what_all_see(launcher):
    commands = " ".join(launcher["setup_commands"])
    assert (
        commands.count("--constraint constraints.txt") == commands.count("pip install") == 2
        and "mount -t nfs4" in commands
    )
    starts = launcher["head_start_ray_commands"] + launcher["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
    assert "~/.ray/auth_token" in launcher["file_mounts"] and ".venv" in launcher["rsync_exclude"]


def test_the_call_in_the_launchers_heading_is_one_of_ours():
    lines = (LAUNCH / "ray-cluster.yaml").read_text(encoding="utf-8").splitlines()
    text = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    given = words_of(text[text.index("tune/search.py") : text.index("' --tmux")])
    assert given["--address"] == "auto" and given["--results"] == "/results"


def test_the_rayjob_has_the_shape_that_kuberay_documents(kubernetes):
    claim, job = kubernetes
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"].keys() <= {
        "entrypoint",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "backoffLimit",
        "rayClusterSpec",
    }
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups[1:]:
        assert {"groupName", "minReplicas", "maxReplicas", "template"} <= group.keys()
    assert (claim["kind"], claim["spec"]["accessModes"]) == (
        "PersistentVolumeClaim",
        ["ReadWriteMany"],
    )
    for group in groups:
        pod = group["template"]["spec"]
        assert [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]] == [
            claim["metadata"]["name"]
        ]
        assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {
            "/results"
        }
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ray=={cluster['rayVersion']}" in pinned


def test_the_rayjobs_entrypoint_is_a_call_of_ours_that_fits_a_worker(kubernetes):
    spec = kubernetes[1]["spec"]
    given = words_of(spec["entrypoint"])
    assert (
        given["--address"] == "auto"
        and given["--results"] == "/results"
        and given["--mirror"].startswith("s3://")
    )
    limits = spec["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0][
        "resources"
    ]["limits"]
    trials = limits["nvidia.com/gpu"] / float(given["--gpus-per-trial"])
    assert trials == 2 and trials * float(given["--cpus-per-trial"]) <= float(limits["cpu"])
