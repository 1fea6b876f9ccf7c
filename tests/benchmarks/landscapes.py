"""The objective of a simulated search: recorded learning curves, or a synthetic function.

`Curves` holds configurations x 4 seeds, trained for real by make_curves.py; a search of its space
is continuous, and each value counts as the nearest one that was trained. `Synthetic` has a
known best point and no end of configurations.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganhtr.config import RULES
from ganhtr.seeds import generator
from tune.metric import objective_value
from tune.space.load import space_from_plain
from tune.space.settings import FORMULATION
from tune.space.space import CONTRASTIVE_SECTIONS, Space

TABLE = Path(__file__).with_name("learning_curves.csv.gz")
METRICS = ("psnr", "ssim", "cer", "judge_cer")
Metrics = dict[str, float]


class Landscape(Protocol):
    """An objective: the metrics of every epoch of a run, and the true value of a configuration."""

    epochs: int

    def run(self, values: dict[str, Any], seed: int) -> list[Metrics]: ...

    def truth(self, values: dict[str, Any]) -> float: ...

    def space(self, trials: int = ..., **search: Any) -> Space: ...


class Curves:
    """The trained grid. A run that diverged ends before the last epoch.

    The columns of the table before the seed are its parameters. An empty cell means that the
    formulation does not have the parameter. The space reaches half a cell beyond the ends of a grid
    of numbers, as far as the rule of its key allows, so that the first and the last value are as
    likely as one between them.
    """

    def __init__(self, path: Path = TABLE):
        runs: dict[tuple, dict[int, list[Metrics]]] = defaultdict(lambda: defaultdict(list))
        with gzip.open(path, "rt", encoding="utf-8") as file:
            table = csv.DictReader(line for line in file if not line.startswith("#"))
            columns = list(table.fieldnames or ())
            self.keys = columns[: columns.index("seed")]
            for row in table:
                point = tuple(_value(row[key]) for key in self.keys)
                runs[point][int(row["seed"])].append({name: float(row[name]) for name in METRICS})
        self.runs = {
            point: [seeds[seed] for seed in sorted(seeds)] for point, seeds in runs.items()
        }
        self.epochs = max(len(run) for seeds in self.runs.values() for run in seeds)
        self.grid = [
            sorted({point[i] for point in self.runs if point[i] is not None})
            for i in range(len(self.keys))
        ]
        self.when = self._conditions()
        self.worth = {
            point: float(np.mean([max(map(score, run)) for run in seeds]))
            for point, seeds in self.runs.items()
        }

    def _conditions(self) -> dict[str, list[str]]:
        """The formulations that have a parameter, for parameters that not all have."""
        if FORMULATION not in self.keys:
            return {}
        of = self.keys.index(FORMULATION)
        having = {
            key: sorted({point[of] for point in self.runs if point[i] is not None})
            for i, key in enumerate(self.keys)
        }
        return {key: some for key, some in having.items() if some != self.grid[of]}

    def point(self, values: dict[str, Any]) -> tuple:
        """The nearest trained configuration, in the logarithm of each number."""
        return tuple(
            self._nearest(key, grid, values) for key, grid in zip(self.keys, self.grid, strict=True)
        )

    def _nearest(self, key: str, grid: list, values: dict[str, Any]) -> Any:
        if key in self.when and values[FORMULATION] not in self.when[key]:
            return None
        if isinstance(grid[0], str):
            return values[key]
        return min(grid, key=lambda number: abs(math.log(number / values[key])))

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
        parameters: dict[str, Any] = {}
        for key, grid in zip(self.keys, self.grid, strict=True):
            condition = {"when": {FORMULATION: self.when[key]}} if key in self.when else {}
            parameters[key] = {**_options(key, grid), **condition}
        contrastive = [key for key in self.keys if key.split(".")[0] in CONTRASTIVE_SECTIONS]
        return space_from_plain(
            {
                "budget": {"epochs": self.epochs, "trials": trials},
                "search": search,
                "baseline": {
                    FORMULATION: "none",
                    **{key: 1.0 for key in self.keys if key not in contrastive},
                },
                "space": parameters,
            },
            "curves",
        )


def _value(cell: str) -> float | str | None:
    """A cell of the table: a number, a word, or nothing."""
    return (float(cell) if cell[0].isdigit() else cell) if cell else None


def _options(key: str, grid: list) -> dict[str, Any]:
    """The values of a parameter as a space file has them."""
    if isinstance(grid[0], str):
        return {"choice": grid}
    ends = [grid[0] * math.sqrt(grid[0] / grid[1]), grid[-1] * math.sqrt(grid[-1] / grid[-2])]
    return {"float": np.clip(ends, RULES[key].low, RULES[key].high).tolist(), "log": True}


NUMBERS = {
    "contrastive.weight": (0.01, 30.0, 1.0),
    "contrastive.temperature": (0.03, 1.0, 0.1),
    "head.dim": (16, 512, 128),
    "head.layers": (1, 4, 2),
}  # of Synthetic: from, to, best
LOST = {
    "head.kind": {"none": 1.0, "linear": 0.3, "mlp": 0.0},
    "contrastive.formulation": {"infonce": 0.0, "clip": 0.5},
}


class Synthetic:
    """A conditional space of six parameters with a known best point of value 0.

    The value falls by 4 x the squared distance of each number from its best one, in parts of its
    range (in the logarithm), and by a fixed amount for each choice that is not the best; a run
    comes near it exponentially, with noise of its seed (SD 0.1) and its epochs (0.05).
    """

    epochs = 9
    best = 0.0

    def truth(self, values: dict[str, Any]) -> float:
        """The value without noise."""
        chosen = sum(lost[values[key]] for key, lost in LOST.items())
        away = [
            math.log(values[key] / best) / math.log(high / low)
            for key, (low, high, best) in NUMBERS.items()
            if key in values
        ]
        return -chosen - 4 * sum(distance**2 for distance in away)

    def run(self, values: dict[str, Any], seed: int) -> list[Metrics]:
        """The metrics of every epoch of a run. All of the score is PSNR."""
        noise = generator(seed, "synthetic")
        reached = (
            self.truth(values)
            - 3 * np.exp(-np.arange(1, self.epochs + 1) / 3)
            + noise.normal(0, 0.1)
        )
        rest = dict.fromkeys(("ssim", "cer", "wer", "judge_cer", "judge_wer"), 0.0)
        return [
            {"psnr": psnr, **rest}
            for psnr in (reached + noise.normal(0, 0.05, self.epochs)).tolist()
        ]

    def space(self, trials: int = 10_000, **search: Any) -> Space:
        """The space of the function."""
        numbers = {key: list(ends) for key, (*ends, _) in NUMBERS.items()}
        with_head = {"head.kind": ["linear", "mlp"]}
        return space_from_plain(
            {
                "budget": {"epochs": self.epochs, "trials": trials},
                "search": search,
                "space": {
                    **{key: {"choice": list(lost)} for key, lost in LOST.items()},
                    "contrastive.weight": {"float": numbers["contrastive.weight"], "log": True},
                    "contrastive.temperature": {
                        "float": numbers["contrastive.temperature"],
                        "log": True,
                    },
                    "head.dim": {"int": numbers["head.dim"], "log": True, "when": with_head},
                    "head.layers": {"int": numbers["head.layers"], "when": {"head.kind": "mlp"}},
                },
            },
            "synthetic",
        )


def score(metrics: Metrics) -> float:
    """What an epoch is worth to these searches."""
    return objective_value("score", metrics)
