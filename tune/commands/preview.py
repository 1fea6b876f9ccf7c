"""The dry run: configuration, space with some trials or both arms, expected disk space and time."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ganhtr.config import Config, build_config
from ganhtr.train.rehearsal import checkpoint_bytes, rehearse
from tune.report_markup import clock
from tune.space.settings import FORMULATION
from tune.space.space import Space
from tune.space.tree import space_tree, values_in_line
from tune.study.request import Request
from tune.warm_start.history import read_history

VALIDATION = 1.25  # time of an epoch with its validation, over that of its training steps
EXAMPLES = 5


def preview(request: Request, results: Path) -> str:
    """Return what a search with this request would do. Takes the time of three training steps."""
    config, space = request.config(), request.bound_space
    lines = [
        f"preset {request.preset} ({request.preset_reason}); * differs from preset tiny",
        "",
        *configuration_lines(config),
        "",
        *planned_trials(request, space),
        *warm_start_lines(request, space),
        "",
        *cost_lines(request, config, space, results),
    ]
    return "\n".join(lines)


def configuration_lines(config: Config) -> list[str]:
    """Return every key of the configuration; a star marks those that differ from preset tiny."""
    default = build_config("tiny").flat()
    width = max(map(len, default))
    return [
        f"  {' ' if value == default[key] else '*'} {key.ljust(width)}  {value}"
        for key, value in config.flat().items()
    ]


def planned_trials(request: Request, space: Space) -> list[str]:
    """Return the space and some of its trials, or every trial of an experiment."""
    kind, amount = "space", f"{request.trials} trials"
    if space.experiment:
        kind = "experiment"
        amount = f"2 arms x {space.budget.seeds} seeds = {request.trials} trials"
    stopping = space.early_stopping
    lines = [
        f"{kind} {space.name}: objective {', '.join(space.objectives)}, {amount}, "
        f"patience {stopping.patience}, min_delta {stopping.min_delta:g}",
        f"  {early_stop(stopping.patience, request.config().train.epochs)}",
        f"  OFF  {values_in_line(space.baseline)}",
    ]
    if space.experiment:
        formulation = request.config().contrastive.formulation
        seeds = ", ".join(str(request.seed + number) for number in range(space.budget.seeds))
        return [
            *lines,
            f"  ON   {values_in_line({FORMULATION: formulation})}",
            f"  in pairs, with train.seed {seeds}",
            *space_tree(space),
        ]
    if space.off_searches:
        keys = ", ".join(parameter.key for parameter in space.shared_parameters)
        lines[-1] += f"  and searched too: {keys}"
    examples = [space.random_values(number) for number in range(EXAMPLES)]
    for values in examples:
        request.config().replace(space.completed(values))  # raises where a trial cannot be built
    return [
        *lines,
        *space_tree(space),
        "",
        f"{EXAMPLES} random trials:",
        *(f"  {values_in_line(values)}" for values in examples),
    ]


def early_stop(patience: int, epochs: int) -> str:
    """Return which trials the patience ends before their last epoch."""
    latest = epochs - 1 - patience  # best epoch of a trial that stops before its last epoch
    if latest < 1:
        return f"patience {patience} of {epochs} epochs: it ends no trial early"
    first = "epoch 1" if latest == 1 else f"the first {latest} epochs"
    return (
        f"patience {patience} of {epochs} epochs: it ends a trial early only if the best epoch is "
        f"{'' if latest == 1 else 'one of '}{first}"
    )


def warm_start_lines(request: Request, space: Space) -> list[str]:
    """Return what each source of `--warm-start` gives, or why it cannot be read."""
    lines: list[str] = []
    for source in request.warm:
        try:
            lines += read_history(source, space, space.objectives).notes
        except ValueError as error:
            lines.append(f"cannot be read: {error}")
    return ["", *(f"warm start: {line}" for line in lines)] if lines else []


def cost_lines(request: Request, config: Config, space: Space, results: Path) -> list[str]:
    """Return the expected time and disk space, measured with three steps of an ON trial."""
    device = torch.device(request.device)
    torch.set_num_threads(max(1, int(request.cpus_per_trial)))
    if config.contrastive.formulation == "none":
        config = config.replace(space.completed(space.random_values()))
    seconds, state = rehearse(config, device)
    trial = seconds * config.train.steps_per_epoch * config.train.epochs * VALIDATION
    slots = max(1, int((os.cpu_count() or 1) / request.cpus_per_trial))
    if request.gpus_per_trial:
        gpu_slots = int(torch.cuda.device_count() / request.gpus_per_trial)
        slots = max(1, min(slots, gpu_slots))
    rounds = -(-request.trials // slots)  # rounded up
    finished, running = checkpoint_bytes(state)
    disk = request.trials * finished + slots * (running - finished)
    return [
        f"expected: {seconds:.2f} s a step here, {clock(trial)} a trial, {slots} at a time, about "
        f"{clock(trial * rounds)} in total if no trial stops early, plus data and recognizers made "
        "on first use;",
        f"          {disk / 2**20:.0f} MB of weights in {results.resolve()}",
    ]
