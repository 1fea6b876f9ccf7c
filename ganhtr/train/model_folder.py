"""A model folder: what a study leaves of its best trial, and all that is needed to restore lines with it.

generator.safetensors   weights of the generator (`ganhtr.train.checkpoint.save_generator`)
guide.safetensors       the recognizer that guided it (`ganhtr.recognizers.weights.RecognizerWeights`)
config.json             preset, config (every key of `Config.flat()`), charset
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from ganhtr.charset import Charset
from ganhtr.config import Config, ConfigError, build_config
from ganhtr.models import generator as generators
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.older_version import OlderVersionError, is_older, refusal
from ganhtr.recognizers.weights import RecognizerWeights

GENERATOR, GUIDE, CONFIG = FILES = ("generator.safetensors", "guide.safetensors", "config.json")


@dataclass(frozen=True)
class Model:
    """A trained generator and the recognizer that guided it, both frozen and in eval mode on one device."""

    config: Config
    charset: Charset
    generator: nn.Module
    recognizer: LineRecognizer
    device: torch.device


def load_model(folder: Path, device: torch.device) -> Model:
    """The model that a folder holds, loaded strictly.

    Raises: ValueError naming the file and the fault.
    """
    _require_files(folder)
    config, charset = _read_config(folder / CONFIG)
    guide = _read_guide(folder / GUIDE, config, charset)
    return Model(
        config,
        charset,
        read_generator(folder / GENERATOR, config, device),
        guide.build(device),
        device,
    )


def _require_files(folder: Path) -> None:
    missing = (
        FILES
        if not folder.is_dir()
        else tuple(name for name in FILES if not (folder / name).is_file())
    )
    if missing:
        got = f"no {' and no '.join(missing)}" if folder.is_dir() else "no folder"
        raise ValueError(
            f"{folder}: a model folder must hold {', '.join(FILES)}, got {got}. A search writes one to "
            "results/<study>/best"
        )


def _read_config(path: Path) -> tuple[Config, Charset]:
    """Configuration and charset. Keys that an older version did not write have their defaults; unknown ones are faults."""
    try:
        held = json.loads(path.read_bytes())
        preset, keys, characters = held["preset"], held["config"], held["charset"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path}: must be JSON with the keys preset, config and charset, got {type(error).__name__}: {error}. "
            "Copy the model folder anew"
        ) from error
    if not (isinstance(preset, str) and isinstance(keys, dict) and isinstance(characters, str)):
        raise ValueError(
            f"{path}: preset and charset must be text and config an object, got {_kind(preset)}, {_kind(characters)} and "
            f"{_kind(keys)}. Copy the model folder anew"
        )
    if is_older(keys):
        raise OlderVersionError(refusal(path))
    try:
        return build_config(preset, keys), Charset(characters)
    except ConfigError as error:
        faults = "\n".join(f"{path}: {fault}" for fault in error.faults)
        raise ValueError(
            f"{faults}\nAnother version may have written the folder, a newer one perhaps: update this one"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}. Copy the model folder anew") from error


def _kind(value: object) -> str:
    return type(value).__name__


def _read_guide(path: Path, config: Config, charset: Charset) -> RecognizerWeights:
    try:
        guide = RecognizerWeights.load(path)
    except OlderVersionError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{path}: must be the recognizer that guided the generator, got a file that does not load "
            f"({error.__cause__}). Copy the model folder anew"
        ) from error
    if guide.charset != charset.characters:
        raise ValueError(
            f"{path}: charset must be that of {CONFIG}, got that of a model folder of another charset. Copy all files of "
            "one folder"
        )
    size, asked = (guide.height, guide.width), (config.data.height, config.data.width)
    if size != asked:
        raise ValueError(
            f"{path}: height and width must be those of {CONFIG} ({asked[0]} x {asked[1]}), got {size[0]} x {size[1]}. "
            "Copy all files of one folder"
        )
    _require_finite(
        path, {name: torch.from_numpy(array.copy()) for name, array in guide.arrays.items()}
    )
    return guide


def read_generator(path: Path, config: Config, device: torch.device) -> nn.Module:
    """The generator whose weights a file holds, loaded strictly, frozen, in eval mode. Raises: ValueError naming the file and the fault."""
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: must be the weights of a generator, got a file that does not load ({error}). Copy the model folder "
            "anew"
        ) from error
    with torch.device("meta"):  # no memory is taken before the weights are known to fit
        network = generators.UNet(config.generator)

    def form(tensor: torch.Tensor | None) -> str:
        return (
            "none"
            if tensor is None
            else f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
        )

    own = network.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if (held := form(tensors.get(name))) != (needed := form(own.get(name))):
            raise ValueError(
                f"{path}: {name} must be {needed} by {CONFIG}, got {held}. Copy all files of one folder"
            )
    _require_finite(path, tensors)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def _require_finite(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{path}: {name} must be finite, got NaN or infinity. Copy the model folder anew"
            )
