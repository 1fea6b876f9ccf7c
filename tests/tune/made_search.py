"""The rows of a synthetic search with a known objective."""

import math
import random

import numpy as np

from tune.space.load import space_from_plain
from tune.study.trial_table import Row

SPACE = space_from_plain(
    {
        "search": {"pruner": "none"},
        "verdict": {"seeds": 0},
        "space": {
            "contrastive.formulation": {"choice": ["infonce", "clip"]},
            "contrastive.weight": {"float": [0.01, 30], "log": True},
            "contrastive.temperature": {"float": [0.03, 1], "log": True},
            "contrastive.symmetric": {"bool": True, "when": {"contrastive.formulation": "infonce"}},
            "head.kind": {"choice": ["none", "linear", "mlp"]},
            "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
        },
    },
    "made",
)


def truth(values):
    """Best at weights up to 2, temperature 0.1 and an MLP; no effect of the other parameters."""
    weight = math.log10(values["contrastive.weight"])
    temperature = math.log10(values["contrastive.temperature"])
    too_heavy = max(0.0, weight - 0.3)
    mlp = values["head.kind"] == "mlp"
    return 10 - 6 * too_heavy**2 - 4 * (temperature + 1) ** 2 + mlp


def made_search(count, noise=1.0, seed=0, space=SPACE, truth=truth, pruned=0.0):
    """Random trials of the ON arm. pruned: the share that is pruned, at a value 8 lower."""
    draw, chance = np.random.default_rng(seed), random.Random(seed)
    rows = []
    for number in range(count):
        values = space.random_values(chance)
        is_pruned = draw.random() < pruned
        status, epochs = ("pruned", 5) if is_pruned else ("complete", 20)
        value = truth(values) + noise * draw.normal() - 8 * is_pruned
        metrics = {"psnr": 20 + value / 10, "ssim": 0.9}
        metrics |= dict.fromkeys(("cer", "judge_cer"), 0.2) | dict.fromkeys(
            ("wer", "judge_wer"), 0.4
        )
        row = Row(
            id=f"on-{number:03d}",
            arm="on",
            proposed_by="random",
            status=status,
            value=value,
            best_epoch=2,
            epochs=epochs,
            seconds=1.0,
            metrics=metrics,
            last_metrics={},
            values=values,
            error=None,
            peak_accuracy=0.9,
        )
        rows.append(row)
    return rows
