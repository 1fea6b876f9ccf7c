"""How much the result of a run depends on its seed: averages, schedules and learning rates.

`python tests/benchmarks/noise.py FOLDER [--seeds 4] [--part 0 --parts 2]` trains OFF for 400 steps
with each learning rate and schedule, follows several moving averages of the generator at once, and
measures all of them after the last step on search-validation and test lines.

`... --paired constant 0.005 [--seeds 10]` trains OFF and ON (InfoNCE, weight 1, temperature 0.1,
mlp head) with one schedule and learning rate, and measures all averages after the last step.

`... --trials constant 0.005 0.99 [--seeds 10]` trains OFF and ON with one average, as a trial does,
and measures the kept and the last weights.

Several settings may be in one folder.

Each run writes a JSON file to FOLDER; runs that are there are not repeated. Then the table of
FOLDER is printed. With `--parts`, several processes share the runs.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from scipy.stats import chi2

from ganhtr.atomic import to_json, write_atomically
from ganhtr.config import build_config
from ganhtr.data.batches import LineBatches
from ganhtr.data.source import BUILTIN, load_pairs, load_test
from ganhtr.models.running_average import averaged_copy, debiased_share, update_average
from ganhtr.train.evaluate import by_generator, evaluate
from ganhtr.train.fit import Bench, fit, training_batches
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step
from tune.metric import objective_value
from tune.runner.patience import Patience

CPU = torch.device("cpu")
DECAYS = (0.98, 0.99, 0.995)
SCHEDULES = ("constant", "cosine")
RATES = (0.002, 0.005, 0.01, 0.03)
ARMS = {
    "off": {"contrastive.formulation": "none"},
    "on": {
        "contrastive.formulation": "infonce",
        "contrastive.weight": 1.0,
        "contrastive.temperature": 0.1,
        "head.kind": "mlp",
    },
}


class Runs:
    """Runs on the built-in lines of preset tiny; lines and recognizers are built once."""

    def __init__(self):
        config = build_config("tiny")
        pairs = load_pairs(BUILTIN, config.data)
        inputs = prepare_inputs(config, pairs, CPU, lambda line: None)
        self.charset = pairs.charset
        self.bench = Bench.of(inputs, CPU, config.data.epoch_lines)
        self.splits = {
            "validation": self.bench.validation,
            "test": LineBatches(load_test(BUILTIN, config.data), pairs.charset, CPU),
        }

    def state(self, overrides):
        config = build_config("tiny", overrides)
        return build_state(config, self.charset, self.bench.guide.widths, CPU)

    def measure(self, network):
        return {
            split: evaluate(
                by_generator(network), lines, self.bench.guide, self.bench.judge
            ).metrics()
            for split, lines in self.splits.items()
        }

    def averages(self, overrides):
        """Metrics after the last step: {weights: {"validation": ..., "test": ...}}."""
        state = self.state({"train.ema": 0.0, **overrides})
        averages = {decay: averaged_copy(state.generator) for decay in DECAYS}
        for step, (_, batch) in enumerate(training_batches(state, self.bench.train)):
            train_step(state, self.bench.guide, batch, self.bench.pixels_per_character)
            for decay, average in averages.items():
                update_average(average, state.generator, debiased_share(decay, step))
        networks = {"last weights": state.generator}
        networks |= {f"EMA {decay}": average for decay, average in averages.items()}
        return {name: self.measure(network) for name, network in networks.items()}

    def trial(self, overrides):
        """Metrics of the weights that a trial keeps, by the score of its epochs, and of the last.

        As tune/runner/trainable.py does it.
        """
        state = self.state(overrides)
        patience, kept = Patience(10**6, 0.01), None
        for report in fit(state, self.bench):
            value = objective_value("score", report.metrics())
            if patience.update(report.epoch, value) or state.schedule.ends:
                kept = copy.deepcopy(state.restorer)
        return {"kept": self.measure(kept), "last": self.measure(state.restorer)}


def grid(seeds):
    """Name and run of each cell of the grid."""
    for seed, schedule, rate in itertools.product(range(seeds), SCHEDULES, RATES):
        settings = {"train.schedule": schedule, "train.generator_lr": rate}
        values = {**ARMS["off"], **settings, "train.seed": seed}
        yield f"{schedule}_{rate}_{seed}", Runs.averages, values


def pairs(settings, seeds):
    """Name and run of both arms, for each of the paired settings and seeds.

    settings: schedule, rate and, for a run as a trial does it, average.
    """
    for seed, (schedule, rate, *ema) in itertools.product(range(seeds), settings):
        for arm, values in ARMS.items():
            values = {**values, "train.schedule": schedule, "train.generator_lr": float(rate)}
            values["train.seed"] = 100 + seed
            name = f"paired_{schedule}_{rate}_{ema[0] if ema else 'all'}_{arm}_{seed}"
            if ema:
                yield name, Runs.trial, {**values, "train.ema": float(ema[0])}
            else:
                yield name, Runs.averages, values


def table(folder):
    """Lines of text: mean and standard deviation over the seeds of every cell of the grid."""
    cells = {}
    for path in sorted(folder.glob("[!p]*.json")):
        schedule, rate, _ = path.stem.split("_")
        for name, metrics in json.loads(path.read_text()).items():
            cells.setdefault((schedule, rate, name), []).append(metrics)
    if not cells:
        return
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


def paired_table(folder):
    """Lines of text: ON minus OFF over the seeds, with the 95 % interval of its SD."""
    runs = {}
    for path in folder.glob("paired_*.json"):
        _, schedule, rate, ema, arm, seed = path.stem.split("_")
        runs.setdefault((schedule, rate, ema), {}).setdefault(arm, {})[int(seed)] = json.loads(
            path.read_text()
        )
    for setting, arms in sorted(runs.items()):
        seeds = sorted(set(arms.get("off", {})) & set(arms.get("on", {})))
        if len(seeds) < 2:
            continue
        yield f"{' '.join(setting)}: {len(seeds)} paired seeds"
        for weights in arms["off"][seeds[0]]:
            off = [arms["off"][seed][weights]["validation"]["psnr"] for seed in seeds]
            yield f"  {weights}: OFF {statistics.mean(off):.2f} dB on search-validation"
            for metric in ("psnr", "ssim", "judge_cer", "judge_wer", "score"):
                change = [
                    _test(arms["on"][seed][weights], metric)
                    - _test(arms["off"][seed][weights], metric)
                    for seed in seeds
                ]
                low, high = interval_of_sd(change)
                yield (
                    f"    {metric:<9} ON - OFF {statistics.mean(change):+.4f}, SD "
                    f"{statistics.stdev(change):.4f} [{low:.4f}, {high:.4f}]"
                )


def _test(metrics, name):
    test = metrics["test"]
    return test["psnr"] - 50 * test["judge_cer"] if name == "score" else test[name]


def interval_of_sd(values):
    """The 95 % interval of the standard deviation of normal values."""
    df = len(values) - 1
    squares = df * statistics.variance(values)
    return math.sqrt(squares / chi2.ppf(0.975, df)), math.sqrt(squares / chi2.ppf(0.025, df))


def common_options(description, seeds):
    """A parser of the options that the benchmarks of runs have in common."""
    options = argparse.ArgumentParser(description=description.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--seeds", type=int, default=seeds)
    options.add_argument("--part", type=int, default=0)
    options.add_argument("--parts", type=int, default=1)
    return options


def make_missing(jobs, make, arguments):
    """Write NAME.json for this part of the jobs (name, ...): what `make(runs, ...)` returns."""
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    runs = None
    for name, *job in list(jobs)[arguments.part :: arguments.parts]:
        path = arguments.folder / f"{name}.json"
        if not path.exists():
            runs = runs or Runs()
            write_atomically(path, to_json(make(runs, *job)))


def main():
    """Runs what is missing, and prints the table."""
    options = common_options(__doc__, seeds=4)
    options.add_argument(
        "--paired", nargs=2, action="append", metavar=("SCHEDULE", "RATE"), default=[]
    )
    options.add_argument(
        "--trials", nargs=3, action="append", metavar=("SCHEDULE", "RATE", "EMA"), default=[]
    )
    arguments = options.parse_args()
    settings = [*arguments.paired, *arguments.trials]
    chosen = pairs(settings, arguments.seeds) if settings else grid(arguments.seeds)
    make_missing(chosen, lambda runs, method, overrides: method(runs, overrides), arguments)
    print("\n".join([*table(arguments.folder), *paired_table(arguments.folder)]))


if __name__ == "__main__":
    main()
