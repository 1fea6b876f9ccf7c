"""Makes the recognizers that are shipped with the package: `python -m ganhtr.recognizers.ship [guide] [judge]`."""

from __future__ import annotations

import sys

import torch

from ganhtr.config import build_config
from ganhtr.data.source import BUILTIN, load_pairs
from ganhtr.recognizers.obtain import SHIPPED
from ganhtr.recognizers.training import Recipe, train_recognizer


def main(roles: list[str]) -> None:
    """Trains on the built-in training lines with the settings of preset tiny, from nothing, and writes ganhtr/weights."""
    config = build_config("tiny")
    pairs = load_pairs(BUILTIN, config.data)
    for role in roles or ["guide", "judge"]:
        settings = config.guide if role == "guide" else config.judge
        made = train_recognizer(
            Recipe(pairs, settings, config.recognizer_training),
            torch.device("cpu"),
            print,
            f"{role} recognizer",
        )
        made.save(SHIPPED / f"{role}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1:])
