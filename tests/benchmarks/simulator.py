"""Simulated searches of a landscape in landscapes.py.

`replay` runs a searcher with several workers in virtual time, an epoch a tick, without Ray;
`SimulatedTrial` is the same under Ray.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from landscapes import Landscape, Metrics, score
from ray.tune import Trainable

from ganhtr.seeds import derive_seed
from tune.runner.patience import Patience
from tune.study.trial_folder import TrialFolder
from tune.study.trial_status import TrialStatus


@dataclass
class Run:
    """A running trial: its curve of `epochs` epochs (fewer if it diverged) and its progress."""

    curve: list[Metrics]
    epochs: int
    patience: Patience = field(default_factory=lambda: Patience(15, 0.01))
    last: dict[str, Any] = field(
        default_factory=lambda: {"epoch": 0, "status": TrialStatus.RUNNING}
    )

    def step(self) -> dict[str, Any]:
        """The result of the next epoch, in the form of tune/runner/trainable.py."""
        epoch = self.last["epoch"] + 1
        if epoch > len(self.curve):
            self.last = {
                **self.last,
                "status": TrialStatus.FAILED,
                "error": "Diverged: the loss is not finite",
            }
            return self.last
        metrics = self.curve[epoch - 1]
        improved = self.patience.update(epoch, score(metrics))
        self.last = {
            "epoch": epoch,
            "value": score(metrics),
            "best_value": self.patience.best,
            "best_so_far": self.patience.best,
            "best_epoch": self.patience.best_epoch,
            "status": TrialStatus.COMPLETE
            if epoch == self.epochs
            else TrialStatus.STOPPED
            if self.patience.exhausted
            else TrialStatus.RUNNING,
            "seconds": 0.0,
            "metrics": metrics,
            "best_metrics": metrics if improved else self.last["best_metrics"],
        }
        return self.last


@dataclass
class Trace:
    """The incumbent after each epoch: the true value of the trial with the best value seen.

    shortlist: the most that one of the best three is worth, which is what a confirmation over seeds
    could choose.
    """

    spent: list[int] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    shortlist: list[float] = field(default_factory=list)
    best: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # the three best trials: value seen, true worth
    trials: int = 0

    def note(self, spent: int, name: str, seen: float, truth: float) -> None:
        """Notes the best value of a trial so far."""
        before = list(self.best.items())
        self.best[name] = seen, truth
        self.best = dict(sorted(self.best.items(), key=lambda entry: -entry[1][0])[:3])
        if list(self.best.items()) != before:
            self.spent.append(spent)
            self.worth.append(next(iter(self.best.values()))[1])
            self.shortlist.append(max(worth for _, worth in self.best.values()))

    def at(self, spent: int) -> float:
        """What the best trial was worth after so many epochs."""
        values = [
            worth for epochs, worth in zip(self.spent, self.worth, strict=True) if epochs <= spent
        ]
        return values[-1] if values else -math.inf

    def first(self, worth: float, shortlist: bool = False) -> float:
        """Epochs until the best trial (or one of the best three) reaches a value, or infinity."""
        history = self.shortlist if shortlist else self.worth
        return next(
            (epochs for epochs, value in zip(self.spent, history, strict=True) if value >= worth),
            math.inf,
        )


def replay(searcher: Any, landscape: Landscape, budget: int, seed: int, workers: int = 4) -> Trace:
    """Runs a searcher as Ray would, with asynchronous workers, until `budget` epochs are spent.

    searcher: has `suggest` (a mapping with `values`; None: not yet), `should_stop` and
    `on_trial_complete` as OptunaSearcher has. An OFF trial is over at once and costs nothing: the
    others have none. The seed that a trial is run with is drawn anew for each trial of each replay.
    """
    trace, spent, names, clock = Trace(), 0, count(), list[tuple[int, int]]()
    runs: dict[int, tuple[Run, float]] = {}

    def start(now: int) -> None:
        """Gives a free worker a trial."""
        number = next(names)
        proposal = searcher.suggest(str(number))
        if isinstance(proposal, dict) and proposal.get("arm") == "off":
            searcher.on_trial_complete(
                str(number), Run(landscape.run(landscape.space().random_values(0), 0)[:1], 1).step()
            )
            start(now)
        elif isinstance(proposal, dict):
            values = proposal["values"]
            runs[number] = (
                Run(landscape.run(values, derive_seed(seed, "trial", number)), landscape.epochs),
                landscape.truth(values),
            )
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
        if result["status"] != TrialStatus.FAILED:
            spent += 1
            trace.note(spent, str(number), result["best_value"], truth)
        if result["status"] != TrialStatus.RUNNING or searcher.should_stop(str(number), result):
            searcher.on_trial_complete(str(number), result)
            del runs[number]
        else:
            heapq.heappush(clock, (now + 1, number))
    return trace


class SimulatedTrial(Trainable):
    """A trial of a landscape under Ray, which costs nothing.

    config: as tune/runner/trainable.py's, or the values themselves, from a searcher without arms.
    folder: of the study, whose trials/ gets the results, or None.
    """

    def setup(
        self,
        config: dict[str, Any],
        landscape: Landscape,
        seed: int = 0,  # type: ignore[override]
        folder: Path | None = None,
    ) -> None:
        """The first trial of a worker."""
        self.landscape, self.seed, self.folder = landscape, seed, folder
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial on the same worker."""
        self.name = new_config.get("id", self.trial_id)
        values = new_config.get("values", new_config)
        if new_config.get("arm") == "off":
            values = self.landscape.space().random_values(0)
        self.run = Run(
            self.landscape.run(values, derive_seed(self.seed, "trial", self.name)),
            self.landscape.epochs,
        )
        if self.folder is not None:
            TrialFolder(self.folder / "trials" / self.name).create({**new_config, "config": values})
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        result = self.run.step()
        if self.folder is not None:
            TrialFolder(self.folder / "trials" / self.name).write_result(result)
        return {"trial": self.name, **result, "done": result["status"] != TrialStatus.RUNNING}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to go on from."""
