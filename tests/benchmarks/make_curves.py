"""Make learning_curves.csv.gz: learning curves of every point of a grid, for the simulator.

`python tests/benchmarks/make_curves.py PART.csv --seed 0` writes one line per finished run, and
resumes if it is started again.
`python tests/benchmarks/make_curves.py --join PART.csv... learning_curves.csv.gz` joins the parts.

Reduced size: built-in lines of 32 x 128 px, generator base 4 with 4 levels, batch 4, 18 epochs of 8
steps with a cosine schedule, InfoNCE at temperature 0.07, all else preset tiny. One thread. A run
is one seed; both recognizers are trained on first use.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

GRID = {  # wide steps: what is best by far less than the seed's noise would be found by luck alone
    "train.generator_lr": (5e-4, 2e-3, 8e-3, 3.2e-2, 0.128),
    "contrastive.weight": (1.0, 10.0, 100.0, 1000.0),
    "loss.pixel": (10.0, 100.0, 1000.0, 10_000.0),
    "generator.bn_momentum": (0.02, 0.1, 0.5),
}
SIZE = {
    "data.width": 128,
    "generator.base": 4,
    "train.batch_size": 4,
    "train.epochs": 18,
    "train.steps_per_epoch": 8,
    "train.schedule": "cosine",
    "contrastive.temperature": 0.07,
    "contrastive.symmetric": True,
}
METRICS = ("psnr", "ssim", "cer", "judge_cer")
COLUMNS = (*GRID, "seed", "epoch", *METRICS)


def points() -> list[dict]:
    """The points of the grid in a fixed random order, so that an unfinished table covers it."""
    import random

    grid = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    random.Random(0).shuffle(grid)
    return grid


def curve(config, inputs, bench, torch):
    """The metrics of every epoch of a run; what a diverged run did not reach is left out."""
    from ganhtr.train.fit import Diverged, fit
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
    bench = Bench.of(inputs, torch.device("cpu"))
    done = set()
    if target.exists():
        with open(target, encoding="utf-8", newline="") as file:
            done = {tuple(row[: len(GRID)]) for row in csv.reader(file)}
    for number, point in enumerate(points()):
        if tuple(map(str, point.values())) in done:
            continue
        rows = [
            [*point.values(), seed, epoch, *(f"{value:.5g}" for value in metrics)]
            for epoch, metrics in curve(base.replace(point), inputs, bench, torch)
        ]
        with open(target, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        print(
            f"{number + 1}/{len(points())} {point} "
            f"{rows[-1][-len(METRICS) :] if rows else 'diverged'}",
            flush=True,
        )


def join(parts: list[Path], target: Path) -> None:
    """All parts in one compressed table, sorted, with its header."""
    rows = [
        row for part in parts for row in csv.reader(part.read_text(encoding="utf-8").splitlines())
    ]
    rows.sort(
        key=lambda row: [
            float(value) if value[0].isdigit() else value for value in row[: len(GRID) + 2]
        ]
    )
    with gzip.GzipFile(target, "wb", mtime=0) as packed:
        size = " ".join(f"{key}={value}" for key, value in SIZE.items())
        head = f"# real runs: preset tiny with {size}, built-in lines, InfoNCE\n"
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
