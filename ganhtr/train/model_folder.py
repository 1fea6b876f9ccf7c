"""A model folder: the best trial of a study, with everything needed to restore lines.

generator.safetensors   weights of the generator (`ganhtr.train.checkpoint.save_generator`)
guide.safetensors       the guide recognizer (`ganhtr.recognizers.weights.RecognizerWeights`)
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
from ganhtr.recognizers.weights import RecognizerWeights, shape_and_type

GENERATOR, GUIDE, CONFIG = FILES = ("generator.safetensors", "guide.safetensors", "config.json")


@dataclass(frozen=True)
class Model:
    """A trained generator and its guide, frozen and in eval mode on one device."""

    config: Config
    charset: Charset
    generator: nn.Module
    recognizer: LineRecognizer
    device: torch.device


def load_model(folder: Path, device: torch.device) -> Model:
    """Load a model folder.

    Raises: ValueError with the file and the fault.
    """
    _require_files(folder)
    config, charset = _read_config(folder / CONFIG)
    guide = _read_guide(folder / GUIDE, config, charset)
    generator = read_generator(folder / GENERATOR, config, device)
    return Model(config, charset, generator, guide.build(device), device)


def _require_files(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such model folder. A search writes one to results/<study>/best"
        )
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder}: a model folder has the files {', '.join(FILES)}, but {', '.join(missing)} "
            "is missing. A search writes a model folder to results/<study>/best"
        )


def _read_config(path: Path) -> tuple[Config, Charset]:
    """Read configuration and charset. Missing keys get their defaults; unknown keys are faults."""
    try:
        content = json.loads(path.read_bytes())
        preset, keys, characters = content["preset"], content["config"], content["charset"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a JSON object with the keys preset, config and charset "
            f"({type(error).__name__}: {error}). Copy the model folder again"
        ) from error
    if not (isinstance(preset, str) and isinstance(keys, dict) and isinstance(characters, str)):
        types = [type(value).__name__ for value in (preset, characters, keys)]
        raise ValueError(
            f"{path}: preset and charset must be strings and config an object, got "
            f"{types[0]}, {types[1]} and {types[2]}. Copy the model folder again"
        )
    if is_older(keys):
        raise OlderVersionError(refusal(path))
    try:
        return build_config(preset, keys), Charset(characters)
    except ConfigError as error:
        faults = "\n".join(f"{path}: {fault}" for fault in error.faults)
        raise ValueError(
            f"{faults}\nThe folder may come from a newer version of ganhtr-tune. Update this one"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}. Copy the model folder again") from error


def _read_guide(path: Path, config: Config, charset: Charset) -> RecognizerWeights:
    try:
        guide = RecognizerWeights.load(path)
    except OlderVersionError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{path}: cannot load the guide recognizer ({error.__cause__}). "
            "Copy the model folder again"
        ) from error
    if guide.charset != charset.characters:
        raise ValueError(
            f"{path}: the charset differs from that of {CONFIG}: the files come from different "
            "model folders. Copy all files of one folder"
        )
    height, width = config.data.height, config.data.width
    if (guide.height, guide.width) != (height, width):
        raise ValueError(
            f"{path}: the guide reads lines of {guide.height} x {guide.width} px, but {CONFIG} "
            f"says {height} x {width}. Copy all files of one folder"
        )
    tensors = {name: torch.from_numpy(array.copy()) for name, array in guide.arrays.items()}
    _require_finite(path, tensors)
    return guide


def read_generator(path: Path, config: Config, device: torch.device) -> nn.Module:
    """Load a generator's weights; the network is frozen and in eval mode.

    Raises: ValueError with the path and the fault.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot load the weights of the generator ({error}). "
            "Copy the model folder again"
        ) from error
    with torch.device("meta"):  # allocates nothing before the weights are known to fit
        network = generators.UNet(config.generator)
    expected = network.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        actual, needed = shape_and_type(tensors.get(name)), shape_and_type(expected.get(name))
        if actual != needed:
            raise ValueError(
                f"{path}: {name}: the file has {actual}, but {CONFIG} needs {needed}. "
                "Copy all files of one folder"
            )
    _require_finite(path, tensors)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def _require_finite(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} has NaN or infinity. Copy the model folder again")
