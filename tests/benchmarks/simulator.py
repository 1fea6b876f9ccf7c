"""Searches replayed at no cost: real learning curves from learning_curves.csv.gz, or a made-up function, under the project's own searcher.

`Curves` holds 240 configurations x 2 seeds, trained for real by make_curves.py; a search of its space is continuous, and each value counts as
the nearest one that was trained. `Synthetic` has a known best point and no end of configurations. `replay` runs a searcher with several
workers in virtual time, an epoch a tick, without Ray; `SimulatedTrial` runs the same trials under Ray.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ray.tune import Trainable

from ganhtr.seeds import derive_seed, generator
from tune.objective import objective_value
from tune.space import Space, space_from_plain
from tune.stopping import Patience
from tune.trainable import COMPLETE, FAILED, RUNNING, STOPPED
from tune.trial_folder import TrialFolder

TABLE = Path(__file__).with_name("learning_curves.csv.gz")
KEYS = ("train.generator_lr", "contrastive.weight", "contrastive.temperature", "head.kind")
METRICS = ("psnr", "ssim", "cer", "judge_cer")
Metrics = dict[str, float]


class Landscape(Protocol):
    """What is searched: the metrics of every epoch of a run, and what a configuration is worth in truth."""

    epochs: int

    def run(self, values: dict[str, Any], seed: int) -> list[Metrics]: ...

    def truth(self, values: dict[str, Any]) -> float: ...


class Curves:
    """The trained grid. A run that diverged ends before the last epoch.

    Its continuous space reaches half a cell beyond the grid's ends, so that the first and the last value are as likely as one between them.
    """

    def __init__(self, path: Path = TABLE):
        runs: dict[tuple, dict[int, list[Metrics]]] = defaultdict(lambda: defaultdict(list))
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(line for line in file if not line.startswith("#")):
                point = (*(float(row[key]) for key in KEYS[:3]), row[KEYS[3]])
                runs[point][int(row["seed"])].append({name: float(row[name]) for name in METRICS})
        self.runs = {point: [seeds[seed] for seed in sorted(seeds)] for point, seeds in runs.items()}
        self.epochs = max(len(run) for seeds in self.runs.values() for run in seeds)
        self.grid = [sorted({point[i] for point in self.runs}) for i in range(len(KEYS))]
        self.worth = {point: float(np.mean([max(map(score, run)) for run in seeds])) for point, seeds in self.runs.items()}

    def point(self, values: dict[str, Any]) -> tuple:
        """The nearest trained configuration, in the logarithm of each number."""
        nearest = [min(held, key=lambda each, key=key: abs(math.log(each / values[key])))  # type: ignore[misc]
                   for key, held in zip(KEYS[:3], self.grid, strict=False)]
        return (*nearest, values[KEYS[3]])

    def run(self, values: dict[str, Any], seed: int) -> list[Metrics]:
        """The metrics of every epoch of a run."""
        seeds = self.runs[self.point(values)]
        return seeds[seed % len(seeds)]

    def truth(self, values: dict[str, Any]) -> float:
        """The mean over the seeds of the best epoch's score."""
        return self.worth[self.point(values)]

    @property
    def best(self) -> float:
        """What the best configuration is worth."""
        return max(self.worth.values())

    @property
    def top(self) -> float:
        """What a configuration of the top 1 % is worth at least."""
        return float(np.quantile(list(self.worth.values()), 0.99, method="higher"))

    def space(self, trials: int = 100_000, **search: Any) -> Space:
        """The space of the table. OFF, which is not in it, is one trial."""
        parameters: dict[str, Any] = {KEYS[3]: {"choice": self.grid[3]}}
        for key, held in zip(KEYS[:3], self.grid, strict=False):
            ends = [held[0] * math.sqrt(held[0] / held[1]), held[-1] * math.sqrt(held[-1] / held[-2])]
            parameters[key] = {"float": ends, "log": True}
        return space_from_plain({
            "budget": {"epochs": self.epochs, "trials": trials}, "search": search,
            "baseline": {"contrastive.formulation": "none", "train.generator_lr": 2e-3}, "space": parameters}, "curves")


