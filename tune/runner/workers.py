"""Ray's workers during a study: they run what a searcher proposes.

The study's lines and recognizers lie in the object store, once for each node.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ray import tune as ray_tune
from ray.tune import Callback

from ganhtr.train.inputs import TrialInputs
from tune.runner.cluster import capacity, nodes_without, ray_session
from tune.runner.interrupts import sigterm_as_interrupt
from tune.runner.monitor import Monitor
from tune.runner.scheduler import StudyScheduler, TrialSource
from tune.runner.trainable import GanHtrTrial, TrialPlan
from tune.study.control_files import ControlFiles
from tune.study.folder import StudyError
from tune.study.request import Request

WORKER_DEATHS = 2  # how often the worker of a trial may die in one epoch
WATCH_EVERY = 0.5  # seconds


class Workers:
    """Runs trials on Ray. Made by `workers`.

    terminal: the stream that the user reads.
    """

    def __init__(self, request: Request, plan: TrialPlan, inputs: TrialInputs, terminal: TextIO):
        self.plan, self.terminal, self.control = plan, terminal, ControlFiles(plan.folder)
        self.trainable = ray_tune.with_resources(
            ray_tune.with_parameters(GanHtrTrial, plan=plan, inputs=inputs),
            {"cpu": request.cpus_per_trial, "gpu": request.gpus_per_trial},
        )

    def run(self, searcher: Any, total: int, note: str = "", seconds: float | None = None) -> bool:
        """Run what is left of a searcher's `total` trials.

        note: printed first. seconds: the time after which the search interrupts itself.
        Returns: whether all trials ended; False after an interruption.
        """
        state = self.plan.folder / "logs" / "ray"
        # Ray's own state, which holds pickles. Nothing reads it: the journal is the memory.
        shutil.rmtree(state, ignore_errors=True)
        scheduler = StudyScheduler(searcher, self.control)
        with Monitor(
            self.terminal,
            total,
            self.plan.config.train.epochs,
            self.plan.objective,
            total - searcher.remaining,
            scheduler.stopped,
        ) as monitor:
            if note:
                monitor.say(note)
            tuner = self._tuner(searcher, scheduler, monitor)
            # Again inside, as Ray replaces the handler for SIGTERM.
            with sigterm_as_interrupt(), watched(searcher, self.control, seconds):
                try:
                    tuner.fit()
                except KeyboardInterrupt:
                    monitor.say("interrupted")
                finally:
                    searcher.open()
        shutil.rmtree(state, ignore_errors=True)
        return not searcher.remaining

    def _tuner(self, searcher: Any, scheduler: StudyScheduler, monitor: Monitor) -> ray_tune.Tuner:
        tune_config = ray_tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        )
        run_config = ray_tune.RunConfig(
            name="ray",
            storage_path=str(self.plan.folder / "logs"),
            verbose=0,
            callbacks=[monitor, StatisticsCleaner()],
            checkpoint_config=ray_tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=ray_tune.FailureConfig(max_failures=WORKER_DEATHS),
        )
        return ray_tune.Tuner(self.trainable, tune_config=tune_config, run_config=run_config)


class StatisticsCleaner(Callback):
    """Drops Ray's own statistics of an ended trial, which nothing here reads: 80 kB a trial."""

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Clear the statistics after Ray has recorded the last result."""
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()


@contextmanager
def watched(searcher: TrialSource, control: ControlFiles, seconds: float | None) -> Iterator[None]:
    """Follow the control files: `pause` pauses the searcher, `end` interrupts this process.

    The end of the time interrupts the process, too.
    """
    over = threading.Event()

    def watch() -> None:
        left = seconds
        while not over.wait(WATCH_EVERY):
            searcher.paused = control.paused
            left = None if left is None else left - WATCH_EVERY
            if control.end_requested or (left is not None and left <= 0):
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def workers(
    request: Request, plan: TrialPlan, inputs: TrialInputs, address: str | None, terminal: TextIO
) -> Iterator[Workers]:
    """Start Ray, or join it at `address`, and put the study's data into the object store.

    Raises: StudyError if a trial fits on no node, or a node does not see the study's folder.
    """
    if address:
        print(f"joining Ray at {address}", file=terminal, flush=True)
    with ray_session(address, _shared_bytes(inputs)) as cluster:
        if not capacity(request.cpus_per_trial, request.gpus_per_trial):
            raise StudyError(
                f"--cpus-per-trial {request.cpus_per_trial:g} --gpus-per-trial "
                f"{request.gpus_per_trial:g}: no node of the cluster has as much (at most "
                f"{cluster.cpus:g} and {cluster.gpus:g}). Lower them, or wait for the cluster's "
                "nodes (`ray status`)"
            )
        if address and (nodes := nodes_without(plan.folder)):
            raise StudyError(
                f"{plan.folder}: not visible on {', '.join(nodes)}. Put --results on storage that "
                "every node mounts by the same path"
            )
        if cluster.dashboard:
            line = f"Ray dashboard: {cluster.dashboard} (its token: `ray get-auth-token`)"
            print(line, file=terminal, flush=True)
        yield Workers(request, plan, inputs, terminal)


def _shared_bytes(inputs: TrialInputs) -> int:
    """The size of what trials share, in bytes."""
    splits = (inputs.pairs.train, inputs.pairs.validation)
    lines = sum(split.clean.nbytes + split.degraded.nbytes for split in splits)
    return lines + (0 if inputs.taps is None else inputs.taps.nbytes)
