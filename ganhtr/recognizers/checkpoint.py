"""A recognizer's training between two epochs, kept in a file: one that was broken off goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganhtr.atomic import UNREADABLE, read_torch, write_torch
from ganhtr.models.recognizer import LineRecognizer


class CheckpointError(ValueError):
    """A file that this training cannot go on from."""


@dataclass
class RecognizerState:
    """Everything that an epoch of a recognizer's training changes. Its random numbers follow from seed and step alone."""

    recognizer: LineRecognizer
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0  # whole epochs behind us
    cer: float = float("inf")  # after the last of them

    def __post_init__(self) -> None:
        self._momenta = [
            (layer, layer.momentum or 0.0)
            for layer in self.recognizer.modules()
            if isinstance(layer, nn.BatchNorm2d)
        ]

    def settle_norms(self, step: int) -> None:
        """Lets batch norms take the plain mean of all batches up to `step` until their own momentum would weigh the newest more.

        Else one as small as the transformer's leaves traces of the 0 and 1 that the running statistics start with for hundreds of
        steps, and the recognizer is blind in eval mode. What is learned in training mode does not depend on it.
        """
        for layer, momentum in self._momenta:
            layer.momentum = max(momentum, 1 / (step + 1))

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Writes the file whole, together with what decides the weights (plain values)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_torch(
            path,
            {
                "settings": dict(settings),
                "epoch": self.epoch,
                "cer": self.cer,
                "recognizer": self.recognizer.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
            },
        )

    def restore(self, path: Path, settings: Mapping[str, Any], device: torch.device) -> None:
        """Puts back what `save` wrote, strictly; no code of the file is run.

        Raises: CheckpointError when the file does not load, or belongs to other settings or lines, saying which differ.
        """
        held = _read(path, device)
        other = [
            f"{key} {_short(held['settings'].get(key))} there, {_short(settings.get(key))} here"
            for key in settings.keys() | held["settings"].keys()
            if held["settings"].get(key) != settings.get(key)
        ]
        if other:
            raise CheckpointError(
                f"{path}: must be a checkpoint of these lines and settings, got one of others "
                f"({'; '.join(sorted(other))}). Give what it was begun with, or delete it to start anew"
            )
        try:
            self.recognizer.load_state_dict(held["recognizer"], strict=True)
            self.optimizer.load_state_dict(held["optimizer"])
            self.schedule.load_state_dict(held["schedule"])
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: must be a checkpoint of such a recognizer, got one that does not fit ({error}). Delete it to start "
                "anew"
            ) from error
        self.epoch, self.cer = held["epoch"], held["cer"]


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        return read_torch(
            path, device, ("settings", "epoch", "cer", "recognizer", "optimizer", "schedule")
        )
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path}: must be the checkpoint of a recognizer's training, got a file that does not load ({error}). "
            "Delete it to start anew"
        ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
