"""The dry run: resolved configuration, the space with five sampled trials (or both arms of an experiment), disk and time to expect."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ganhtr.config import Config, build_config
from ganhtr.train.rehearsal import checkpoint_bytes, rehearse
from tune.report_markup import clock
from tune.space.settings import FORMULATION
from tune.space.tree import space_tree, values_in_line
from tune.study.request import Request
from tune.warm_start.history import read_history

VALIDATION = 1.25  # an epoch with its validation, over its training steps


def planned_trials(request: Request) -> list[str]:
    """The space and five of its trials, or every trial of an experiment."""
    space = request.space
    kind, amount = "space", f"{request.trials} trials"
    if space.experiment:
        kind, amount = (
            "experiment",
            f"2 arms x {space.budget.seeds} seeds = {request.trials} trials",
        )
    lines = [
        f"{kind} {space.name}: objective {', '.join(space.objectives)}, {amount}, patience {space.early_stopping.patience}, "
        f"min_delta {space.early_stopping.min_delta:g}",
        f"  OFF  {values_in_line(space.baseline)}",
    ]
    if space.experiment:
        seeds = ", ".join(str(request.seed + number) for number in range(space.budget.seeds))
        return [
            *lines,
            f"  ON   {values_in_line({FORMULATION: request.config().contrastive.formulation})}",
            f"  in pairs, with train.seed {seeds}",
            *space_tree(space),
        ]
    if space.off_searches:
        lines[1] += (
            f"  and of its own: {', '.join(parameter.key for parameter in space.shared_parameters)}"
        )
    lines += space_tree(space)
    samples = [space.random_values(number) for number in range(5)]
    start = request.config()
    for values in samples:
        start.replace(space.completed(values, start.flat()))
    return [
        *lines,
        "",
        "five trials drawn at random:",
        *(f"  {values_in_line(values)}" for values in samples),
    ]


def learned(request: Request, config: Config) -> list[str]:
    """What each source of `--warm-start` would give, or why it cannot be read."""
    lines: list[str] = []
    for source in request.warm:
        try:
            lines += read_history(
                source, request.space, request.space.objectives, base=config.flat()
            ).notes
        except ValueError as error:
            lines.append(f"cannot be read: {error}")
    return ["", *(f"warm start: {line}" for line in lines)] if lines else []


def preview(request: Request, results: Path) -> str:
    """What a search with this request would do. Takes the time of three training steps."""
    config = request.config()
    usual = build_config("tiny").flat()
    changed = {key for key, value in config.flat().items() if value != usual[key]}
    width = max(len(key) for key in config.flat())
    lines = [f"preset {request.preset} ({request.preset_reason}); * differs from preset tiny", ""]
    lines += [
        f"  {'*' if key in changed else ' '} {key.ljust(width)}  {value}"
        for key, value in config.flat().items()
    ]
    lines += ["", *planned_trials(request), *learned(request, config)]
    device = torch.device(request.device)
    torch.set_num_threads(max(1, int(request.cpus_per_trial)))
    on = (
        config
        if config.contrastive.formulation != "none"
        else config.replace(request.space.completed(request.space.random_values(), config.flat()))
    )
    seconds, state = rehearse(on, device)
    trial = seconds * config.train.steps_per_epoch * config.train.epochs * VALIDATION
    slots = max(1, int((os.cpu_count() or 1) / request.cpus_per_trial))
    if request.gpus_per_trial:
        slots = max(1, min(slots, int(torch.cuda.device_count() / request.gpus_per_trial)))
    finished, running = checkpoint_bytes(state)
    disk = request.trials * finished + slots * (running - finished)
    lines += [
        "",
        f"to expect: {seconds:.2f} s a step here, {clock(trial)} a trial, {slots} at a time, about "
        f"{clock(trial * -(-request.trials // slots))} in all if none stops early, beside data and recognizers made on first use;",
        f"           {disk / 2**20:.0f} MB of weights in {results.resolve()}",
    ]
    return "\n".join(lines)
