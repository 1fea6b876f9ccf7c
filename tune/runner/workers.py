"""Ray's workers for the length of a study, with its lines and recognizers in the object store: they run what a searcher proposes."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ray.tune import Callback

from ganhtr.train.inputs import TrialInputs
from tune.runner.cluster import blind, ray_session, room
from tune.runner.interrupts import sigterm_as_interrupt
from tune.runner.monitor import Monitor
from tune.runner.scheduler import StudyScheduler, TrialSource
from tune.runner.trainable import GanHtrTrial, TrialPlan
from tune.study.control_files import ControlFiles
from tune.study.folder import StudyError
from tune.study.request import Request

KILLS = 2  # of its worker that a trial outlives, going on from its checkpoint


class Workers:
    """Runs trials on Ray. Made by `workers`."""

    def __init__(self, request: Request, plan: TrialPlan, inputs: TrialInputs, real: TextIO):
        from ray import tune as ray_tune

        self.plan, self.real, self.control = plan, real, ControlFiles(plan.folder)
        self.trainable = ray_tune.with_resources(
            ray_tune.with_parameters(GanHtrTrial, plan=plan, inputs=inputs),
            {"cpu": request.cpus_per_trial, "gpu": request.gpus_per_trial},
        )

    def run(self, searcher: Any, total: int, note: str = "", seconds: float | None = None) -> bool:
        """Runs what is left of a searcher's `total` trials. Returns whether all of them ended; False after an interruption.

        note: said first. seconds: after which the search is interrupted by itself.
        """
        from ray import tune as ray_tune

        logs = self.plan.folder / "logs"
        shutil.rmtree(
            logs / "ray", ignore_errors=True
        )  # Ray's own state, with pickles in it: nothing here is read again
        scheduler = StudyScheduler(searcher, self.control)
        with Monitor(
            self.real,
            total,
            self.plan.config.train.epochs,
            self.plan.objective,
            total - searcher.remaining,
            scheduler.stopped,
        ) as monitor:
            if note:
                monitor.say(note)
            tuner = ray_tune.Tuner(
                self.trainable,
                tune_config=ray_tune.TuneConfig(
                    search_alg=searcher,
                    scheduler=scheduler,
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=ray_tune.RunConfig(
                    name="ray",
                    storage_path=str(logs),
                    verbose=0,
                    callbacks=[monitor, Unburdened()],
                    checkpoint_config=ray_tune.CheckpointConfig(
                        checkpoint_frequency=0, checkpoint_at_end=False
                    ),
                    failure_config=ray_tune.FailureConfig(max_failures=KILLS),
                ),
            )
            with (
                sigterm_as_interrupt(),
                watched(searcher, self.control, seconds),
            ):  # anew: Ray has put a handler of its own in its place
                try:
                    tuner.fit()
                except KeyboardInterrupt:
                    monitor.say("interrupted")
                finally:
                    searcher.open()
        shutil.rmtree(logs / "ray", ignore_errors=True)
        return not searcher.remaining


class Unburdened(Callback):
    """Drops Ray's own statistics of a trial that ended, which nothing here reads: 80 kB a trial."""

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """When Ray has noted its last result."""
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()


@contextmanager
def watched(searcher: TrialSource, control: ControlFiles, seconds: float | None) -> Iterator[None]:
    """Inside, the searcher holds while `control/pause` is there; `control/end`, or the end of the time, interrupts this process."""
    over = threading.Event()

    def watch() -> None:
        left = seconds
        while not over.wait(0.5):
            searcher.paused = control.paused
            left = None if left is None else left - 0.5
            if control.end_asked or (left is not None and left <= 0):
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
    request: Request, plan: TrialPlan, inputs: TrialInputs, address: str | None, real: TextIO
) -> Iterator[Workers]:
    """Starts Ray, or joins it at `address`, and hands the study's data over once. Raises: StudyError where no trial would ever fit."""
    pairs = inputs.pairs
    shared = sum(
        a.nbytes for part in (pairs.train, pairs.validation) for a in (part.clean, part.degraded)
    )
    shared += inputs.taps.nbytes if inputs.taps is not None else 0
    if address:
        print(f"joining Ray at {address}", file=real, flush=True)
    with ray_session(address, shared) as cluster:
        if not room(request.cpus_per_trial, request.gpus_per_trial):
            raise StudyError(
                f"--cpus-per-trial and --gpus-per-trial must be at most what one node of the cluster has (up to "
                f"{cluster.cpus:g} and {cluster.gpus:g}), got {request.cpus_per_trial:g} and {request.gpus_per_trial:g}. "
                "Lower them, or wait for its nodes (`ray status`)"
            )
        if address and (unseen := blind(plan.folder)):
            raise StudyError(
                f"{plan.folder}: --results must be on storage that every node sees, got none of it on "
                f"{', '.join(unseen)}. Mount it there by the same path"
            )
        if cluster.dashboard:
            print(
                f"Ray dashboard: {cluster.dashboard} (its token: `ray get-auth-token`)",
                file=real,
                flush=True,
            )
        yield Workers(request, plan, inputs, real)
