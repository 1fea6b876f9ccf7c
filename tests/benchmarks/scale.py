"""Overhead of a long search beyond its training.

`python tests/benchmarks/scale.py FOLDER [--trials 10000] [--ray]`

Creates FOLDER, a study of simulated trials (landscapes.Synthetic, four at a time). Without Ray each
call is timed; with --ray the study runs as in tune/driver.py, and each trial replays its curve in a
worker. Then the study is opened again, and its report is written. Each part runs in its own
process. The study is kept: 10,000 trials need about 600 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from landscapes import Synthetic
from simulator import SimulatedTrial, replay

from ganhtr.atomic import to_json
from tune.runner.trainable import TrialPlan
from tune.searcher.searcher import OptunaSearcher
from tune.study.folder import StudyFolder
from tune.study.journal import trials_in
from tune.study.request import Request
from tune.study.trial_folder import TrialFolder
from tune.study.trial_table import best_row, collect

ROOT = Path(__file__).resolve().parents[2]
LANDSCAPE = Synthetic()
WORKERS = 4


def memory_mb(whose: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process (or its finished children) held."""
    return resource.getrusage(whose).ru_maxrss / 1024


def now() -> np.ndarray:
    """Wall time and CPU time of this process. Shape: (2,)."""
    return np.array([time.perf_counter(), time.process_time()])


def request_of(trials: int) -> Request:
    """The study."""
    return Request(
        LANDSCAPE.space(trials),
        "tiny",
        "a benchmark",
        {},
        "builtin",
        None,
        None,
        trials,
        0,
        1 / 2,
        0,
    )


def searcher_of(folder: StudyFolder, trials: int) -> OptunaSearcher:
    """The study's searcher, not opened yet."""
    return OptunaSearcher(folder.request().space, folder.journal, trials, 0)


class Timed:
    """A searcher whose calls are timed, and whose trials leave the folders that a report reads."""

    def __init__(self, searcher: OptunaSearcher, folder: StudyFolder):
        self.searcher, self.folder = searcher, folder
        self.running: dict[str, tuple[dict[str, Any], list[np.ndarray]]] = {}
        self.costs: list[
            list[np.ndarray]
        ] = []  # of each trial that ended: ask, then every later call

    def suggest(self, name: str) -> Any:
        """As the searcher."""
        began = now()
        proposal = self.searcher.suggest(name)
        if isinstance(proposal, dict):
            self.running[name] = proposal, [now() - began]
            TrialFolder(self.folder.path / "trials" / proposal["id"]).create(
                {**proposal, "config": proposal["values"]}
            )
        return proposal

    def should_stop(self, name: str, result: dict[str, Any]) -> bool:
        """As the searcher."""
        began = now()
        stop = self.searcher.should_stop(name, result)
        self.running[name][1].append(now() - began)
        return stop

    def on_trial_complete(self, name: str, result: dict[str, Any]) -> None:
        """As the searcher."""
        began = now()
        self.searcher.on_trial_complete(name, result)
        proposal, cost = self.running.pop(name)
        self.costs.append([*cost, now() - began])
        TrialFolder(self.folder.path / "trials" / proposal["id"]).write_result(result)


