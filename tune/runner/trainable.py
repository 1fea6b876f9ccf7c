"""A trial: one configuration, trained epoch by epoch, by Ray Tune or in this process.

A trial has its own folder (see tune/study/trial_folder.py), and the checkpoint there is the only
truth. A trial that is set up again, by a resumed search or on another worker after a crash,
continues after the last epoch in the checkpoint.
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
from ganhtr.train.checkpoint import (
    read_checkpoint,
    restore_state,
    save_checkpoint,
    save_generator,
)
from ganhtr.train.evaluate import by_generator, evaluate
from ganhtr.train.fit import Bench, fit, samples
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.model_folder import read_generator
from ganhtr.train.retrieval import measure_retrieval
from ganhtr.train.state import build_state
from tune.metric import objective_value
from tune.runner.patience import Patience
from tune.study.control_files import ControlFiles
from tune.study.disk import disk_fault
from tune.study.trial_folder import TrialFolder
from tune.study.trial_status import TrialStatus

SAMPLE_EVERY, SAMPLES = 5, 4  # epochs, lines
PAUSE_CHECK = 0.5  # seconds between two looks whether a pause is over


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a study share, in addition to the inputs."""

    config: Config
    objective: str
    patience: int
    min_delta: float
    folder: Path  # of the study
    threads: int
    device: str


