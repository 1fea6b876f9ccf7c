"""The nodes of a running Ray cluster: how many trials fit on them at once, and whether each sees the study's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

LOOK = 60.0  # seconds within which a node must have looked; the first look starts a worker there


def alive() -> list[dict[str, Any]]:
    """Ray's notes on the nodes that are there."""
    return [node for node in ray.nodes() if node["Alive"]]


def room(cpus: float, gpus: float) -> int:
    """How many trials that take so much run at once. A trial runs on one node: two halves of it on two are no room."""
    return sum(int(min(node["Resources"].get(name, 0) / asked for name, asked in (("CPU", cpus), ("GPU", gpus)) if asked) + 1e-6)
               for node in alive())


def blind(folder: Path) -> list[str]:
    """Addresses of the nodes on which a folder is not to be seen, or that do not answer; the trials there could not keep anything."""
    look = ray.remote(num_cpus=0, max_retries=0)(lambda: folder.is_dir())
    nodes = alive()
    answers = [look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote() for node in nodes]
    ray.wait(answers, num_returns=len(answers), timeout=LOOK)
    return [node["NodeManagerAddress"] for node, answer in zip(nodes, answers, strict=True) if not seen(answer)]


def seen(answer: Any) -> bool:
    """What a node said; False where it said nothing."""
    try:
        return bool(ray.get(answer, timeout=0))
    except ray.exceptions.RayError:  # it went, or takes too long
        return False