NUMBERS = {"contrastive.weight": (0.01, 30.0, 1.0), "contrastive.temperature": (0.03, 1.0, 0.1),
           "head.dim": (16, 512, 128), "head.layers": (1, 4, 2)}  # of Synthetic: from, to, best
LOST = {"head.kind": {"none": 1.0, "linear": 0.3, "mlp": 0.0}, "contrastive.formulation": {"infonce": 0.0, "clip": 0.5}}


class Synthetic:
    """A conditional space of six parameters with a known best point, which is worth 0, for searches of any length.

    The value falls by 4 x the squared distance of each number from its best one, in parts of its range (in the logarithm), and by a fixed
    amount for each choice that is not the best; a run comes near it exponentially, with noise of its seed (SD 0.1) and of each epoch (0.05).
    """

    epochs = 9
    best = 0.0

    def truth(self, values: dict[str, Any]) -> float:
        """The value without noise."""
        chosen = sum(lost[values[key]] for key, lost in LOST.items())
        away = [math.log(values[key] / best) / math.log(high / low) for key, (low, high, best) in NUMBERS.items() if key in values]
        return -chosen - 4 * sum(each**2 for each in away)

    def run(self, values: dict[str, Any], seed: int) -> list[Metrics]:
        """The metrics of every epoch of a run. All of the score is PSNR."""
        noise = generator(seed, "synthetic")
        reached = self.truth(values) - 3 * np.exp(-np.arange(1, self.epochs + 1) / 3) + noise.normal(0, 0.1)
        rest = dict.fromkeys(("ssim", "cer", "wer", "judge_cer", "judge_wer"), 0.0)
        return [{"psnr": psnr, **rest} for psnr in (reached + noise.normal(0, 0.05, self.epochs)).tolist()]

    def space(self, trials: int = 10_000, **search: Any) -> Space:
        """The space of the function."""
        numbers = {key: list(ends) for key, (*ends, _) in NUMBERS.items()}
        with_head = {"head.kind": ["linear", "mlp"]}
        return space_from_plain({
            "budget": {"epochs": self.epochs, "trials": trials}, "search": search, "space": {
                **{key: {"choice": list(lost)} for key, lost in LOST.items()},
                "contrastive.weight": {"float": numbers["contrastive.weight"], "log": True},
                "contrastive.temperature": {"float": numbers["contrastive.temperature"], "log": True},
                "head.dim": {"int": numbers["head.dim"], "log": True, "when": with_head},
                "head.layers": {"int": numbers["head.layers"], "when": {"head.kind": "mlp"}}}}, "synthetic")


def score(metrics: Metrics) -> float:
    """What an epoch is worth to these searches."""
    return objective_value("score", metrics)


@dataclass
class Run:
    """A trial on its way: its curve of `epochs` epochs, fewer where it diverged, and how far it is."""

    curve: list[Metrics]
    epochs: int
    patience: Patience = field(default_factory=lambda: Patience(15, 0.01))
    last: dict[str, Any] = field(default_factory=lambda: {"epoch": 0, "status": RUNNING})

    def step(self) -> dict[str, Any]:
        """The result of the next epoch, in the form of tune/trainable.py."""
        epoch = self.last["epoch"] + 1
        if epoch > len(self.curve):
            self.last = {**self.last, "status": FAILED, "error": "Diverged: the loss is not finite"}
            return self.last
        metrics = self.curve[epoch - 1]
        improved = self.patience.update(epoch, score(metrics))
        self.last = {"epoch": epoch, "value": score(metrics), "best_value": self.patience.best, "best_epoch": self.patience.best_epoch,
                     "status": COMPLETE if epoch == self.epochs else STOPPED if self.patience.exhausted else RUNNING, "seconds": 0.0,
                     "metrics": metrics, "best_metrics": metrics if improved else self.last["best_metrics"]}
        return self.last


