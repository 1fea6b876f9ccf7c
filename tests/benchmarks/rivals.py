"""Other search methods for `simulator.replay`, on the same space.

Random search, Ray's OptunaSearch with ASHA, and the schedulers of Syne Tune. All but random get the
best value of a trial so far, which is the objective here; their first rung is that of our search.
None runs its own loop; each is called in the order of that loop. Only this comparison needs Syne
Tune: see README.md here.
"""

from __future__ import annotations

import datetime
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna

from tune.searcher.distributions import distribution_of
from tune.searcher.searcher import OptunaSearcher
from tune.space.space import Space
from tune.study.trial_status import TrialStatus

Build = Callable[[Space, int], Any]  # a space, a seed -> a searcher
ROOT = Path(__file__).resolve().parents[2]
TELL = "best_value"
GRACE = 5  # epochs before the first rung, as ours has by default; theirs is 1


def ours(space: Space, seed: int) -> OptunaSearcher:
    """The project's searcher, on a journal of its own."""
    folder = tempfile.TemporaryDirectory(prefix="simulated-")
    searcher = OptunaSearcher(space, Path(folder.name) / "study.journal", space.budget.trials, seed)
    searcher.folder = folder  # type: ignore[attr-defined]  # goes when the searcher goes
    searcher.open()
    return searcher


class Random:
    """Random search, which gives up nothing."""

    def __init__(self, space: Space, seed: int):
        self.space, self.asked, self.seed = space, 0, seed

    def suggest(self, name: str) -> dict[str, Any]:
        """The next trial."""
        self.asked += 1
        return {"values": self.space.random_values(1_000_003 * self.seed + self.asked)}

    def should_stop(self, name: str, result: dict[str, Any]) -> bool:
        """Never."""
        return False

    def on_trial_complete(self, name: str, result: dict[str, Any]) -> None:
        """Nothing to learn."""


class StockRay:
    """Ray's OptunaSearch and ASHAScheduler, called in the order of Ray's TuneController.

    It asks the scheduler first; only a trial that goes on is then reported to the searcher. How a
    trial ended makes no difference to the searcher: all are told as complete, with their last
    value.
    """

    def __init__(self, space: Space, seed: int):
        searcher, self.scheduler = stock(space, seed)
        self.searcher = searcher
        self.trials: dict[str, Any] = {}

    def suggest(self, name: str) -> dict[str, Any]:
        """The next trial."""
        values = self.searcher.suggest(name)
        self.trials[name] = SimpleNamespace(trial_id=name)
        self.scheduler.on_trial_add(None, self.trials[name])
        return {"values": flat(values)}

    def should_stop(self, name: str, result: dict[str, Any]) -> bool:
        """What ASHA says."""
        reported = told_of(result, "training_iteration")
        stop = self.scheduler.on_trial_result(None, self.trials[name], reported) == "STOP"
        if not stop:
            self.searcher.on_trial_result(name, reported)
        return stop

    def on_trial_complete(self, name: str, result: dict[str, Any]) -> None:
        """The trial's end."""
        reported, trial = told_of(result, "training_iteration"), self.trials.pop(name)
        if result["status"] == TrialStatus.FAILED:
            self.searcher.on_trial_complete(name, error=True)
        else:
            self.scheduler.on_trial_complete(None, trial, reported)
            self.searcher.on_trial_complete(name, reported)


def stock(space: Space, seed: int) -> tuple[Any, Any]:
    """Ray's OptunaSearch (Optuna's default TPE) and its ASHAScheduler."""
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {parameter.key: distribution_of(parameter) for parameter in space.parameters}
    searcher = OptunaSearch(distributions, metric=TELL, mode="max", seed=seed)
    return searcher, ASHAScheduler(
        "training_iteration",
        TELL,
        "max",
        max_t=space.budget.epochs,
        grace_period=GRACE,
        reduction_factor=3,
    )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Ray nests keys at their dots."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        flattened |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flattened


