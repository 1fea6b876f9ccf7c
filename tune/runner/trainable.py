"""One trial: a configuration trained epoch by epoch. Ray Tune drives it, or single-trial mode does, without Ray.

A trial keeps its own folder (see trial_folder.py), and its checkpoint there is the one truth: a trial that is set up again, by a resumed
search or on another worker after a crash, goes on behind the last epoch that the checkpoint holds.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray.tune import Trainable

from ganhtr.config import Config
from ganhtr.train.checkpoint import read_checkpoint, restore_state, save_checkpoint, save_generator
from ganhtr.train.fit import Bench, fit, samples
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.state import build_state
from tune.metric import objective_value
from tune.runner.patience import Patience
from tune.study.control_files import ControlFiles
from tune.study.disk import disk_fault
from tune.study.trial_folder import TrialFolder

RUNNING, COMPLETE, STOPPED, FAILED = "running", "complete", "stopped", "failed"
SAMPLE_EVERY, SAMPLES = 5, 4  # epochs, lines


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a study have in common, beside the inputs."""

    config: Config
    objective: str
    patience: int
    min_delta: float
    folder: Path  # of the study
    threads: int
    device: str


class GanHtrTrial(Trainable):
    """Trains one configuration; a step is an epoch.

    config: `id` (names the folder), `arm` (off or on), `proposed_by`, `values` (flat keys laid over the plan's configuration), and
    `within`, the part of the study that the trial belongs to (the search itself without).
    A result's `status` says how it stands: running, complete, stopped (by patience) or failed; all but the first end the trial. An error
    of a trial ends that trial alone: it is written to its folder and reported as failed. A disk that takes no more is no fault of a trial:
    the result then holds it under `disk`, and whoever drives the trial ends the search, to be resumed. A trial that was set up again first
    tells its last epoch once more, as the search may have been cut off before it heard of it.
    """

    def setup(self, config: dict[str, Any], plan: TrialPlan, inputs: TrialInputs) -> None:  # type: ignore[override]
        """Builds the frozen bench, once a worker, and the first trial on it."""
        self.plan, self.inputs = plan, inputs
        torch.set_num_threads(plan.threads)
        self.device = torch.device(plan.device)
        self.bench = Bench.of(inputs, self.device)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes on another trial on the same worker: all but the frozen bench is made anew."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        plan = self.plan
        self.folder = TrialFolder(plan.folder / config.get("within", "") / "trials" / config["id"])
        self.patience = Patience(plan.patience, plan.min_delta)
        self.seconds = 0.0
        self.last: dict[str, Any] = {"status": RUNNING}
        self.fault: Exception | None = None
        self.told = True
        try:
            self.run = plan.config.replace(config["values"])
            self.state = build_state(
                self.run, self.inputs.pairs.charset, self.bench.guide.widths, self.device
            )
            self.folder.create({**config, "preset": self.run.preset, "config": self.run.flat()})
            if self.folder.last.exists():
                self._restore()
            self.epochs = fit(self.state, self.bench)
        except (
            Exception
        ) as error:  # a faulty configuration or checkpoint ends this trial alone: `step` reports it
            self.fault = error

    def _restore(self) -> None:
        """Goes on behind the last epoch of the checkpoint; what was written after it is forgotten."""
        held = read_checkpoint(self.folder.last, self.device)
        progress = held["progress"]
        self.patience = Patience(**progress["patience"])
        self.seconds, self.last = progress["seconds"], progress["last"]
        if self.last["status"] == RUNNING:
            restore_state(self.state, held)
            self.told = False
        self.folder.forget_after(self.last["epoch"])

    def step(self) -> dict[str, Any]:
        """One epoch, and everything about it on disk."""
        try:
            return self._step()
        except Exception as error:
            fault = disk_fault(error)
            if fault is None:
                raise
            return {
                "trial": self.config["id"],
                "status": RUNNING,
                "disk": [fault.errno, fault.strerror, fault.filename],
                "done": False,
            }

    def _step(self) -> dict[str, Any]:
        try:
            if self.fault is not None:
                raise self.fault
            self._wait_while_paused()
            if (
                self.last["status"] == RUNNING and self.told
            ):  # else the search may not have heard of the last epoch, and does so again
                self._epoch()
            self.told = True
        except Exception as error:
            if disk_fault(error) is not None:
                raise
            self.folder.write_failure(error)
            self.last = {
                **self.last,
                "status": FAILED,
                "error": f"{type(error).__name__}: {error}",
                "seconds": self.seconds,
            }
        self.folder.write_result(self.last)
        return {"trial": self.config["id"], **self.last, "done": self.last["status"] != RUNNING}

    def _wait_while_paused(self) -> None:
        control = ControlFiles(self.plan.folder)
        while control.paused and not control.end_asked:
            time.sleep(0.5)

    def _epoch(self) -> None:
        started = time.perf_counter()
        report = next(self.epochs)
        metrics = report.metrics()
        value = self.value_of(metrics)
        accuracy = (metrics["accuracy_real"] + metrics["accuracy_fake"]) / 2
        improved = self.patience.update(report.epoch, value)
        status = (
            COMPLETE
            if report.epoch == self.run.train.epochs
            else STOPPED
            if self.patience.exhausted
            else RUNNING
        )
        regular = report.epoch % SAMPLE_EVERY == 0 or status != RUNNING
        if improved:
            save_generator(self.folder.best, self.state)
        if improved or regular:
            images, widths = (
                samples(self.state, self.bench, SAMPLES),
                self.inputs.pairs.validation.widths,
            )
            for name in ["best"] * improved + [f"epoch_{report.epoch:04d}"] * regular:
                self.folder.write_samples(name, images, widths)
        self.seconds += time.perf_counter() - started
        self.last = {
            "epoch": report.epoch,
            "value": value,
            "best_value": self.patience.best,
            "best_epoch": self.patience.best_epoch,
            "status": status,
            "seconds": self.seconds,
            "metrics": metrics,
            "peak_accuracy": max(accuracy, self.last.get("peak_accuracy", 0.0)),
            "peak_memory_mb": max(metrics["peak_memory_mb"], self.last.get("peak_memory_mb", 0.0)),
            "best_metrics": metrics if improved else self.last["best_metrics"],
        }
        self.folder.write_epoch(
            report, self.run, self.patience.best_epoch, self.patience.waited, status
        )
        save_checkpoint(
            self.folder.last, self.state, self._progress(), optimizers=status == RUNNING
        )  # last: it makes the epoch count

    def value_of(self, metrics: dict[str, float]) -> float:
        """What the epoch is worth to the search."""
        return objective_value(self.plan.objective, metrics)

    def _progress(self) -> dict[str, Any]:
        return {"patience": self.patience.plain(), "seconds": self.seconds, "last": self.last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """For schedulers that pause trials: the trial's own checkpoint, copied; nothing where a trial failed before its first."""
        if self.folder.last.exists():
            shutil.copy(self.folder.last, checkpoint_dir)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to do: the trial's own folder is the one truth, and `setup` has read it already."""
        assert self.config["id"] == self.folder.path.name

    def __repr__(self) -> str:
        return f"GanHtrTrial(process {os.getpid()})"


def local_device(device: str) -> torch.device:
    """Where the driver itself computes: as its trials do, if this machine can; the head of a cluster need not have their GPU."""
    return torch.device(device if torch.cuda.is_available() else "cpu")


def local_trial(config: dict[str, Any], plan: TrialPlan, inputs: TrialInputs) -> GanHtrTrial:
    """A trial in this process, with no Ray started."""

    class LocalTrial(GanHtrTrial):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, plan, inputs)

    return LocalTrial(config)
