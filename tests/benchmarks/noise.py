"""How much the result of a run depends on its seed: averages, schedules and learning rates.

`python tests/benchmarks/noise.py FOLDER [--seeds 4] [--part 0 --parts 2]` trains OFF for 400 steps
with each learning rate and schedule, follows several moving averages of the generator at once, and
measures all of them after the last step on search-validation and test lines. Each run writes a JSON
file to FOLDER; runs that are there are not repeated. Then the table of FOLDER is printed: mean and
standard deviation over the seeds. With `--parts`, several processes share the runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from ganhtr.config import build_config
from ganhtr.data.batches import LineBatches
from ganhtr.data.source import BUILTIN, load_pairs, load_test
from ganhtr.models.running_average import averaged_copy, debiased_share, update_average
from ganhtr.train.evaluate import by_generator, evaluate
from ganhtr.train.fit import Bench, training_batches
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step

CPU = torch.device("cpu")
DECAYS = (0.98, 0.99, 0.995)
SCHEDULES = ("constant", "cosine")
RATES = (0.002, 0.005, 0.01, 0.03)


def run(overrides):
    """Metrics after the last step: {average: {"validation": ..., "test": ...}}."""
    config = build_config("tiny", {"contrastive.formulation": "none", **overrides})
    pairs = load_pairs(BUILTIN, config.data)
    bench = Bench.of(prepare_inputs(config, pairs, CPU, lambda line: None), CPU)
    splits = {
        "validation": bench.validation,
        "test": LineBatches(load_test(BUILTIN, config.data), pairs.charset, CPU),
    }
    state = build_state(config, pairs.charset, bench.guide.widths, CPU)
    averages = {decay: averaged_copy(state.generator) for decay in DECAYS}
    for step, (_, batch) in enumerate(training_batches(state, bench.train)):
        train_step(state, bench.guide, batch, bench.pixels_per_character)
        for decay, average in averages.items():
            update_average(average, state.generator, debiased_share(decay, step))
    networks = {"last weights": state.generator}
    networks |= {f"EMA {decay}": average for decay, average in averages.items()}
    return {
        name: {
            split: evaluate(by_generator(network), lines, bench.guide, bench.judge).metrics()
            for split, lines in splits.items()
        }
        for name, network in networks.items()
    }


def table(folder):
    """Lines of text: mean and standard deviation over the seeds of every cell."""
    cells = {}
    for path in sorted(folder.glob("*.json")):
        schedule, rate, _ = path.stem.split("_")
        for name, metrics in json.loads(path.read_text()).items():
            cells.setdefault((schedule, rate, name), []).append(metrics)
    yield "schedule   rate   weights       seeds   PSNR validation   PSNR test       judge CER test"
    for (schedule, rate, name), runs in cells.items():
        figures = [
            [metrics[split][metric] for metrics in runs]
            for split, metric in (("validation", "psnr"), ("test", "psnr"), ("test", "judge_cer"))
        ]
        spreads = [statistics.stdev(values) if len(runs) > 1 else 0.0 for values in figures]
        validation, test, cer = map(statistics.mean, figures)
        yield (
            f"{schedule:<9}  {rate:<5}  {name:<12}  {len(runs):>5}   {validation:.2f} ± "
            f"{spreads[0]:.2f}      {test:.2f} ± {spreads[1]:.2f}    {cer:.4f} ± {spreads[2]:.4f}"
        )


def main():
    """Runs what is missing, and prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--part", type=int, default=0)
    options.add_argument("--parts", type=int, default=1)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    runs = itertools.product(range(arguments.seeds), SCHEDULES, RATES)
    for number, (seed, schedule, rate) in enumerate(runs):
        path = arguments.folder / f"{schedule}_{rate}_{seed}.json"
        if number % arguments.parts != arguments.part or path.exists():
            continue
        made = run({"train.seed": seed, "train.schedule": schedule, "train.generator_lr": rate})
        path.with_suffix(".writing").write_text(json.dumps(made))
        os.replace(path.with_suffix(".writing"), path)
    print("\n".join(table(arguments.folder)))


if __name__ == "__main__":
    main()