def stock_through_ray(curves: Any, budget: int, seed: int, workers: int = 4) -> Any:
    """The trace of the same two driven by Ray Tune itself, whose trials end in any order.

    Starts Ray if it does not run.
    """
    import landscapes
    import ray
    import simulator
    from ray import cloudpickle
    from ray import tune as ray_tune

    if not ray.is_initialized():
        logging.getLogger("ray.tune").setLevel(
            logging.CRITICAL
        )  # it misses files that no callback has written
        for module in (landscapes, simulator):  # the workers cannot import a benchmark
            cloudpickle.register_pickle_by_value(module)
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
        )
    searcher, scheduler = stock(curves.space(), seed)
    trace = simulator.Trace()

    class Watch(ray_tune.Callback):
        spent = 0

        def on_trial_result(
            self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if self.spent < budget:
                self.spent += 1
                trace.note(
                    self.spent, trial.trial_id, result[TELL], curves.truth(flat(trial.config))
                )
                trace.trials = len(trials)

        def __reduce__(self) -> tuple:
            return ray_tune.Callback, ()  # Ray keeps copies

    watch = Watch()

    class Spent(ray_tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return watch.spent >= budget

        def __reduce__(self) -> tuple:
            return ray_tune.stopper.NoopStopper, ()

    trainable = ray_tune.with_parameters(simulator.SimulatedTrial, landscape=curves, seed=seed)
    with tempfile.TemporaryDirectory(prefix="simulated-") as storage:
        ray_tune.Tuner(
            ray_tune.with_resources(trainable, {"cpu": (os.cpu_count() or 1) / workers}),
            tune_config=ray_tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
                max_concurrent_trials=workers,
            ),
            run_config=ray_tune.RunConfig(
                name="ray", storage_path=storage, verbose=0, callbacks=[watch], stop=Spent()
            ),
        ).fit()
    return trace


class SyneTune:
    """A Syne Tune scheduler, called in the order of its Tuner.

    Every result is reported; the last one also ends the trial.
    """

    def __init__(self, scheduler: Any):
        self.scheduler, self.trials = scheduler, dict[str, Any]()

    def suggest(self, name: str) -> dict[str, Any]:
        """The next trial."""
        from syne_tune.backend.trial_status import Trial

        values = self.scheduler.suggest().config
        self.trials[name] = Trial(int(name), values, datetime.datetime.now())
        self.scheduler.on_trial_add(self.trials[name])
        return {"values": values}

    def should_stop(self, name: str, result: dict[str, Any]) -> bool:
        """What the scheduler says."""
        stop = self.scheduler.on_trial_result(self.trials[name], told_of(result, "epoch")) == "STOP"
        if stop:
            self.scheduler.on_trial_remove(self.trials.pop(name))
        return stop

    def on_trial_complete(self, name: str, result: dict[str, Any]) -> None:
        """The end of a trial; one that the scheduler stopped has ended already."""
        if name not in self.trials:
            return
        if result["status"] == TrialStatus.FAILED:
            self.scheduler.on_trial_error(self.trials.pop(name))
        elif not self.should_stop(name, result):
            self.scheduler.on_trial_complete(self.trials.pop(name), told_of(result, "epoch"))


def told_of(result: dict[str, Any], time: str) -> dict[str, Any]:
    """What a rival is told of an epoch."""
    return {time: result["epoch"], TELL: result[TELL]} if result["epoch"] else {}


def syne_tune(name: str) -> Build:
    """Build searchers from a class of syne_tune.optimizer.baselines.

    Raises: SystemExit if Syne Tune is not installed.
    """
    try:
        from syne_tune import config_space
        from syne_tune.optimizer import baselines
    except ImportError as error:
        raise SystemExit(
            f"{error}: this comparison needs Syne Tune. Install it with "
            "`pip install syne-tune==0.16.0`, "
            "or leave it out with --methods"
        ) from error

    def build(space: Space, seed: int) -> SyneTune:
        np.random.seed(seed)  # parts of Syne Tune draw from NumPy's own generator
        domains: dict[str, Any] = {}
        for parameter in space.parameters:
            domains[parameter.key] = (
                config_space.choice(list(parameter.choices))
                if parameter.choices
                else config_space.loguniform(parameter.low, parameter.high)
            )
        rungs = (
            {}
            if name in ("BORE", "CQR")
            else {"time_attr": "epoch", "max_t": space.budget.epochs, "grace_period": GRACE}
        )
        return SyneTune(
            getattr(baselines, name)(
                domains, metric=TELL, do_minimize=False, random_seed=seed, **rungs
            )
        )

    return build
