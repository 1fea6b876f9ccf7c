"""What the user sees while a search runs: a line when a trial starts or ends, and the progress."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from ray.tune import Callback
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tune.metric import OBJECTIVES
from tune.report_markup import clock, short
from tune.study.trial_status import TrialStatus

EVERY = 15.0  # seconds between two progress lines without a terminal


class Monitor(Callback):
    """Follows the trials: on a terminal in a live table, elsewhere in lines.

    done: trials that have ended before. stopped: Ray's trial id -> how a trial ended that was
    stopped from outside.
    """

    def __init__(
        self,
        stream: TextIO,
        trials: int,
        epochs: int,
        objective: str,
        done: int = 0,
        stopped: Mapping[str, TrialStatus] | None = None,
    ):
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.trials, self.epochs, self.objective, self.ended = trials, epochs, objective, done
        self.stopped = {} if stopped is None else stopped
        # Ray's trial id -> the trial's name, its epochs and its latest result
        self.running: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.best: tuple[float, str] | None = None
        self.started = self.last_line = time.monotonic()
        self.epochs_trained = 0  # since this search started
        self.live = Live(
            console=self.console,
            refresh_per_second=2,
            get_renderable=self.table,
            transient=True,
            redirect_stdout=False,  # Ray's output goes to its log
            redirect_stderr=False,
        )

    def __reduce__(self) -> tuple:
        """Ray pickles its callbacks. A copy of this one shows nothing."""
        return Callback, ()

    def __enter__(self) -> Monitor:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def _epochs_of(self, trial: Any) -> int:
        """The epochs of a trial, which may be others than those of the study."""
        return trial.config["values"].get("train.epochs", self.epochs)

    def shown(self, value: float) -> str:
        """A value in the objective's own unit."""
        return OBJECTIVES[self.objective].shown(value)

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self.console.print(line, markup=False)

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        config = trial.config
        if trial.trial_id not in self.running:
            self.running[trial.trial_id] = (config["id"], self._epochs_of(trial), {})
            self.say(f"{config['id']} starts ({config['proposed_by']}): {short(config['values'])}")

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Count an epoch, and print the progress if it is time."""
        if "value" not in result:
            return
        self.epochs_trained += 1
        self.running[trial.trial_id] = (result["trial"], self._epochs_of(trial), result)
        if self.best is None or result["best_so_far"] > self.best[0]:
            self.best = (result["best_so_far"], result["trial"])
        if not self.console.is_terminal and time.monotonic() - self.last_line > EVERY:
            self.last_line = time.monotonic()
            self.say(self.progress())

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Print how a trial ended."""
        self.running.pop(trial.trial_id, None)
        name = trial.config["id"]
        result = trial.last_result or {}
        self.ended += 1
        if result.get("status") == TrialStatus.FAILED:
            epoch = result.get("epoch", 0) + 1
            self.say(f"{name} FAILED in epoch {epoch}: {result.get('error')} (see traceback.txt)")
        elif "best_metrics" in result:
            metrics = result["best_metrics"]
            status = self.stopped.get(trial.trial_id, result["status"])
            self.say(
                f"{name} {status} after {result['epoch']} epochs, {clock(result['seconds'])}: best "
                f"{self.objective} {self.shown(result['best_value'])} in epoch "
                f"{result['best_epoch']} (PSNR {metrics['psnr']:.2f} dB, "
                f"SSIM {metrics['ssim']:.3f}, CER {metrics['cer']:.3f}, WER {metrics['wer']:.3f})"
            )

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.running.pop(trial.trial_id, None)
        self.ended += 1
        self.say(f"{trial.config['id']} FAILED: its worker died (see logs/ray.log)")

    def progress(self) -> str:
        """One line: trials done and running, the best trial, and the time left."""
        return " · ".join([self._done(), f"running: {self._running() or '-'}", *self._outlook()])

    def _done(self) -> str:
        return f"{self.ended}/{self.trials} done"

    def _running(self) -> str:
        trials = []
        for name, epochs, result in self.running.values():
            value = f" {self.shown(result['value'])}" if "value" in result else ""
            trials.append(f"{name} {result.get('epoch', 0)}/{epochs}{value}")
        return "  ".join(trials)

    def _outlook(self) -> list[str]:
        best = f"{self.shown(self.best[0])} ({self.best[1]})" if self.best else "-"
        return [f"best {best}", self.eta()]

    def eta(self) -> str:
        """The time left, from the pace since the search started."""
        if not self.epochs_trained:
            return "ETA -"
        epochs_left = (self.trials - self.ended - len(self.running)) * self.epochs
        for _, epochs, result in self.running.values():
            epochs_left += epochs - result.get("epoch", 0)
        pace = (time.monotonic() - self.started) / self.epochs_trained
        return f"ETA {clock(epochs_left * pace)}"

    def table(self) -> Table:
        """The running trials as a table, with the progress below it."""
        caption = " · ".join([self._done(), *self._outlook()])
        table = Table(box=None, padding=(0, 2, 0, 0), caption=caption, caption_justify="left")
        for column in ("trial", "epoch", self.objective, "best", "PSNR", "CER"):
            table.add_column(column, justify="left" if column == "trial" else "right")
        for name, epochs, result in list(self.running.values()):
            metrics = result.get("metrics", {})
            table.add_row(
                name,
                f"{result.get('epoch', 0)}/{epochs}",
                *(
                    self.shown(result[key]) if key in result else "-"
                    for key in ("value", "best_so_far")
                ),
                f"{metrics['psnr']:.2f}" if metrics else "-",
                f"{metrics['cer']:.3f}" if metrics else "-",
            )
        return table
