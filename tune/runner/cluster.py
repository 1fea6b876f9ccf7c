"""Ray during a search: started on this machine or joined, its output in a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune import ROOT

NODE_TIMEOUT = 60.0  # seconds for a node to look for a folder; the first look starts a worker


@contextmanager
def output_to(log: Path) -> Iterator[TextIO]:
    """Send the standard output and error of this process and its children to a file.

    Yields: a stream to the real standard output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = os.dup(1), os.dup(2)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log, "ab", buffering=0) as sink,
        os.fdopen(os.dup(out), "w", encoding="utf-8", buffering=1) as terminal,
    ):
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield terminal
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):  # the log's disk may be full
                    stream.flush()
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.close(out)
            os.close(err)


@dataclass(frozen=True)
class Cluster:
    """A running Ray: the dashboard's address, and the resources of the largest nodes."""

    dashboard: str | None
    cpus: float
    gpus: float


@contextmanager
def ray_session(
    address: str | None, shared_bytes: int, dashboard: bool = True
) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`; leave it on exit.

    shared_bytes: size of the data that trials share; the object store has twice that.
    Raises: ValueError if the cluster cannot be joined.
    """
    if address:
        context = _join(address)
    else:
        context = ray.init(
            address="local",
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            object_store_memory=max(256 * 2**20, 2 * shared_bytes),
            runtime_env={"env_vars": {"PYTHONPATH": _python_path()}},
            log_to_driver=False,
        )
    try:
        nodes = [node["Resources"] for node in live_nodes()]
        url = context.dashboard_url if address or dashboard else None
        cpus, gpus = (max(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
        yield Cluster(f"http://{url}" if url else None, cpus, gpus)
    finally:
        ray.shutdown()


def _python_path() -> str:
    """PYTHONPATH of the workers, which start in any folder."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def _join(address: str) -> Any:
    """Join a cluster. Its workers run the code of this checkout, which is sent to every node."""
    packages = [str(ROOT / name) for name in ("ganhtr", "tune")]
    try:
        return ray.init(address=address, runtime_env={"py_modules": packages}, log_to_driver=False)
    except ConnectionError as error:  # also for a wrong token, which Ray does not mention
        raise ValueError(
            f"--address {address}: no Ray cluster answers ({error}). If the cluster asks for a "
            "token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error


def live_nodes() -> list[dict[str, Any]]:
    """Ray's description of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]


def capacity(cpus: float, gpus: float) -> int:
    """The number of trials with these resources that run at once. A trial runs on one node."""

    def trials_on(node: dict[str, Any]) -> int:
        limits = [
            node["Resources"].get(name, 0) / amount
            for name, amount in (("CPU", cpus), ("GPU", gpus))
            if amount
        ]
        return int(min(limits) + 1e-6)  # 1 / 0.1 may be just below 10

    return sum(map(trials_on, live_nodes()))


def nodes_without(folder: Path) -> list[str]:
    """Addresses of the nodes that do not see a folder, or do not answer."""
    look = ray.remote(num_cpus=0, max_retries=0)(lambda: folder.is_dir())
    nodes = live_nodes()
    strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    answers = [look.options(scheduling_strategy=strategy).remote() for strategy in strategies]
    ray.wait(answers, num_returns=len(answers), timeout=NODE_TIMEOUT)
    return [
        node["NodeManagerAddress"]
        for node, answer in zip(nodes, answers, strict=True)
        if not _answer(answer)
    ]


def _answer(reference: Any) -> bool:
    """A node's answer; False if there is none."""
    try:
        return bool(ray.get(reference, timeout=0))
    except ray.exceptions.RayError:  # the node died, or takes too long
        return False
