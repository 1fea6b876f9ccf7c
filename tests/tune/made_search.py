"""The rows of a made-up search whose landscape is known."""

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
    """Best at a weight up to 2, a temperature of 0.1, with an MLP; the other parameters do nothing."""
    weight, temperature = (
        math.log10(values["contrastive.weight"]),
        math.log10(values["contrastive.temperature"]),
    )
    return (
        10
        - 6 * max(0.0, weight - 0.3) ** 2
        - 4 * (temperature + 1) ** 2
        + (values["head.kind"] == "mlp")
    )


def made_search(count, noise=1.0, seed=0, space=SPACE, truth=truth, pruned=0.0):
    """Random trials of the ON arm. `pruned`: the part that was given up, at a value 8 lower."""
    draw, chance = np.random.default_rng(seed), random.Random(seed)
    rows = []
    for number in range(count):
        values = space.random_values(chance)
        lost = draw.random() < pruned
        value = truth(values) + noise * draw.normal() - 8 * lost
        metrics = {
            "psnr": 20 + value / 10,
            "ssim": 0.9,
            "cer": 0.2,
            "wer": 0.4,
            "judge_cer": 0.2,
            "judge_wer": 0.4,
        }
        rows.append(
            Row(
                f"on-{number:03d}",
                "on",
                "random",
                "pruned" if lost else "complete",
                value,
                2,
                5 if lost else 20,
                1.0,
                metrics,
                {},
                values,
                None,
                0.9,
            )
        )
    return rows