class GanHtrTrial(Trainable):
    """Trains one configuration. A step is an epoch.

    config: `id` (also the folder's name), `arm` (off or on), `proposed_by`, `values` (configuration
    keys that replace the plan's), and `within`, the part of the study that the trial belongs to
    (by default the search).

    The `status` of a result is that of the trial; all but RUNNING end it. An error ends this trial
    alone: it is written to the trial's folder and reported as failed. A disk fault is not a failure
    of the trial: the result holds it under `disk`, and the search ends, to be resumed.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], plan: TrialPlan, inputs: TrialInputs
    ) -> None:
        """Build the frozen bench, once for each worker, and the first trial on it."""
        self.plan, self.inputs = plan, inputs
        torch.set_num_threads(plan.threads)
        self.device = torch.device(plan.device)
        self.bench = Bench.of(inputs, self.device, plan.config.data.epoch_lines)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial on this worker. Everything but the frozen bench is built anew."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        plan = self.plan
        self.folder = TrialFolder(plan.folder / config.get("within", "") / "trials" / config["id"])
        self.patience = Patience(plan.patience, plan.min_delta)
        self.seconds = 0.0
        self.last: dict[str, Any] = {"status": TrialStatus.RUNNING.value}
        self.error: Exception | None = None
        # The trial before is released first: two may not fit into the memory of a device.
        vars(self).pop("epochs", None)
        vars(self).pop("state", None)
        self.reported = True  # whether the search knows of the last epoch
        try:
            self.trial_config = plan.config.replace(config["values"])
            self.state = build_state(
                self.trial_config, self.inputs.pairs.charset, self.bench.guide.widths, self.device
            )
            flat = self.trial_config.flat()
            self.folder.create({**config, "preset": self.trial_config.preset, "config": flat})
            if self.folder.last.exists():
                self._restore()
            self.epochs = fit(self.state, self.bench)
        except Exception as error:  # ends this trial alone: `step` reports it
            self.error = error

    def _restore(self) -> None:
        """Continue after the last epoch of the checkpoint. What was written later is dropped."""
        checkpoint = read_checkpoint(self.folder.last, self.device)
        progress = checkpoint["progress"]
        self.patience = Patience(**progress["patience"])
        self.seconds, self.last = progress["seconds"], progress["last"]
        if self.last["status"] == TrialStatus.RUNNING:
            restore_state(self.state, checkpoint)
            # The search may have been killed before this epoch was reported. Report it again.
            self.reported = False
        self.folder.forget_after(self.last["epoch"])

    def step(self) -> dict[str, Any]:
        """Train one epoch and write everything about it to disk."""
        try:
            return self._step()
        except Exception as error:
            fault = disk_fault(error)
            if fault is None:
                raise
            return {
                "trial": self.config["id"],
                "status": TrialStatus.RUNNING.value,
                "disk": [fault.errno, fault.strerror, fault.filename],
                "done": False,
            }

    def _step(self) -> dict[str, Any]:
        try:
            if self.error is not None:
                raise self.error
            self._wait_while_paused()
            if self.last["status"] == TrialStatus.RUNNING and self.reported:
                self._epoch()
            self.reported = True
        except Exception as error:
            if disk_fault(error) is not None:
                raise
            self.folder.write_failure(error)
            self.last = {
                **self.last,
                "status": TrialStatus.FAILED.value,
                "error": f"{type(error).__name__}: {error}",
                "seconds": self.seconds,
            }
        self.folder.write_result(self.last)
        done = self.last["status"] != TrialStatus.RUNNING
        return {"trial": self.config["id"], **self.last, "done": done}

    def _wait_while_paused(self) -> None:
        control = ControlFiles(self.plan.folder)
        while control.paused and not control.end_requested:
            time.sleep(PAUSE_CHECK)

    def _epoch(self) -> None:
        started = time.perf_counter()
        report = next(self.epochs)
        metrics = report.metrics()
        value = self.value_of(metrics)
        improved = self.patience.update(report.epoch, value)
        status = self._status(report.epoch)
        best_so_far = self.patience.best
        if status == TrialStatus.COMPLETE and self.state.schedule.ends:
            self.patience.keep(report.epoch, value)
            improved = True
        regular = report.epoch % SAMPLE_EVERY == 0 or status != TrialStatus.RUNNING
        if improved:
            save_generator(self.folder.best, self.state)
        if improved or regular:
            images, widths = (
                samples(self.state, self.bench, SAMPLES),
                self.inputs.pairs.validation.widths,
            )
            if improved:
                self.folder.write_samples(None, images, widths)
            if regular:
                self.folder.write_samples(report.epoch, images, widths)
        best_metrics = metrics if improved else self.last["best_metrics"]
        best_value = self.patience.best
        partly_measured = len(self.bench.epoch_lines) < len(self.bench.validation)
        if status != TrialStatus.RUNNING and partly_measured:
            best_metrics = {**best_metrics, **self._kept_metrics()}
            best_value = self.value_of(best_metrics)
        self.seconds += time.perf_counter() - started  # without the retrieval, which OFF has not
        if status != TrialStatus.RUNNING:
            bench = self.bench
            metrics = {**metrics, **measure_retrieval(self.state, bench.guide, bench.validation)}
        accuracy = (metrics["accuracy_real"] + metrics["accuracy_fake"]) / 2
        memory = metrics["peak_memory_mb"]
        self.last = {
            "epoch": report.epoch,
            "value": value,
            "best_value": best_value,
            "best_so_far": best_so_far,
            "best_epoch": self.patience.best_epoch,
            "status": status.value,
            "seconds": self.seconds,
            "metrics": metrics,
            "peak_accuracy": max(accuracy, self.last.get("peak_accuracy", 0.0)),
            "peak_memory_mb": max(memory, self.last.get("peak_memory_mb", 0.0)),
            "best_metrics": best_metrics,
        }
        best_epoch, waited = self.patience.best_epoch, self.patience.waited
        self.folder.write_epoch(report, self.trial_config, best_epoch, waited, status)
        # The checkpoint comes last: it makes the epoch count.
        running = status == TrialStatus.RUNNING
        save_checkpoint(self.folder.last, self.state, self._progress(), optimizers=running)

    def _kept_metrics(self) -> dict[str, float]:
        """Measure the kept weights on all search-validation lines."""
        kept = read_generator(self.folder.best, self.trial_config, self.device)
        bench = self.bench
        return evaluate(by_generator(kept), bench.validation, bench.guide, bench.judge).metrics()

    def _status(self, epoch: int) -> TrialStatus:
        if epoch == self.trial_config.train.epochs:
            return TrialStatus.COMPLETE
        return TrialStatus.STOPPED if self.patience.exhausted else TrialStatus.RUNNING

    def value_of(self, metrics: dict[str, float]) -> float:
        """The value of an epoch to the search, higher is better."""
        return objective_value(self.plan.objective, metrics)

    def _progress(self) -> dict[str, Any]:
        return {"patience": self.patience.plain(), "seconds": self.seconds, "last": self.last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the trial's own checkpoint, if there is one, for schedulers that pause trials."""
        if self.folder.last.exists():
            shutil.copy(self.folder.last, checkpoint_dir)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: `setup` has read the checkpoint in the trial's own folder."""
        assert self.config["id"] == self.folder.path.name

    def cleanup(self) -> None:
        """End what the trial has running, when Ray stops this worker."""
        vars(self).pop("epochs", None)

    def __repr__(self) -> str:
        return f"GanHtrTrial(process {os.getpid()})"


def local_device(device: str) -> torch.device:
    """The device of the driver: that of its trials if this machine has it, else the CPU.

    The head of a cluster need not have the GPU of its nodes.
    """
    return torch.device(device if torch.cuda.is_available() else "cpu")


def local_trial(config: dict[str, Any], plan: TrialPlan, inputs: TrialInputs) -> GanHtrTrial:
    """A trial in this process. Ray is not started."""

    class LocalTrial(GanHtrTrial):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, plan, inputs)

    return LocalTrial(config)
