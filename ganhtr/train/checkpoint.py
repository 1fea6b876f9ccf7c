"""Checkpoints of a trial, and the weights of a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ganhtr.atomic import UNREADABLE, read_torch, write_atomically, write_torch
from ganhtr.train.state import TrainState


def save_checkpoint(
    path: Path, state: TrainState, progress: dict[str, Any], optimizers: bool = True
) -> None:
    """Write networks, step count and the caller's `progress` (plain values).

    A trial that has ended needs no `optimizers`. Raises: OSError as `write_torch` does.
    """
    modules = {name: module.state_dict() for name, module in state.modules().items()}
    moments = {name: opt.state_dict() for name, opt in state.optimizers.items()}
    write_torch(
        path,
        {
            "step": state.step,
            "progress": progress,
            "schedule": state.schedule.state_dict(),
            "modules": modules,
            "optimizers": moments if optimizers else {},
        },
    )


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read the entries that `save_checkpoint` wrote.

    Raises: ValueError with the path of a file that cannot be loaded.
    """
    try:
        return read_torch(path, device, ("step", "progress", "schedule", "modules", "optimizers"))
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: cannot load this file as the checkpoint of a trial ({error}). "
            "Delete it to start the trial again"
        ) from error


def restore_state(state: TrainState, checkpoint: dict[str, Any]) -> None:
    """Load a checkpoint into a state of the same configuration.

    Raises: RuntimeError or KeyError if the checkpoint belongs to another configuration.
    """
    modules, saved = state.modules(), checkpoint["modules"]
    if modules.keys() != saved.keys():
        raise KeyError(
            f"the checkpoint has the networks {', '.join(saved)}, but this trial has "
            f"{', '.join(modules)}"
        )
    for name, module in modules.items():
        module.load_state_dict(saved[name], strict=True)
    for name, optimizer in state.optimizers.items():
        optimizer.load_state_dict(checkpoint["optimizers"][name])
    state.schedule.load_state_dict(checkpoint["schedule"])
    state.step = checkpoint["step"]


def save_generator(path: Path, state: TrainState) -> None:
    """Write the weights of the generator that is kept (`TrainState.restorer`) as safetensors."""
    weights = state.restorer.state_dict()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    write_atomically(path, safetensors.torch.save(tensors))
