"""Make learning_curves.csv.gz: learning curves of every point of a grid, for the simulator.

`python tests/benchmarks/make_curves.py PART.csv --seed 0` writes one line per finished run, and
resumes if it is started again.
`python tests/benchmarks/make_curves.py --join PART.csv... learning_curves.csv.gz` joins the parts.

Reduced size: built-in lines of 32 x 128 px, generator base 4 with 4 levels, batch 4, 16 epochs of
10 steps with a moving average of the weights, all else preset tiny. Temperature and head exist for
the formulations that have them. One thread. A run is one seed; both recognizers are trained on
first use.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

GRID = {
    "train.generator_lr": (1.25e-3, 5e-3, 2e-2, 8e-2),
    "contrastive.formulation": ("infonce", "clip", "frame", "ratio"),
    "contrastive.weight": (1.0, 4.0, 16.0, 64.0),
    "contrastive.temperature": (0.05, 0.2),
    "head.kind": ("none", "linear", "mlp"),
}
PROJECTED = ("infonce", "clip", "frame")  # the formulations with a temperature and a head
CONDITIONS = {
    "contrastive.temperature": {"contrastive.formulation": PROJECTED},
    "head.kind": {"contrastive.formulation": PROJECTED},
}
SIZE = {
    "data.width": 128,
    "generator.base": 4,
    "train.batch_size": 4,
    "train.epochs": 16,
    "train.steps_per_epoch": 10,
    "train.schedule": "constant",
    "train.ema": 0.98,
}
METRICS = ("psnr", "ssim", "cer", "judge_cer")
COLUMNS = (*GRID, "seed", "epoch", *METRICS)


def points() -> list[dict]:
    """The points of the grid in a fixed random order, so that an unfinished table covers it.

    A point has the keys that are active in it.
    """
    import random

    every = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    active = [
        {
            key: value
            for key, value in point.items()
            if all(point[name] in allowed for name, allowed in CONDITIONS.get(key, {}).items())
        }
        for point in every
    ]
    grid = [point for number, point in enumerate(active) if point not in active[:number]]
    random.Random(0).shuffle(grid)
    return grid


def curve(config, inputs, bench, torch):
    """The metrics of every epoch of a run; what a diverged run did not reach is left out."""
    from ganhtr.train.finite import Diverged
    from ganhtr.train.fit import fit
    from ganhtr.train.state import build_state

    try:
        for report in fit(
            build_state(config, inputs.pairs.charset, bench.guide.widths, torch.device("cpu")),
            bench,
        ):
            metrics = report.metrics()
            yield report.epoch, [metrics[name] for name in METRICS]
    except Diverged as error:
        print(error, flush=True)


def make(target: Path, seed: int) -> None:
    """Runs what `target` lacks."""
    import torch

    from ganhtr.config import build_config
    from ganhtr.data.source import load_pairs
    from ganhtr.train.fit import Bench
    from ganhtr.train.inputs import prepare_inputs

    torch.set_num_threads(1)
    base = build_config("tiny", {**SIZE, "train.measure": "never", "train.seed": seed})
    inputs = prepare_inputs(base, load_pairs("builtin", base.data), torch.device("cpu"), print)
    bench = Bench.of(inputs, torch.device("cpu"), base.data.epoch_lines)
    done = set()
    if target.exists():
        with open(target, encoding="utf-8", newline="") as file:
            done = {tuple(row[: len(GRID)]) for row in csv.reader(file)}
    for number, point in enumerate(points()):
        cells = [str(point.get(key, "")) for key in GRID]
        if tuple(cells) in done:
            continue
        rows = [
            [*cells, seed, epoch, *(f"{value:.5g}" for value in metrics)]
            for epoch, metrics in curve(base.replace(point), inputs, bench, torch)
        ]
        with open(target, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        print(
            f"{number + 1}/{len(points())} {point} "
            f"{rows[-1][-len(METRICS) :] if rows else 'diverged'}",
            flush=True,
        )


def number(cell: str) -> float:
    """A cell of the table as a number, 0 for a word."""
    return float(cell) if cell[:1].isdigit() else 0.0


def join(parts: list[Path], target: Path) -> None:
    """All parts in one compressed table, sorted, with its header."""
    rows = [
        row for part in parts for row in csv.reader(part.read_text(encoding="utf-8").splitlines())
    ]
    rows.sort(key=lambda row: [(number(cell), cell) for cell in row[: len(GRID) + 2]])
    with gzip.GzipFile(target, "wb", mtime=0) as packed:
        size = " ".join(f"{key}={value}" for key, value in SIZE.items())
        head = f"# real runs: preset tiny with {size}, built-in lines\n"
        lines = [",".join(COLUMNS), *(",".join(row) for row in rows)]
        packed.write((head + "\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--join", action="store_true")
    arguments = parser.parse_args()
    join(arguments.files[:-1], arguments.files[-1]) if arguments.join else make(
        arguments.files[0], arguments.seed
    )
