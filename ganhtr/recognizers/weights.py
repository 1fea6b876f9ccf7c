"""A trained recognizer as a file: plain arrays, and what is needed to build it again and to know what it can do."""

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


@dataclass(frozen=True)
class RecognizerWeights:
    """A trained recognizer as plain arrays, with what is needed to build it again and what it can do."""

    config: RecognizerConfig
    charset: str
    height: int
    width: int
    cer: float  # on the clean search-validation lines
    digest: str  # of the lines and settings it was trained with
    arrays: dict[str, np.ndarray]

    def build(self, device: torch.device) -> LineRecognizer:
        """The recognizer, loaded strictly, frozen, in eval mode."""
        recognizer = build_recognizer(self.config, len(self.charset) + 1, self.height, self.width)
        recognizer.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()},
            strict=True,
        )
        return freeze(recognizer).to(device, memory_format=torch.channels_last)

    def save(self, path: Path) -> None:
        """Writes a safetensors file whose metadata hold all but the arrays; it appears only when it is whole."""
        meta = {k: v for k, v in asdict(self).items() if k != "arrays"}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            path,
            safetensors.numpy.save(
                self.arrays, metadata={"recognizer": json.dumps(meta, ensure_ascii=False)}
            ),
        )

    @classmethod
    def load(cls, path: Path) -> RecognizerWeights:
        """Reads what `save` wrote, and makes sure that the arrays are those of the settings beside them before anything is built.

        Raises: ValueError naming the file when it is something else.
        """
        try:
            with safe_open(path, framework="numpy") as held:
                metadata = held.metadata() or {}
                if "reader" in metadata:
                    raise OlderVersionError(refusal(path))
                meta = json.loads(_description(metadata))
                arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
            weights = cls(**{**meta, "config": RecognizerConfig(**meta["config"])}, arrays=arrays)
            _check(weights)
            return weights
        except OlderVersionError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: must be a recognizer's safetensors file, got one that does not load ({error}). Name a file that "
                "`python -m ganhtr recognizer train` wrote; one in the cache may be deleted and is then trained again"
            ) from error


def _description(metadata: dict[str, str] | None) -> str:
    if not metadata or "recognizer" not in metadata:
        raise ValueError("it has no description of a recognizer; a generator's file, perhaps")
    return metadata["recognizer"]


def _check(weights: RecognizerWeights) -> None:
    """Raises ValueError where the file's own description is none of a recognizer, or its arrays are not that recognizer's."""
    Charset(weights.charset)
    settings = {f"guide.{key}": value for key, value in asdict(weights.config).items()}
    build_config(
        "tiny",
        {
            "generator.levels": 1,
            "data.height": weights.height,
            "data.width": weights.width,
            **settings,
        },
    )
    if not isinstance(weights.cer, (int, float)) or not isinstance(weights.digest, str):
        raise ValueError(
            f"cer must be a number and digest text, got {weights.cer!r} and {weights.digest!r}"
        )
    odd = _misfits(weights)
    if odd:
        raise ValueError(
            f"{len(odd)} of its arrays are not those of its settings: {', '.join(odd[:3])}{', ...' if len(odd) > 3 else ''}"
        )


def _misfits(weights: RecognizerWeights) -> list[str]:
    """Names of arrays that are missing, too many, or of another shape or type than the settings ask for. Nothing is allocated for it."""
    with torch.device("meta"):
        wanted = build_recognizer(
            weights.config, len(weights.charset) + 1, weights.height, weights.width
        ).state_dict()

    def kind(array: torch.Tensor | np.ndarray | None) -> tuple[tuple[int, ...], str] | None:
        return (
            None if array is None else (tuple(array.shape), str(array.dtype).removeprefix("torch."))
        )

    return sorted(
        name
        for name in wanted.keys() | weights.arrays.keys()
        if kind(wanted.get(name)) != kind(weights.arrays.get(name))
    )