@dataclass
class Trace:
    """What a search had found after so many epochs: the true worth of the trial with the best value seen so far.

    shortlist: the most that one of the best three is worth, which is what a confirmation over seeds could choose.
    """

    spent: list[int] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    shortlist: list[float] = field(default_factory=list)
    best: dict[str, tuple[float, float]] = field(default_factory=dict)  # the three best trials: value seen, true worth
    trials: int = 0

    def note(self, spent: int, name: str, seen: float, truth: float) -> None:
        """Notes the best value of a trial so far."""
        before = list(self.best.items())
        self.best[name] = seen, truth
        self.best = dict(sorted(self.best.items(), key=lambda held: -held[1][0])[:3])
        if list(self.best.items()) != before:
            self.spent.append(spent)
            self.worth.append(next(iter(self.best.values()))[1])
            self.shortlist.append(max(worth for _, worth in self.best.values()))

    def at(self, spent: int) -> float:
        """What the best trial was worth after so many epochs."""
        held = [worth for epochs, worth in zip(self.spent, self.worth, strict=True) if epochs <= spent]
        return held[-1] if held else -math.inf

    def first(self, worth: float, shortlist: bool = False) -> float:
        """The epochs after which the best trial (or one of the best three) was worth that much; infinity where it never was."""
        history = self.shortlist if shortlist else self.worth
        return next((epochs for epochs, held in zip(self.spent, history, strict=True) if held >= worth), math.inf)


def replay(searcher: Any, landscape: Landscape, budget: int, seed: int, workers: int = 4) -> Trace:
    """Runs a searcher as Ray would, with asynchronous workers, until `budget` epochs are spent.

    searcher: has `suggest` (a mapping with `values`; None: not yet), `should_stop` and `on_trial_complete` as OptunaSearcher has. An OFF
    trial is over at once and costs nothing: the others have none. The seed that a trial is run with is drawn anew for each trial of each
    replay.
    """
    trace, spent, names, clock = Trace(), 0, count(), list[tuple[int, int]]()
    runs: dict[int, tuple[Run, float]] = {}

    def start(now: int) -> None:
        """Gives a free worker a trial."""
        number = next(names)
        proposal = searcher.suggest(str(number))
        if isinstance(proposal, dict) and proposal.get("arm") == "off":
            searcher.on_trial_complete(str(number), Run(landscape.run(landscape_values(landscape), 0)[:1], 1).step())
            start(now)
        elif isinstance(proposal, dict):
            values = proposal["values"]
            runs[number] = Run(landscape.run(values, derive_seed(seed, "trial", number)), landscape.epochs), landscape.truth(values)
            heapq.heappush(clock, (now + 1, number))
            trace.trials += 1

    now = 0
    while spent < budget:
        for _ in range(workers - len(clock)):
            start(now)
        if not clock:
            break
        now, number = heapq.heappop(clock)
        run, truth = runs[number]
        result = run.step()
        if result["status"] != FAILED:
            spent += 1
            trace.note(spent, str(number), result["best_value"], truth)
        if result["status"] != RUNNING or searcher.should_stop(str(number), result):
            searcher.on_trial_complete(str(number), result)
            del runs[number]
        else:
            heapq.heappush(clock, (now + 1, number))
    return trace


def landscape_values(landscape: Landscape) -> dict[str, Any]:
    """Some configuration of a landscape."""
    return landscape.space().random_values(0)  # type: ignore[attr-defined]


class SimulatedTrial(Trainable):
    """A trial of a landscape under Ray, which costs nothing.

    config: as tune/trainable.py's, or the values themselves, from a searcher that knows no arms. folder: of the study, in whose trials/ the
    results are kept, or None.
    """

    def setup(self, config: dict[str, Any], landscape: Landscape, seed: int = 0,  # type: ignore[override]
              folder: Path | None = None) -> None:
        """The first trial of a worker."""
        self.landscape, self.seed, self.folder = landscape, seed, folder
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial on the same worker."""
        self.name = new_config.get("id", self.trial_id)
        values = new_config.get("values", new_config)
        if new_config.get("arm") == "off":
            values = landscape_values(self.landscape)
        self.run = Run(self.landscape.run(values, derive_seed(self.seed, "trial", self.name)), self.landscape.epochs)
        if self.folder is not None:
            TrialFolder(self.folder / "trials" / self.name).create({**new_config, "config": values})
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        result = self.run.step()
        if self.folder is not None:
            TrialFolder(self.folder / "trials" / self.name).write_result(result)
        return {"trial": self.name, **result, "done": result["status"] != RUNNING}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to go on from."""
