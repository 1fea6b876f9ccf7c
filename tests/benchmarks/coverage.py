"""Coverage of the verdict's 95 % interval in simulations.

`python tests/benchmarks/coverage.py [--repeats 4000] [--lines 200]`

The values of both arms are simulated: an effect of the seed that both share (it cancels), one of
the run, the difficulty of the line (it cancels), the line's reaction to the change, and a residual.
Each repeat draws new seeds and new lines. The table also has the methods that were not chosen:
Satterthwaite's degrees of freedom unchanged, t over seeds alone, and the bootstrap where there are
enough seeds for it.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tune.verdict.crossed_difference import (
    BOOTSTRAP_SEEDS,
    CrossedDifference,
    bootstrap_interval,
    crossed_difference,
)

BOOTSTRAPPED = 1000  # repeats that are: it takes most of the time


@dataclass(frozen=True)
class Setting:
    """Standard deviations of each part of a run's line values.

    With `reading`, values are error rates of lines of unequal length.
    """

    name: str
    run: float = 0.12
    line: float = 0.8
    rest: float = 0.7
    common: float = 1.0
    difficulty: float = 2.0
    truth: float = 0.3
    reading: bool = False


SETTINGS = (
    Setting("seeds, lines and rest (PSNR)"),
    Setting("the run counts most", run=0.5),
    Setting("the line counts most", run=0.04, line=2.0),
    Setting("no run, no line: rest only", run=0.0, line=0.0),
    Setting("seeds all alike", run=0.0),
    Setting("lines all alike", line=0.0),
    Setting("CER, skewed, weighted by length", run=0.08, line=0.3, reading=True),
    Setting("CER, the run counts most", run=0.3, line=0.3, reading=True),
)


def draw(
    setting: Setting, seeds: int, lines: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """off, on (seeds, lines) and weights (lines,) of one repeat."""
    common = rng.normal(0, setting.common, (seeds, 1)) + rng.normal(0, setting.difficulty, lines)
    reaction = rng.normal(0, setting.line, lines)
    off, on = (
        common
        + rng.normal(0, setting.run, (seeds, 1))
        + rng.normal(0, setting.rest, (seeds, lines))
        for _ in range(2)
    )
    return off, on + setting.truth + reaction, np.ones(lines)


def draw_reading(
    setting: Setting, seeds: int, lines: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Error rates of lines of 2 to 70 characters: log-normal, and lower for longer lines."""
    lengths = np.clip(rng.gamma(3.0, 11.0, lines).astype(int), 2, 70)
    hard = rng.normal(math.log(0.08), 0.9, lines) - 0.3 * np.log(lengths / 33)
    common, reaction = rng.normal(0, 0.1, (seeds, 1)), rng.normal(0, setting.line, lines)
    off, on = (
        rng.poisson(
            lengths * np.exp(hard + common + shift + rng.normal(0, setting.run, (seeds, 1)))
        )
        / lengths
        for shift in (0.0, reaction - 0.2)
    )
    return off, on, lengths.astype(float)


def truth_of(setting: Setting, rng: np.random.Generator) -> float:
    """The true difference of the corpus rates over all possible seeds and lines.

    For CER it is estimated from the expectations of many lines.
    """
    if not setting.reading:
        return setting.truth
    lengths = np.clip(rng.gamma(3.0, 11.0, 4_000_000).astype(int), 2, 70)
    rate = (
        0.08 * np.exp(0.9**2 / 2) * (lengths / 33) ** -0.3 * np.exp((0.1**2 + setting.run**2) / 2)
    )
    return float(
        (lengths * rate).sum() / lengths.sum() * (math.exp(-0.2 + setting.line**2 / 2) - 1)
    )


def others(difference: CrossedDifference) -> dict[str, tuple[float, float]]:
    """Variance and degrees of freedom of what was not chosen."""
    seeds, lines = difference.seeds - 1, difference.lines - 1
    whole = difference.ms_seed + difference.line_part
    spread = difference.ms_seed**2 / seeds + (
        (difference.ms_line**2 + difference.ms_residual**2 / seeds) / lines
        if difference.line_part
        else 0
    )
    return {
        "df as it is": (difference.variance, max(whole**2 / spread, seeds)),
        "t over seeds": (difference.paired_sd**2 / difference.seeds, seeds),
    }


def coverage(
    setting: Setting,
    seeds: int,
    lines: int,
    repeats: int,
    rng: np.random.Generator,
    resamples: int = 0,
) -> dict[str, float]:
    """The share of repeats whose interval contains the true value, by method.

    `width` is the mean half width over the true standard error.
    """
    truth, hits, widths, estimates = truth_of(setting, rng), {}, [], []
    for number in range(repeats):
        off, on, weights = (draw_reading if setting.reading else draw)(setting, seeds, lines, rng)
        difference = crossed_difference(off, on, weights)
        low, high = difference.interval()
        covered = {"crossed": low <= truth <= high}
        for name, (variance, df) in others(difference).items():
            covered[name] = abs(difference.estimate - truth) <= special.stdtrit(
                df, 0.975
            ) * math.sqrt(variance)
        if resamples and seeds >= BOOTSTRAP_SEEDS and number < BOOTSTRAPPED:
            low_b, high_b = bootstrap_interval(off, on, weights, difference.df, rng, resamples)
            covered["bootstrap"] = low_b <= truth <= high_b
        for name, hit in covered.items():
            hits.setdefault(name, []).append(hit)
        widths.append((high - low) / 2)
        estimates.append(difference.estimate)
    return {
        **{name: float(np.mean(inside)) for name, inside in hits.items()},
        "width": float(np.mean(widths) / np.std(estimates)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument(
        "--resamples",
        type=int,
        default=600,
        help=f"of the bootstrap, at 10 seeds in {BOOTSTRAPPED} repeats; 0: none",
    )
    options = parser.parse_args()
    rng = np.random.default_rng(20)
    chance = 196 * math.sqrt(0.0475 / options.repeats)
    print(
        f"coverage of 95 % intervals in %, {options.repeats} repeats a row (+-{chance:.1f}), "
        f"{options.lines} lines"
    )
    print(
        f"{'':33}{'seeds':>5}  {'crossed':>8}{'df as it is':>13}{'t over seeds':>14}"
        f"{'bootstrap':>11}{'half width / s.e.':>19}"
    )
    for setting in SETTINGS:
        for seeds in (3, 5, 10):
            shares = coverage(
                setting, seeds, options.lines, options.repeats, rng, options.resamples
            )
            cells = [
                f"{100 * shares[name]:.1f}" if name in shares else "-"
                for name in ("crossed", "df as it is", "t over seeds", "bootstrap")
            ]
            print(
                f"{setting.name:33}{seeds:5}  {cells[0]:>8}{cells[1]:>13}{cells[2]:>14}"
                f"{cells[3]:>11}{shares['width']:19.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
