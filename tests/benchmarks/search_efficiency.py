"""Training that a search saves, in searches of the recorded table (landscapes.Curves).

`python tests/benchmarks/search_efficiency.py [--repeats 30] [--ray-repeats 10] [--methods ours]`

Each search has four workers. Its incumbent is the trial with the best value seen so far; the regret
is that of the mean over the seeds, not of the seed of the trial. Only its own methods need Syne
Tune.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import special

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from landscapes import Curves, Synthetic
from rivals import Random, StockRay, ours, stock_through_ray, syne_tune
from simulator import Trace, replay

from tune.searcher.samplers import HISTORY

BUDGET = 2160  # epochs: half of what the whole grid takes
CHECKPOINTS = (180, 360, 720, 1080, 1620, 2160)
LONG = 1500  # trials that show what the bound of TPE's history costs
WORST = 50.0  # regret of a search that has seen nothing
METHODS = {
    "ours": lambda: ours,
    "random": lambda: Random,
    "Ray's OptunaSearch + ASHA": lambda: StockRay,
    "Syne Tune ASHA": lambda: syne_tune("ASHA"),
    "Syne Tune BORE": lambda: syne_tune("BORE"),
    "Syne Tune ASHA + BORE": lambda: syne_tune("ASHABORE"),
}
THROUGH_RAY = "Ray's, run by Ray Tune itself"


def regrets(traces: Sequence[Trace], best: float) -> np.ndarray:
    """Shape: (repeats, checkpoints)."""
    return np.array(
        [[min(best - trace.at(spent), WORST) for spent in CHECKPOINTS] for trace in traces]
    )


def paired(ours_: np.ndarray, theirs: np.ndarray) -> str:
    """Paired difference in regret with a 95 % t interval; "BEHIND" if it lies above 0.

    Shapes: (repeats,).
    """
    difference = ours_[: len(theirs)] - theirs[: len(ours_)]
    half = (
        special.stdtrit(len(difference) - 1, 0.975)
        * difference.std(ddof=1)
        / math.sqrt(len(difference))
    )
    mean = float(difference.mean())
    word = "BEHIND" if mean - half > 0 else "ahead" if mean + half < 0 else "level"
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}] {word}"


def epochs_to(traces: Sequence[Trace], worth: float, shortlist: bool = False) -> tuple[float, int]:
    """Median epochs until a search reaches a value (else the budget), and how many reach it."""
    first = [trace.first(worth, shortlist) for trace in traces]
    return float(np.median([min(epochs, BUDGET) for epochs in first])), sum(
        math.isfinite(epochs) for epochs in first
    )


def report(traces_by_method: dict[str, list[Trace]], curves: Curves) -> None:
    """Prints the tables."""
    print(
        f"\nmean regret (best {curves.best:.2f}, top 1 % from {curves.top:.2f}) "
        "after so many epochs"
    )
    print(f"{'':28}" + "".join(f"{spent:>8}" for spent in CHECKPOINTS) + f"{'trials':>9}")
    for name, traces in traces_by_method.items():
        means = regrets(traces, curves.best).mean(axis=0)
        print(
            f"{name:28}"
            + "".join(f"{mean:8.2f}" for mean in means)
            + f"{np.mean([trace.trials for trace in traces]):9.0f}"
        )
    for title, shortlist in (
        ("the best trial seen", False),
        ("one of the best three seen, which a confirmation chooses among", True),
    ):
        print(f"\nmedian epochs until {title} is in the top 1 % (censored at {BUDGET})")
        base = (
            epochs_to(traces_by_method["random"], curves.top, shortlist)[0]
            if "random" in traces_by_method
            else math.nan
        )
        for name, traces in traces_by_method.items():
            median, reached = epochs_to(traces, curves.top, shortlist)
            print(
                f"{name:28}{median:8.0f}  reached in {reached} of {len(traces)}, "
                f"{median / base:.2f} of random's"
            )
    if "ours" in traces_by_method:
        print("\nregret of ours minus theirs, paired by repeat, 95 % interval")
        regrets_of_ours = regrets(traces_by_method["ours"], curves.best)
        for name, traces in traces_by_method.items():
            if name != "ours":
                theirs = regrets(traces, curves.best)
                print(
                    name
                    + "".join(
                        f"\n{spent:>8}  {paired(regrets_of_ours[:, i], theirs[:, i])}"
                        for i, spent in enumerate(CHECKPOINTS)
                    )
                )


def bound(repeats: int, first_seed: int) -> None:
    """Print the regret with and without the limit on TPE's history, on LONG synthetic trials."""
    land, regrets_by_limit = Synthetic(), dict[int | None, np.ndarray]()
    checks = np.linspace(HISTORY["tpe"], LONG, 3).astype(int)
    for limit in (HISTORY["tpe"], None):
        HISTORY["tpe"], seconds = limit, time.process_time()
        traces = [
            replay(ours(land.space(LONG, pruner="none"), seed), land, 10**9, seed)
            for seed in range(first_seed, first_seed + repeats)
        ]
        regrets_by_limit[limit] = np.array(
            [[land.best - trace.at(land.epochs * count) for count in checks] for trace in traces]
        )
        print(
            f"TPE learns from {limit or 'all'}: mean regret after "
            f"{', '.join(map(str, checks))} trials "
            f"{np.round(regrets_by_limit[limit].mean(axis=0), 3)}, "
            f"{(time.process_time() - seconds) / repeats:.0f} s a search",
            flush=True,
        )
    bounded, whole = regrets_by_limit.values()
    for i, count in enumerate(checks):
        print(f"{count:>8} trials, bounded minus whole: {paired(bounded[:, i], whole[:, i])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="of the repeats: take others than those that a setting was chosen with",
    )
    parser.add_argument(
        "--ray-repeats", type=int, default=10, help="of the one that runs through Ray Tune; 0: none"
    )
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument(
        "--keep",
        type=Path,
        help="a folder for what each method found: those that are there are not run again",
    )
    parser.add_argument(
        "--bound",
        action="store_true",
        help="instead: what the bound of TPE's history costs, in 10 or so --repeats",
    )
    options = parser.parse_args()
    if options.bound:
        bound(options.repeats, options.first_seed)
        return
    curves, traces_by_method = Curves(), dict[str, list[Trace]]()

    def run(name: str, one: Callable[[int], Trace], repeats: int) -> None:
        began, kept = time.monotonic(), options.keep and options.keep / f"{name}.json"
        if kept and kept.exists():
            traces_by_method[name] = [
                Trace(**trace) for trace in json.loads(kept.read_text(encoding="utf-8"))
            ]
            return
        traces_by_method[name] = [one(options.first_seed + number) for number in range(repeats)]
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(
                json.dumps([vars(trace) for trace in traces_by_method[name]]), encoding="utf-8"
            )
        print(f"{name}: {repeats} repeats in {time.monotonic() - began:.0f} s", flush=True)

    for name in options.methods:
        build = METHODS[name]()
        run(
            name,
            lambda seed, build=build: replay(build(curves.space(), seed), curves, BUDGET, seed),
            options.repeats,
        )
    if options.ray_repeats:
        run(THROUGH_RAY, lambda seed: stock_through_ray(curves, BUDGET, seed), options.ray_repeats)
    report(traces_by_method, curves)


if __name__ == "__main__":
    main()
