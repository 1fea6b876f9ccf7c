"""Train the recognizers of the package: `python -m ganhtr.recognizers.ship [guide] [judge]`."""

from __future__ import annotations

import sys

import torch

from ganhtr.config import build_config
from ganhtr.data.source import BUILTIN, load_pairs
from ganhtr.recognizers.obtain import ROLES, SHIPPED
from ganhtr.recognizers.training import Recipe, train_recognizer


def main(roles: list[str]) -> None:
    """Train on the built-in lines with the settings of preset tiny, and write ganhtr/weights."""
    config = build_config("tiny")
    pairs = load_pairs(BUILTIN, config.data)
    for role in roles or ROLES:
        settings = config.guide if role == "guide" else config.judge
        recipe = Recipe(pairs, settings, config.recognizer_training)
        weights = train_recognizer(recipe, torch.device("cpu"), print, f"{role} recognizer")
        weights.save(SHIPPED / f"{role}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1:])
