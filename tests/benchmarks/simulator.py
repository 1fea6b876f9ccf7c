"""Searches replayed at no cost: real learning curves from learning_curves.csv.gz, or a made-up function, under the project's own searcher.

`Curves` holds 240 configurations x 2 seeds, trained for real by make_curves.py; a search of its space is continuous, and each value counts as
the nearest one that was trained. `MadeUp` has a known optimum and no end of configurations. `replay` runs a searcher with several workers in
virtual time, an epoch a tick, without Ray; `SimulatedTrial` does the same under Ray.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import math
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ray.tune import Trainable

from ganhtr.seeds import derive_seed, generator
from tune.objective import objective_value
from tune.searcher import OptunaSearcher
from tune.space import Space, space_from_plain
from tune.stopping import Patience

TABLE = Path(__file__).with_name("learning_curves.csv.gz")
KEYS = ("train.generator_lr", "contrastive.weight", "contrastive.temperature", "head.kind")
SEEDS = 2
TOP = 3  # configurations that are confirmed


class Landscape(Protocol):
    """What is searched: the value of every epoch of a run, and what a configuration is worth in truth."""

    epochs: int

    def curve(self, values: dict[str, Any], seed: int) -> np.ndarray: ...

    def truth(self, values: dict[str, Any]) -> float: ...


class Curves:
    """The trained grid; the objective is the score, PSNR - 0.5 * 100 * CER. A run that diverged keeps its last value."""

    def __init__(self, path: Path = TABLE):
        runs: dict[tuple, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(line for line in file if not line.startswith("#")):
                point = (*(float(row[key]) for key in KEYS[:3]), row[KEYS[3]])
                runs[point][int(row["seed"])].append(objective_value("score", {name: float(row[name]) for name in ("psnr", "cer")}))
        self.epochs = max(len(curve) for seeds in runs.values() for curve in seeds.values())
        self.runs = {point: [np.array([*seeds[s], *seeds[s][-1:] * (self.epochs - len(seeds[s]))]) for s in range(SEEDS)]
                     for point, seeds in runs.items()}
        self.grid = [sorted({point[i] for point in self.runs}) for i in range(len(KEYS))]
        self.worth = {point: float(np.mean([curve.max() for curve in seeds])) for point, seeds in self.runs.items()}

    def point(self, values: dict[str, Any]) -> tuple:
        """The nearest trained configuration, in the logarithm of each number."""
        nearest = [min(held, key=lambda each, key=key: abs(math.log(each / values[key]))) for key, held in zip(KEYS[:3], self.grid, strict=False)]
        return (*nearest, values[KEYS[3]])

    def curve(self, values: dict[str, Any], seed: int) -> np.ndarray:
        """The values of every epoch of a run. Shape: (epochs,)."""
        return self.runs[self.point(values)][seed % SEEDS]

    def truth(self, values: dict[str, Any]) -> float:
        """The mean over the seeds of the best epoch's value."""
        return self.worth[self.point(values)]

    @property
    def top(self) -> float:
        """What a configuration of the top 1 % is worth at least."""
        return float(np.quantile(list(self.worth.values()), 0.99))

    def space(self, **search: Any) -> Space:
        """The space of the table; OFF has nothing to search in it, so that every trial but the first is one of the table's."""
        ends = [(held[0], held[-1]) for held in self.grid[:3]]
        return space_from_plain({
            "budget": {"epochs": self.epochs, "trials": 1000}, "search": {"warmup": 2, **search},
            "space": {**{key: {"float": list(end), "log": True} for key, end in zip(KEYS[:3], ends, strict=True)},
                      "head.kind": {"choice": self.grid[3]}}}, "curves")


class MadeUp:
    """A conditional space of six parameters with a known best point (0), for searches of any length.

    The value falls by 4 x the squared distance of each number from its best one, in parts of its range (in the logarithm), and by a fixed
    amount for each wrong choice; a run comes near it exponentially, with noise of its seed.
    """

    epochs = 9
    RANGES = {"contrastive.weight": (0.01, 30.0, 1.0), "contrastive.temperature": (0.03, 1.0, 0.1), "head.dim": (16, 512, 128),
              "head.layers": (1, 4, 2)}

    def truth(self, values: dict[str, Any]) -> float:
        """The value without noise; the optimum has 0."""
        lost = {"none": 1.0, "linear": 0.3, "mlp": 0.0}[values["head.kind"]] + (0.0 if values["contrastive.formulation"] == "infonce" else 0.5)
        for key, (low, high, best) in self.RANGES.items():
            if key in values:
                lost += 4 * (math.log(values[key] / best) / math.log(high / low))**2
        return -lost

    def curve(self, values: dict[str, Any], seed: int) -> np.ndarray:
        """The values of every epoch of a run. Shape: (epochs,)."""
        noise = generator(seed, "made up", *map(repr, sorted(values.items())))
        epochs = np.arange(1, self.epochs + 1)
        return self.truth(values) - 3 * np.exp(-epochs / 3) + noise.normal(0, 0.1) + noise.normal(0, 0.05, self.epochs)

    def space(self, trials: int = 10_000, **search: Any) -> Space:
        """The space of the function."""
        when = {"head.kind": ["linear", "mlp"]}
        return space_from_plain({
            "budget": {"epochs": self.epochs, "trials": trials}, "search": {"warmup": 1, **search}, "space": {
                "contrastive.formulation": {"choice": ["infonce", "clip"]}, "contrastive.weight": {"float": [0.01, 30.0], "log": True},
                "contrastive.temperature": {"float": [0.03, 1.0], "log": True}, "head.kind": {"choice": ["none", "linear", "mlp"]},
                "head.dim": {"int": [16, 512], "log": True, "when": when}, "head.layers": {"int": [1, 4], "when": {"head.kind": "mlp"}}}}, "made up")


