"""What a person sees while a search runs: each trial as it starts and ends, and a line that says how far it all is."""

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

EVERY = 15.0  # seconds between two progress lines where there is no terminal


class Monitor(Callback):
    """Follows the trials. On a terminal it keeps a table up to date; elsewhere it prints lines."""

    def __init__(
        self,
        stream: TextIO,
        trials: int,
        epochs: int,
        objective: str,
        done: int = 0,
        stopped: Mapping[str, str] | None = None,
    ):
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.trials, self.epochs, self.objective, self.ended = trials, epochs, objective, done
        self.stopped = (
            {} if stopped is None else stopped
        )  # Ray's trial id -> how a trial ended that was stopped from outside
        self.running: dict[
            str, tuple[str, dict[str, Any]]
        ] = {}  # Ray's trial id -> our id, last result
        self.best: tuple[float, str] | None = None
        self.started = self.last_line = time.monotonic()
        self.worked = 0  # epochs since this search started
        self.live = Live(
            console=self.console,
            refresh_per_second=2,
            get_renderable=self.table,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )  # what Ray prints goes to its log

    def __reduce__(self) -> tuple:
        """Ray keeps copies of its callbacks by pickling; a copy of this one has nothing to show."""
        return Callback, ()

    def __enter__(self) -> Monitor:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def shown(self, value: float) -> str:
        """A value as the objective's metric."""
        return OBJECTIVES[self.objective].shown(value)

    def say(self, line: str) -> None:
        """Prints a line above the table."""
        self.console.print(line, markup=False)

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        config = trial.config
        if trial.trial_id not in self.running:
            self.running[trial.trial_id] = (config["id"], {})
            self.say(f"{config['id']} starts ({config['proposed_by']}): {short(config['values'])}")

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Notes an epoch."""
        if "value" not in result:
            return
        self.worked += 1
        self.running[trial.trial_id] = (result["trial"], result)
        if self.best is None or result["best_value"] > self.best[0]:
            self.best = (result["best_value"], result["trial"])
        if not self.console.is_terminal and time.monotonic() - self.last_line > EVERY:
            self.last_line = time.monotonic()
            self.say(self.progress())

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Says how a trial ended."""
        name, _ = self.running.pop(trial.trial_id, (trial.config["id"], {}))
        result = trial.last_result or {}
        self.ended += 1
        if result.get("status") == "failed":
            self.say(
                f"{name} FAILED in epoch {result.get('epoch', 0) + 1}: {result.get('error')} (traceback in its folder)"
            )
        elif "best_metrics" in result:
            m, status = result["best_metrics"], self.stopped.get(trial.trial_id, result["status"])
            self.say(
                f"{name} {status} after {result['epoch']} epochs, {clock(result['seconds'])}: best {self.objective} "
                f"{self.shown(result['best_value'])} in epoch {result['best_epoch']} (PSNR {m['psnr']:.2f} dB, SSIM {m['ssim']:.3f}, "
                f"CER {m['cer']:.3f}, WER {m['wer']:.3f})"
            )

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        name, _ = self.running.pop(trial.trial_id, (trial.config["id"], {}))
        self.ended += 1
        self.say(f"{name} FAILED: its worker died (see logs/ray.log)")

    def progress(self) -> str:
        """Trials done and running, epoch and value of each, the best, and the time to go."""
        running = "  ".join(
            f"{name} {r.get('epoch', 0)}/{self.epochs}"
            + (f" {self.shown(r['value'])}" if "value" in r else "")
            for name, r in self.running.values()
        )
        best = f"best {self.shown(self.best[0])} ({self.best[1]})" if self.best else "best -"
        return (
            f"{self.ended}/{self.trials} done · running: {running or '-'} · {best} · {self.eta()}"
        )

    def eta(self) -> str:
        """Time to go, from the epochs done since the search started."""
        if not self.worked:
            return "ETA -"
        in_hand = sum(r.get("epoch", 0) for _, r in self.running.values())
        left = (self.trials - self.ended) * self.epochs - in_hand
        return f"ETA {clock(left * (time.monotonic() - self.started) / self.worked)}"

    def table(self) -> Table:
        """The running trials as a table, the progress line below it."""
        table = Table(
            box=None,
            padding=(0, 2, 0, 0),
            caption=self.progress().split(" · running")[0]
            + " · "
            + self.progress().split(" · ", 2)[2],
            caption_justify="left",
        )
        for column in ("trial", "epoch", self.objective, "best", "PSNR", "CER"):
            table.add_column(column, justify="left" if column == "trial" else "right")
        for name, r in list(self.running.values()):
            m = r.get("metrics", {})
            values = [self.shown(r[key]) if key in r else "-" for key in ("value", "best_value")]
            table.add_row(
                name,
                f"{r.get('epoch', 0)}/{self.epochs}",
                *values,
                *(
                    f"{m[key]:.{places}f}" if key in m else "-"
                    for key, places in (("psnr", 2), ("cer", 3))
                ),
            )
        return table
