"""Seconds of a training step with each contrastive formulation, relative to weight 0.

`python tests/benchmarks/formulations.py [--preset small] [--rounds 15]` prints, for every
formulation and every option, the median ratio of pairs of steps with its quartiles. The steps
alternate in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from ganhtr.config import RULES, build_config
from ganhtr.data.batches import LineBatches
from ganhtr.models.recognizer import build_recognizer, freeze
from ganhtr.train.rehearsal import LETTERS, random_lines
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step

ADDED = {
    "infonce, encoder features": {"contrastive.anchor": "encoder"},
    "infonce, attention": {"contrastive.pooling": "attention"},
    "infonce, windows": {"contrastive.pooling": "window"},
    "infonce, edited texts": {"contrastive.negatives": "edited"},
    "infonce, degraded twins": {"contrastive.negatives": "degraded"},
    "infonce, queue of 256": {"contrastive.queue": 256},
    "infonce, queue of 4096": {"contrastive.queue": 4096},
    "infonce, three levels": {"contrastive.anchor": "all"},
    "ratio, three levels": {"contrastive.formulation": "ratio", "contrastive.anchor": "all"},
    "frame, three levels": {"contrastive.formulation": "frame", "contrastive.anchor": "all"},
}


def stepper(preset, overrides):
    """A callable that takes one step; the clean lines' features are cached, as in a study."""
    config = build_config(preset, overrides)
    data = config.data
    torch.manual_seed(0)
    guide = freeze(build_recognizer(config.guide, LETTERS.classes, data.height, data.width)).to(
        memory_format=torch.channels_last
    )
    state = build_state(config, LETTERS, guide.widths, torch.device("cpu"))
    batch = LineBatches(
        random_lines(config, config.train.batch_size), LETTERS, torch.device("cpu")
    ).take(range(config.train.batch_size))
    with torch.no_grad():
        batch = replace(batch, clean_tap=guide.tap(batch.clean).clone())
    return lambda: train_step(state, guide, batch, 10.0)


def main():
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--preset", default="small")
    options.add_argument("--rounds", type=int, default=15)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    names = [name for name in RULES["contrastive.formulation"].choices if name != "none"]
    variants = {name: {"contrastive.formulation": name} for name in names} | ADDED
    reference = stepper(arguments.preset, {"contrastive.weight": 0.0})
    print(
        f"preset {arguments.preset}, 1 thread, {arguments.rounds} rounds; a step with weight 0 is 1"
    )
    for name, overrides in variants.items():
        step, ratios = stepper(arguments.preset, overrides), []
        for number in range(arguments.rounds + 2):
            seconds = []
            for take in (reference, step):
                started = time.perf_counter()
                take()
                seconds.append(time.perf_counter() - started)
            if number > 1:
                ratios.append(seconds[1] / seconds[0])
        low, _, high = statistics.quantiles(ratios, n=4)
        print(
            f"  {name:28s} {statistics.median(ratios):5.2f} x (quartiles {low:.2f} to {high:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