@dataclass
class Run:
    """A trial on its way: its curve, and how far it is."""

    curve: np.ndarray
    patience: Patience = field(default_factory=lambda: Patience(15, 0.01))
    epoch: int = 0

    def step(self) -> dict[str, Any]:
        """The result of the next epoch, as tune/trainable.py gives it."""
        value = float(self.curve[self.epoch])
        self.epoch += 1
        self.patience.update(self.epoch, value)
        status = "complete" if self.epoch == len(self.curve) else "stopped" if self.patience.exhausted else "running"
        return {"epoch": self.epoch, "value": value, "best_value": self.patience.best, "best_epoch": self.patience.best_epoch, "status": status,
                "seconds": 0.0, "metrics": {}, "best_metrics": {}}


@dataclass
class Trace:
    """A search replayed: after each epoch spent, what its result is worth in truth.

    The result is what a search hands to its confirmation: of the 3 configurations with the best values observed, the one that is best in
    truth. It is the same rule for every searcher; the confirmation's own epochs are not counted.
    """

    epochs: list[int] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    trials: int = 0
    best: dict[float, float] = field(default_factory=dict)  # truth (one a configuration) -> best value observed

    def note(self, spent: int, observed: float, truth: float) -> None:
        """Notes a value that was observed."""
        if observed <= self.best.get(truth, -math.inf):
            return
        self.best[truth] = observed
        result = max(heapq.nlargest(TOP, self.best, key=lambda each: self.best[each]))
        if not self.worth or result != self.worth[-1]:
            self.epochs.append(spent)
            self.worth.append(result)

    def at(self, spent: int) -> float:
        """What the result was worth after so many epochs."""
        held = [worth for epochs, worth in zip(self.epochs, self.worth, strict=True) if epochs <= spent]
        return held[-1] if held else -math.inf

    def first(self, worth: float) -> float:
        """The epochs after which the result was worth that much, for good or not; infinity where never."""
        return next((epochs for epochs, held in zip(self.epochs, self.worth, strict=True) if held >= worth), math.inf)


def replay(landscape: Landscape, searcher: Any, budget: int, workers: int, seed: int) -> Trace:
    """Runs a searcher until `budget` epochs are spent. It has suggest, should_stop and on_trial_complete, as OptunaSearcher has.

    The seed that a trial is observed with is drawn anew for each: a lucky one is not its configuration's worth.
    """
    trace, clock, spent, names = Trace(), [], 0, iter(range(10**9))
    runs: dict[str, tuple[Run, dict[str, Any]]] = {}

    def start(now: int) -> None:
        name = str(next(names))
        proposal = searcher.suggest(name)
        if isinstance(proposal, dict):
            values = proposal["values"]
            off = proposal["arm"] == "off"
            curve = np.full(landscape.epochs, -1e3) if off else landscape.curve(values, derive_seed(seed, "trial", name))
            runs[name] = Run(curve), values
            heapq.heappush(clock, (now + 1, int(name)))
            trace.trials += not off

    for _ in range(workers):
        start(0)
    while clock and spent < budget:
        now, number = heapq.heappop(clock)
        name = str(number)
        run, values = runs[name]
        result = run.step()
        off = run.curve[0] == -1e3
        if not off:
            spent += 1
            trace.note(spent, result["best_value"], landscape.truth(values))
        if result["status"] != "running" or searcher.should_stop(name, result):
            searcher.on_trial_complete(name, result)
            del runs[name]
            start(now)
        else:
            heapq.heappush(clock, (now + 1, number))
        for _ in range(workers - len(clock)):  # a worker that had to wait
            start(now)
    return trace


def ours(space: Space, seed: int, trials: int = 100_000) -> OptunaSearcher:
    """The project's searcher on a journal of its own."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-"))
    searcher = OptunaSearcher(space, folder / "study.journal", trials, seed)
    searcher.open()
    return searcher


class SimulatedTrial(Trainable):
    """A trial of a landscape under Ray; it costs nothing."""

    def setup(self, config: dict[str, Any], landscape: Any) -> None:  # type: ignore[override]
        """The first trial of a worker."""
        self.landscape = landscape
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial on the same worker."""
        off = new_config["arm"] == "off"
        seed = derive_seed(0, "trial", new_config["id"])
        self.run = Run(np.full(self.landscape.epochs, -1e3) if off else self.landscape.curve(new_config["values"], seed))
        self.name = new_config["id"]
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        result = self.run.step()
        return {"trial": self.name, **result, "done": result["status"] != "running"}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to go on from."""
