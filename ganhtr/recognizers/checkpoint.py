"""The state of a recognizer's training, and its checkpoint file between two epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganhtr.atomic import UNREADABLE, read_torch, write_torch
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.older_version import OlderVersionError, is_older, refusal


class CheckpointError(ValueError):
    """A checkpoint from which this training cannot be resumed."""


@dataclass
class RecognizerTraining:
    """Everything that an epoch changes. Random numbers follow from seed and step alone."""

    recognizer: LineRecognizer
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0  # completed epochs
    cer: float = float("inf")  # after the last completed epoch

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically, together with the `settings` that decide the weights.

        Raises: OSError as `write_torch` does.
        """
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
        """Load a checkpoint. No code of the file is run.

        Raises: CheckpointError if the file cannot be loaded or belongs to other lines or settings.
        """
        checkpoint = _read(path, device)
        saved = checkpoint["settings"]
        differences = [
            f"{key} is {_short(saved.get(key))} in the file and {_short(settings.get(key))} here"
            for key in sorted(settings.keys() | saved.keys())
            if saved.get(key) != settings.get(key)
        ]
        if differences:
            raise CheckpointError(
                f"{path}: the checkpoint belongs to another training ({'; '.join(differences)}). "
                "Use the same lines and settings, or delete the file to start from the beginning"
            )
        try:
            self.recognizer.load_state_dict(checkpoint["recognizer"], strict=True)
            self.optimizer.load_state_dict(checkpoint["optimizer"])
            self.schedule.load_state_dict(checkpoint["schedule"])
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: the checkpoint does not fit this recognizer ({error}). "
                "Delete the file to start from the beginning"
            ) from error
        self.epoch, self.cer = checkpoint["epoch"], checkpoint["cer"]


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    keys = ("settings", "epoch", "cer", "recognizer", "optimizer", "schedule")
    try:
        if is_older(read_torch(path, device, keys[:1])["settings"]):
            raise OlderVersionError(refusal(path))
        return read_torch(path, device, keys)
    except OlderVersionError as error:
        raise CheckpointError(str(error)) from None
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path}: cannot load this file as the checkpoint of a recognizer's training "
            f"({error}). Delete it to start from the beginning"
        ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
