"""Where a study's readers come from: named by the user, shipped with the package, kept in the cache, or trained now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from ganhtr.config_sections import ReaderConfig, RecognizerConfig
from ganhtr.data.pairs import Pairs
from ganhtr.data.source import cache_folder
from ganhtr.recognizers.checkpoint import CheckpointError
from ganhtr.recognizers.training import Recipe, Say, train_to_file
from ganhtr.recognizers.weights import ReaderWeights

SHIPPED = Path(__file__).parent.parent / "weights"
ROLES = {"guide": "recognizer", "judge": "judge"}  # with the section of the configuration that describes each
_LISTED = 20  # characters that an error names


def shipped_reader(role: str) -> ReaderWeights | None:
    """The reader that the package brings for a role, or None."""
    path = SHIPPED / f"{role}.safetensors"
    return ReaderWeights.load(path) if path.exists() else None


def obtain_reader(role: str, pairs: Pairs, config: RecognizerConfig, training: ReaderConfig, device: torch.device,
                  say: Say) -> ReaderWeights:
    """The reader for these lines and settings: the one that `config.weights` names, else shipped, from the cache, or trained now.

    `role` (guide or judge) names it in messages and picks the shipped weights that a new one starts from. A training that was broken
    off goes on. Raises: ValueError when named weights do not fit the lines.
    """
    if config.weights:
        weights = named_reader(role, pairs, Path(config.weights).expanduser())
        say(f"{role} reader: {config.weights}, CER {weights.cer:.1%} on the clean search-validation lines that it was trained beside")
        return weights
    shipped = shipped_reader(role)
    recipe = Recipe(pairs, config, training, shipped if shipped and shipped.config.kind == config.kind else None)
    if shipped is not None and shipped.digest == recipe.digest:
        say(f"{role} reader: shipped weights, CER {shipped.cer:.1%} on clean search-validation lines")
        return shipped
    kept = cache_folder() / "readers" / f"{role}-{recipe.digest}.safetensors"
    if kept.exists():
        weights = ReaderWeights.load(kept)
        say(f"{role} reader: from the cache, CER {weights.cer:.1%} on clean search-validation lines")
        return weights
    try:
        return train_to_file(kept, recipe, device, say, f"{role} reader", resume=True)
    except CheckpointError as error:  # nobody named that file, so nobody need mend it
        say(f"{role} reader: starts anew. {error}")
        return train_to_file(kept, recipe, device, say, f"{role} reader")


def named_reader(role: str, pairs: Pairs, path: Path) -> ReaderWeights:
    """The reader of a file, known by the file's own content.

    Raises: ValueError when it is none, or with every reason why it is one for other lines than these.
    """
    key = f"{ROLES[role]}.weights"
    if not path.is_file():
        raise ValueError(f"{key} must be a file of a trained reader, got {path}, which is missing. Train it: python -m ganhtr reader train")
    weights = ReaderWeights.load(path)
    height, width = pairs.train.clean.shape[1:]
    sizes = [("height", weights.height, height)] + [("width", weights.width, width)] * (weights.config.kind == "transformer")
    faults = [f"{path}: data.{side} must be the reader's ({own}) with {key}, got {given}. Set it to {own}, or train a reader at {given}"
              for side, own, given in sizes if own != given]
    if weights.charset != pairs.charset.characters:
        faults.append(f"{path}: the charset must be that of the lines with {key}, got another one: "
                      f"{difference(weights.charset, pairs.charset.characters)}. Give study and reader the same --charset FILE, or train a "
                      "reader on these lines")
    if faults:
        raise ValueError("\n".join(faults))
    return replace(weights, digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16])


def difference(reader: str, lines: str) -> str:
    """In words, how the charset of a reader differs from that of the lines."""
    parts = []
    for owner, own, other in (("the reader has", reader, lines), ("the lines have", lines, reader)):
        named = [repr(character) for character in own if character not in other]
        more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        parts += [f"only {owner} {', '.join(named[:_LISTED])}{more}"] if named else []
    return "; ".join(parts) or "the same characters in another order"