def in_process(folder: StudyFolder, trials: int, by_chance: int) -> dict[str, float]:
    """Run a study without Ray; returns the times of the last tenth of its trials in ms.

    The first `by_chance` trials are random.
    """
    if by_chance:
        searcher = OptunaSearcher(
            LANDSCAPE.space(trials, sampler="random"), folder.journal, by_chance, 0
        )
        searcher.open()
        replay(Timed(searcher, folder), LANDSCAPE, 10**9, 0, WORKERS)
    searcher = searcher_of(folder, trials)
    searcher.open()
    timed = Timed(searcher, folder)
    replay(timed, LANDSCAPE, 10**9, 1, WORKERS)
    last = timed.costs[-trials // 10 :]
    times = {}
    for name, costs in (
        ("ask", np.array([cost[0] for cost in last])),
        ("a trial", np.array([sum(cost) for cost in last])),
    ):
        for column, clock in enumerate(("", " of CPU")):
            median, high = 1000 * np.quantile(costs[:, column], [0.5, 0.95])
            times |= {
                f"{name}, median ms{clock}": float(median),
                f"{name}, 95 % ms{clock}": float(high),
            }
    return {**times, "peak memory, MB": memory_mb()}


def through_ray(folder: StudyFolder, trials: int) -> dict[str, float]:
    """A study as the driver runs it, with the driver's own memory."""
    import landscapes
    import simulator
    from ray import cloudpickle
    from ray import tune as ray_tune

    from tune.runner.cluster import output_to, ray_session
    from tune.runner.workers import Workers

    for module in (landscapes, simulator):  # the workers cannot import a benchmark
        cloudpickle.register_pickle_by_value(module)
    request, searcher = folder.request(), searcher_of(folder, trials)
    searcher.open()
    plan = TrialPlan(request.config(), "score", 15, 0.01, folder.path, 1, "cpu")
    began = time.monotonic()
    with output_to(folder.log) as real, ray_session(None, 0) as _:
        crew = Workers(request, plan, None, open(folder.path / "said.txt", "w"))  # type: ignore[arg-type]  # noqa: SIM115
        crew.trainable = ray_tune.with_resources(
            ray_tune.with_parameters(SimulatedTrial, landscape=LANDSCAPE, folder=folder.path),
            {"cpu": request.cpus_per_trial},
        )
        finished = crew.run(searcher, trials)
        print(f"finished: {finished}", file=real)
    seconds = time.monotonic() - began
    return {
        "seconds": seconds,
        "ms a trial": 1000 * seconds / trials,
        "peak memory of the driver, MB": memory_mb(),
    }


def resumed(folder: StudyFolder, trials: int) -> dict[str, float]:
    """Opens the study for one trial more; until that is proposed."""
    began = time.perf_counter()
    searcher = searcher_of(folder, trials + 1)
    searcher.open()
    opened = time.perf_counter() - began
    assert searcher.remaining == 1 and isinstance(searcher.suggest("one more"), dict)
    return {
        "to open, s": opened,
        "until the first proposal, s": time.perf_counter() - began,
        "peak memory, MB": memory_mb(),
    }


def reported(folder: StudyFolder) -> dict[str, float]:
    """Write the report as a user does. The best trial gets weights, which simulated trials lack."""
    best = best_row(collect(folder, trials_in(folder.journal)))
    assert best is not None
    (folder.path / "trials" / best.id / "best.safetensors").touch()
    (folder.path / "environment.json").write_bytes(
        to_json({"objective": "score", "data": {"name": "simulated", "notes": []}})
    )
    began = time.monotonic()
    subprocess.run(
        [sys.executable, str(ROOT / "tune/report.py"), str(folder.path)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {
        "seconds": time.monotonic() - began,
        "peak memory, MB": memory_mb(resource.RUSAGE_CHILDREN),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument(
        "--by-chance",
        type=int,
        default=0,
        help="trials proposed at random first, which takes less time; without --ray",
    )
    parser.add_argument("--ray", action="store_true", help="run the trials through Ray Tune")
    parser.add_argument(
        "--part",
        choices=("process", "ray", "resume", "report"),
        help="one part alone, on the study that is there",
    )
    options = parser.parse_args()
    folder = StudyFolder(options.folder.resolve())
    parts = {
        "process": lambda: in_process(folder, options.trials, options.by_chance),
        "ray": lambda: through_ray(folder, options.trials),
        "resume": lambda: resumed(folder, options.trials),
        "report": lambda: reported(folder),
    }
    if options.part:
        print(json.dumps(parts[options.part]()))
        return
    folder.create(request_of(options.trials))
    for part in ("ray" if options.ray else "process", "report", "resume"):
        done = subprocess.run(
            [
                sys.executable,
                __file__,
                str(folder.path),
                "--trials",
                str(options.trials),
                "--by-chance",
                str(options.by_chance),
                "--part",
                part,
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        times = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{part}: " + ", ".join(f"{name} {value:.1f}" for name, value in times.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
