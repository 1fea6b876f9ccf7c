"""Overhead of a search beyond its trials.

`python tests/benchmarks/overhead.py results/<study> [--slots 2]` compares the time from start to
end with the makespan of the same trial times, list-scheduled on the same slots. Goal: at most 1.10
times the makespan plus 20 s.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
from pathlib import Path


def makespan(seconds, slots):
    """Makespan in seconds of jobs that go, in order, to the slot that is free first."""
    free = [0.0] * slots
    for job in seconds:
        heapq.heappush(free, heapq.heappop(free) + job)
    return max(free)


def main():
    """Prints both times and their ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("study", type=Path)
    options.add_argument("--slots", type=int, default=2)
    arguments = options.parse_args()
    with (arguments.study / "trials.csv").open(encoding="utf-8") as file:
        trials = [float(row["seconds"]) for row in csv.DictReader(file)]
    wall = sum(
        s["seconds"]
        for s in json.loads((arguments.study / "sessions.json").read_text())["sessions"]
    )
    least = makespan(trials, arguments.slots)
    epochs = [
        e
        for path in arguments.study.glob("trials/*/metrics/*.json")
        for e in json.loads(path.read_text())["epochs"]
    ]
    share = sum(e["diagnostics"]["validation_seconds"] for e in epochs) / sum(
        e["epoch_time_seconds"] for e in epochs
    )
    print(
        f"start to end {wall:.0f} s, makespan of {len(trials)} trials on {arguments.slots} slots "
        f"{least:.0f} s: {(wall - 20) / least:.3f} x makespan + 20 s (goal 1.10); "
        f"validation {share:.1%} of an epoch (goal 20 %)"
    )


if __name__ == "__main__":
    main()
