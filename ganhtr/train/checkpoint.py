"""Checkpoints of a trial, written atomically, and the weights of a finished generator."""

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
    """Writes networks, step count and the driver's own `progress` (plain values); the optimisers too, unless the trial has ended."""
    write_torch(
        path,
        {
            "step": state.step,
            "progress": progress,
            "schedule": state.schedule.state_dict(),
            "modules": {name: module.state_dict() for name, module in state.modules().items()},
            "optimizers": {name: opt.state_dict() for name, opt in state.optimizers.items()}
            if optimizers
            else {},
        },
    )


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote. Raises: ValueError naming a file that does not load."""
    try:
        return read_torch(path, device, ("step", "progress", "schedule", "modules", "optimizers"))
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: must be a trial's checkpoint, got a file that does not load ({error}). Delete it to start the "
            "trial again"
        ) from error


def restore_state(state: TrainState, held: dict[str, Any]) -> None:
    """Puts a checkpoint back, strictly. Raises: RuntimeError or KeyError when it belongs to another configuration."""
    modules = state.modules()
    if modules.keys() != held["modules"].keys():
        raise KeyError(
            f"the checkpoint holds {', '.join(held['modules'])}; this trial has {', '.join(modules)}"
        )
    for name, module in modules.items():
        module.load_state_dict(held["modules"][name], strict=True)
    for name, optimizer in state.optimizers.items():
        optimizer.load_state_dict(held["optimizers"][name])
    state.schedule.load_state_dict(held["schedule"])
    state.step = held["step"]


def save_generator(path: Path, state: TrainState) -> None:
    """Writes the generator's weights as safetensors."""
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in state.generator.state_dict().items()
    }
    write_atomically(path, safetensors.torch.save(tensors))
