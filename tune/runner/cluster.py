"""Ray for the length of a search: started here or joined, its noise in a log file, its dashboard's address handed out."""

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


@contextmanager
def noise_to(log: Path) -> Iterator[TextIO]:
    """Inside, standard output and error of this process and its children go to a file; yields a stream to the real output."""
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = os.dup(1), os.dup(2)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log, "ab", buffering=0) as sink,
        os.fdopen(os.dup(out), "w", encoding="utf-8", buffering=1) as real,
    ):
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield real
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
    """A running Ray: where its dashboard is, and what its largest nodes have; a trial runs on one node."""

    dashboard: str | None
    cpus: float
    gpus: float


@contextmanager
def ray_session(
    address: str | None, shared_bytes: int, dashboard: bool = True
) -> Iterator[Cluster]:
    """Starts Ray on this machine, or joins the cluster at `address`; leaves it at the end.

    `shared_bytes` is what the trials share; the object store is made for it with room to spare.
    """
    import ray

    if address:
        packages = [
            str(ROOT / name) for name in ("ganhtr", "tune")
        ]  # sent to every node: their workers run this checkout
        try:
            context = ray.init(
                address=address, runtime_env={"py_modules": packages}, log_to_driver=False
            )
        except ConnectionError as error:  # also where the token is wrong, and it does not say so
            raise ValueError(
                f"--address must be that of a running Ray cluster, got {address}: {error}. Where it asks for a token, set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            ) from error
    else:
        store = max(256 * 2**20, 2 * shared_bytes)
        context = ray.init(
            address="local",
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            object_store_memory=store,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            log_to_driver=False,
        )  # from any folder
    try:
        held = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        url = context.dashboard_url if address or dashboard else None
        yield Cluster(
            f"http://{url}" if url else None,
            *(max(node.get(name, 0) for node in held) for name in ("CPU", "GPU")),
        )
    finally:
        ray.shutdown()


LOOK = 60.0  # seconds within which a node must have looked; the first look starts a worker there


def alive() -> list[dict[str, Any]]:
    """Ray's notes on the nodes that are there."""
    return [node for node in ray.nodes() if node["Alive"]]


def room(cpus: float, gpus: float) -> int:
    """How many trials that take so much run at once. A trial runs on one node: two halves of it on two are no room."""
    return sum(
        int(
            min(
                node["Resources"].get(name, 0) / asked
                for name, asked in (("CPU", cpus), ("GPU", gpus))
                if asked
            )
            + 1e-6
        )
        for node in alive()
    )


def blind(folder: Path) -> list[str]:
    """Addresses of the nodes on which a folder is not to be seen, or that do not answer; the trials there could not keep anything."""
    look = ray.remote(num_cpus=0, max_retries=0)(lambda: folder.is_dir())
    nodes = alive()
    answers = [
        look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    ]
    ray.wait(answers, num_returns=len(answers), timeout=LOOK)
    return [
        node["NodeManagerAddress"]
        for node, answer in zip(nodes, answers, strict=True)
        if not seen(answer)
    ]


def seen(answer: Any) -> bool:
    """What a node said; False where it said nothing."""
    try:
        return bool(ray.get(answer, timeout=0))
    except ray.exceptions.RayError:  # it went, or takes too long
        return False
