"""The recognizers of a study: named by the user, shipped, from the cache, or newly trained."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from ganhtr.config_sections import RecognizerConfig, RecognizerTrainingConfig
from ganhtr.data.pairs import Pairs
from ganhtr.data.source import cache_folder
from ganhtr.recognizers.checkpoint import CheckpointError
from ganhtr.recognizers.training import Recipe, Say, train_to_file
from ganhtr.recognizers.weights import RecognizerWeights

SHIPPED = Path(__file__).parent.parent / "weights"
ROLES = ("guide", "judge")
_LISTED = 20  # characters that an error message lists


def shipped_recognizer(role: str) -> RecognizerWeights | None:
    """Return the recognizer that is shipped for a role, or None."""
    path = SHIPPED / f"{role}.safetensors"
    return RecognizerWeights.load(path) if path.exists() else None


def obtain_recognizer(
    role: str,
    pairs: Pairs,
    config: RecognizerConfig,
    training: RecognizerTrainingConfig,
    device: torch.device,
    say: Say,
) -> RecognizerWeights:
    """Return the recognizer for these lines and settings.

    It is the one of `config.weights`, else the shipped or the cached one for the same lines and
    settings, else a newly trained one. An interrupted training is resumed. `role` (guide or judge)
    names it in messages and selects the shipped weights from which the training starts. Raises:
    ValueError if the weights of `config.weights` do not fit the lines.
    """
    name = f"{role} recognizer"
    if config.weights:
        weights = named_recognizer(role, pairs, Path(config.weights).expanduser())
        say(
            f"{name}: {config.weights}, CER {weights.cer:.1%} on the clean search-validation lines "
            "of its training"
        )
        return weights
    shipped = shipped_recognizer(role)
    recipe = Recipe(pairs, config, training)
    if shipped is not None and shipped.digest == recipe.digest:
        say(f"{name}: shipped weights, CER {shipped.cer:.1%} on clean search-validation lines")
        return shipped
    if shipped is not None and shipped.config.kind == config.kind:
        recipe = replace(recipe, start=shipped)
    path = cache_folder() / "recognizers" / f"{role}-{recipe.digest}.safetensors"
    if path.exists():
        weights = RecognizerWeights.load(path)
        say(f"{name}: from the cache, CER {weights.cer:.1%} on clean search-validation lines")
        return weights
    try:
        return train_to_file(path, recipe, device, say, name, resume=True)
    except CheckpointError as error:  # the user did not choose this file and need not repair it
        say(f"{name}: training starts from the beginning. {error}")
        return train_to_file(path, recipe, device, say, name)


def named_recognizer(role: str, pairs: Pairs, path: Path) -> RecognizerWeights:
    """Load the recognizer of a file. Its digest is that of the file's content.

    Raises: ValueError with every reason why the file does not fit these lines.
    """
    key = f"{role}.weights"
    if not path.is_file():
        raise ValueError(
            f"{key}: {path} does not exist. Train a recognizer: python -m ganhtr recognizer train"
        )
    weights = RecognizerWeights.load(path)
    height, width = pairs.train.clean.shape[1:]
    sizes = [("height", weights.height, height)]
    if weights.config.kind == "transformer":  # a CRNN reads any width
        sizes.append(("width", weights.width, width))
    faults = [
        f"{path}: the recognizer of {key} reads lines of {side} {trained}, but data.{side} is "
        f"{configured}. Set data.{side} to {trained}, or train a recognizer with data.{side} "
        f"{configured}"
        for side, trained, configured in sizes
        if trained != configured
    ]
    if weights.charset != pairs.charset.characters:
        faults.append(
            f"{path}: the charset of the recognizer of {key} differs from that of the lines: "
            f"{charset_difference(weights.charset, pairs.charset.characters)}. Use the same "
            "--charset FILE for the study and the recognizer, or train a recognizer on these lines"
        )
    if faults:
        raise ValueError("\n".join(faults))
    return replace(weights, digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16])


def charset_difference(recognizer: str, lines: str) -> str:
    """Describe the difference between the charset of a recognizer and that of the lines."""
    parts = []
    for owner, characters, others in (
        ("the recognizer has", recognizer, lines),
        ("the lines have", lines, recognizer),
    ):
        extra = [repr(character) for character in characters if character not in others]
        more = f" and {len(extra) - _LISTED} more" if len(extra) > _LISTED else ""
        parts += [f"only {owner} {', '.join(extra[:_LISTED])}{more}"] if extra else []
    return "; ".join(parts) or "the same characters in another order"
