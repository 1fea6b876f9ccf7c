"""Where a study's recognizers come from: named by the user, shipped with the package, kept in the cache, or trained now."""

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
_LISTED = 20  # characters that an error names


def shipped_recognizer(role: str) -> RecognizerWeights | None:
    """The recognizer that the package brings for a role, or None."""
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
    """The recognizer for these lines and settings: the one that `config.weights` names, else shipped, from the cache, or trained now.

    `role` (guide or judge) names it in messages and picks the shipped weights that a new one starts from. A training that was broken
    off goes on. Raises: ValueError when named weights do not fit the lines.
    """
    if config.weights:
        weights = named_recognizer(role, pairs, Path(config.weights).expanduser())
        say(
            f"{role} recognizer: {config.weights}, CER {weights.cer:.1%} on the clean search-validation lines that it was trained beside"
        )
        return weights
    shipped = shipped_recognizer(role)
    recipe = Recipe(
        pairs, config, training, shipped if shipped and shipped.config.kind == config.kind else None
    )
    if shipped is not None and shipped.digest == recipe.digest:
        say(
            f"{role} recognizer: shipped weights, CER {shipped.cer:.1%} on clean search-validation lines"
        )
        return shipped
    kept = cache_folder() / "recognizers" / f"{role}-{recipe.digest}.safetensors"
    if kept.exists():
        weights = RecognizerWeights.load(kept)
        say(
            f"{role} recognizer: from the cache, CER {weights.cer:.1%} on clean search-validation lines"
        )
        return weights
    try:
        return train_to_file(kept, recipe, device, say, f"{role} recognizer", resume=True)
    except CheckpointError as error:  # nobody named that file, so nobody need mend it
        say(f"{role} recognizer: starts anew. {error}")
        return train_to_file(kept, recipe, device, say, f"{role} recognizer")


def named_recognizer(role: str, pairs: Pairs, path: Path) -> RecognizerWeights:
    """The recognizer of a file, known by the file's own content.

    Raises: ValueError when it is none, or with every reason why it is one for other lines than these.
    """
    key = f"{role}.weights"
    if not path.is_file():
        raise ValueError(
            f"{key} must be a file of a trained recognizer, got {path}, which is missing. Train it: python -m ganhtr recognizer train"
        )
    weights = RecognizerWeights.load(path)
    height, width = pairs.train.clean.shape[1:]
    sizes = [("height", weights.height, height)] + [("width", weights.width, width)] * (
        weights.config.kind == "transformer"
    )
    faults = [
        f"{path}: data.{side} must be the recognizer's ({own}) with {key}, got {given}. Set it to {own}, or train a recognizer at {given}"
        for side, own, given in sizes
        if own != given
    ]
    if weights.charset != pairs.charset.characters:
        faults.append(
            f"{path}: the charset must be that of the lines with {key}, got another one: "
            f"{difference(weights.charset, pairs.charset.characters)}. Give study and recognizer the same --charset FILE, or train a "
            "recognizer on these lines"
        )
    if faults:
        raise ValueError("\n".join(faults))
    return replace(weights, digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16])


def difference(recognizer: str, lines: str) -> str:
    """In words, how the charset of a recognizer differs from that of the lines."""
    parts = []
    for owner, own, other in (
        ("the recognizer has", recognizer, lines),
        ("the lines have", lines, recognizer),
    ):
        named = [repr(character) for character in own if character not in other]
        more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        parts += [f"only {owner} {', '.join(named[:_LISTED])}{more}"] if named else []
    return "; ".join(parts) or "the same characters in another order"
