"""A trained recognizer as a file: its arrays, and the description needed to build it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open

from ganhtr.atomic import write_atomically
from ganhtr.charset import Charset
from ganhtr.config import build_config
from ganhtr.config_sections import RecognizerConfig
from ganhtr.models.recognizer import LineRecognizer, build_recognizer, freeze
from ganhtr.older_version import OlderVersionError, refusal
from ganhtr.precision import require_fp32


@dataclass(frozen=True)
class RecognizerWeights:
    """A trained recognizer as plain arrays, with the description needed to build it again."""

    config: RecognizerConfig
    charset: str
    height: int
    width: int
    cer: float  # on the clean search-validation lines
    digest: str  # of the lines and settings of its training
    arrays: dict[str, np.ndarray]

    def build(self, device: torch.device) -> LineRecognizer:
        """Return the recognizer, frozen and in eval mode.

        Raises: RuntimeError as `require_fp32` does.
        """
        require_fp32()
        recognizer = build_recognizer(self.config, len(self.charset) + 1, self.height, self.width)
        tensors = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        recognizer.load_state_dict(tensors, strict=True)
        return freeze(recognizer).to(device, memory_format=torch.channels_last)

    def save(self, path: Path) -> None:
        """Write a safetensors file atomically; its metadata is the description.

        Raises: OSError as `write_atomically` does.
        """
        description = {key: value for key, value in asdict(self).items() if key != "arrays"}
        metadata = {"recognizer": json.dumps(description, ensure_ascii=False)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.numpy.save(self.arrays, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> RecognizerWeights:
        """Read a file that `save` wrote, and check its arrays against its description.

        Raises: ValueError with the path if the file is anything else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if "reader" in metadata:
                    raise OlderVersionError(refusal(path))
                description = json.loads(_description(metadata))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description["config"] = RecognizerConfig(**description["config"])
            weights = cls(**description, arrays=arrays)
            _check(weights)
            return weights
        except OlderVersionError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: cannot load this file as a trained recognizer ({error}). Use a file that "
                "`python -m ganhtr recognizer train` wrote. A file in the cache can be deleted: "
                "it is then trained again"
            ) from error


def _description(metadata: dict[str, str]) -> str:
    if "recognizer" not in metadata:
        raise ValueError("it does not describe a recognizer; is it the file of a generator?")
    return metadata["recognizer"]


def _check(weights: RecognizerWeights) -> None:
    """Raises: ValueError if the description is not valid or the arrays do not match it."""
    Charset(weights.charset)
    settings = {f"guide.{key}": value for key, value in asdict(weights.config).items()}
    size = {"data.height": weights.height, "data.width": weights.width}
    # one level, so that any size that suits the recognizer is valid
    build_config("tiny", {"generator.levels": 1, **size, **settings})
    if not isinstance(weights.cer, (int, float)) or not isinstance(weights.digest, str):
        raise ValueError(
            f"cer must be a number and digest a string, got {weights.cer!r} and {weights.digest!r}"
        )
    if names := _mismatches(weights):
        listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise ValueError(f"{len(names)} of its arrays do not match its settings: {listed}")


def _mismatches(weights: RecognizerWeights) -> list[str]:
    """Names of arrays that are missing, superfluous, or of another shape or type than expected."""
    with torch.device("meta"):  # allocates nothing
        expected = build_recognizer(
            weights.config, len(weights.charset) + 1, weights.height, weights.width
        ).state_dict()
    return sorted(
        name
        for name in expected.keys() | weights.arrays.keys()
        if shape_and_type(expected.get(name)) != shape_and_type(weights.arrays.get(name))
    )


def shape_and_type(array: torch.Tensor | np.ndarray | None) -> str:
    """Return shape and type as text, such as "[3, 4] float32"; "none" for None."""
    if array is None:
        return "none"
    return f"{list(array.shape)} {str(array.dtype).removeprefix('torch.')}"
