"""A checked table of line values: one value for each arm, seed, line and metric, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tune.arm import OFF
from tune.faults import Faults
from tune.metric import BY_KEY
from tune.report_markup import listed
from tune.verdict.judgement import Runs

REFERENCE = OFF  # the arm that all others are compared with
_HIGH_RATE = 2  # a mean error rate above this is probably not a fraction
_MAX_NAMED = 3  # lines named in a fault
MAX_FAULTS = 20  # faults listed in an error


class LineValue(NamedTuple):
    """The value of one line in one run.

    weight: 1 for PSNR and SSIM; for an error rate the length of the line's transcription, so that
    sum(weight * value) / sum(weight) is the corpus rate. A run that diverged has one row for each
    metric, with an empty line and NaN as value.
    """

    arm: str
    seed: int
    line: str
    metric: str
    value: float
    weight: float


@dataclass(frozen=True, eq=False)
class PairedRuns:
    """One metric of an arm and of OFF, over the seeds that are complete in both.

    Shapes: off, on (seeds, lines); weights (lines,).
    """

    off: np.ndarray
    on: np.ndarray
    weights: np.ndarray
    runs: Runs


@dataclass(frozen=True, eq=False)
class MetricRuns:
    """The runs of one metric.

    lines: names of the lines with weight, sorted. runs: (arm, seed) -> values, or None if the run
    diverged. Shapes: weights and values (lines,).
    """

    lines: tuple[str, ...]
    weights: np.ndarray
    runs: Mapping[tuple[str, int], np.ndarray | None]

    def seeds(self, arm: str) -> set[int]:
        return {seed for name, seed in self.runs if name == arm}

    def diverged(self, arm: str) -> set[int]:
        return {seed for (name, seed), run in self.runs.items() if name == arm and run is None}

    def complete(self, arm: str) -> set[int]:
        return self.seeds(arm) - self.diverged(arm)

    def values(self, arm: str, seeds: Sequence[int]) -> np.ndarray:
        """Return the values of complete runs. Shape: (seeds, lines)."""
        values = np.array([self.runs[arm, seed] for seed in seeds], dtype=float)
        return values.reshape(len(seeds), len(self.lines))


@dataclass(frozen=True, eq=False)
class LineTable:
    """A checked table.

    source: its file, for messages. arms: the arms to judge, in the order of the table.
    notes: what a reader should know about the table.
    """

    source: str
    arms: tuple[str, ...]
    metrics: Mapping[str, MetricRuns]
    notes: tuple[str, ...] = ()

    def pair(self, arm: str, metric: str) -> PairedRuns:
        """Pair the runs of an arm with those of OFF by seed."""
        table = self.metrics[metric]
        seeds = table.seeds(REFERENCE) | table.seeds(arm)
        complete = sorted(table.complete(REFERENCE) & table.complete(arm))
        # A run diverges as a whole: it counts as diverged even in a metric that it still has.
        off_diverged, on_diverged = self._diverged(REFERENCE), self._diverged(arm)
        runs = Runs(
            len(table.lines),
            tuple(complete),
            tuple(sorted(off_diverged)),
            tuple(sorted(on_diverged)),
            tuple(sorted(seeds - table.seeds(REFERENCE) - off_diverged)),
            tuple(sorted(seeds - table.seeds(arm) - on_diverged)),
        )
        off, on = table.values(REFERENCE, complete), table.values(arm, complete)
        return PairedRuns(off, on, table.weights, runs)

    def _diverged(self, arm: str) -> set[int]:
        return set().union(*(table.diverged(arm) for table in self.metrics.values()))


def table_of(
    values: Iterable[LineValue],
    source: str = "lines",
    places: Sequence[int] = (),
    notes: Sequence[str] = (),
) -> LineTable:
    """Check the values and arrange them in arrays. places: the row of each value in its file.

    Raises: ValueError with up to 20 faults.
    """
    rows, faults = list(values), Faults(source, MAX_FAULTS)
    arms = tuple(dict.fromkeys(row.arm for row in rows))
    if REFERENCE not in arms or len(arms) < 2:
        faults.add(
            f"column arm needs the reference arm, named {REFERENCE}, and an arm to judge, "
            f"got {listed(arms)}. Rename the reference arm or add the missing one"
        )
    metrics, all_notes = {}, list(notes)
    for metric in sorted({row.metric for row in rows}, key=list(BY_KEY).index):
        collector = _MetricRows(metric, faults, all_notes)
        for number, row in enumerate(rows):
            if row.metric == metric:
                collector.add(row, places[number] if places else number + 1)
        metrics[metric] = collector.runs()
        all_notes += _rate_notes(metric, metrics[metric])
    judged = tuple(arm for arm in arms if arm != REFERENCE)
    table = LineTable(source, judged, metrics, tuple(all_notes))
    _find_copies(table, faults)
    faults.check()
    return table


def _rate_notes(metric: str, table: MetricRuns) -> list[str]:
    """Return notes on doubtful error rates: equal weights for all lines, or values above 200 %."""
    if not BY_KEY[metric].is_error_rate or not table.runs:
        return []
    notes = []
    if table.lines and (table.weights == 1).all():
        notes.append(
            f"{metric}: all weights are 1. Unless all transcriptions have length 1, the figures "
            "are means of the lines' rates, not corpus rates. For corpus rates, the weight is the "
            "length of the transcription."
        )
    for arm in dict.fromkeys(name for name, _ in table.runs):
        values = table.values(arm, sorted(table.complete(arm)))
        rate = (values @ table.weights).mean() / table.weights.sum() if len(values) else 0
        if rate > _HIGH_RATE:
            notes.append(
                f"{metric} of {arm} is {rate:.3g}, above {_HIGH_RATE}. Are the values edits or "
                "percentages? A value is edits / length, as a fraction; its weight is the length."
            )
    return notes


def _find_copies(table: LineTable, faults: Faults) -> None:
    """Report seeds with the same values in all lines, of an arm and of OFF.

    An arm alone may repeat its values, for example a method without randomness. If OFF repeats its
    values too, one pair of runs was entered twice and would count as two replicates.
    """
    for arm in table.arms:
        first_seed: dict[tuple, int] = {}
        for seed in sorted(set().union(*(each.seeds(arm) for each in table.metrics.values()))):
            values = []
            for metric, each in table.metrics.items():
                on, off = each.runs.get((arm, seed)), each.runs.get((REFERENCE, seed))
                if on is not None and off is not None:
                    values.append((metric, on.tobytes(), off.tobytes()))
            first = first_seed.setdefault(tuple(values), seed) if values else seed
            if first != seed:
                faults.add(
                    f"column seed: seeds {first} and {seed} of {arm} and {REFERENCE} have the same "
                    "values in all lines. Enter each training run once"
                )


class _MetricRows:
    """Collects the rows of one metric, then turns them into arrays."""

    def __init__(self, metric: str, faults: Faults, notes: list[str]):
        self.metric, self.faults, self.notes = metric, faults, notes
        self.values: dict[tuple[str, int], dict[str, float]] = {}
        self.diverged: dict[tuple[str, int], int] = {}  # number of lines without a value
        self.weights: dict[str, tuple[float, int]] = {}  # line -> weight, first row that gives it

    def add(self, row: LineValue, place: int) -> None:
        """Add a row, or report its fault."""
        run, value = (row.arm, row.seed), row.value
        values = self.values.setdefault(run, {})
        if not row.line:
            self.diverged.setdefault(run, 0)
            return
        if row.line in values:
            self.faults.add(
                f"duplicate line {row.line} for {row.arm}, seed {row.seed}, {self.metric}. "
                "Remove one of the rows",
                place,
            )
            return
        weight, first = self.weights.setdefault(row.line, (row.weight, place))
        if weight != row.weight:
            self.faults.add(
                f"weight of {row.line}, {self.metric} is {row.weight:g} here and {weight:g} in row "
                f"{first}. Give a line the same weight in all runs",
                place,
            )
        if math.isnan(value) and row.weight == 0:
            value = 0.0  # the rate of an empty transcription, which counts in no corpus rate
        elif math.isnan(value):
            self.diverged[run] = self.diverged.get(run, 0) + 1
        values[row.line] = value

    def runs(self) -> MetricRuns:
        """Return the arrays. A run diverged if a line has no value; a missing line is a fault."""
        lines = sorted(self.weights)
        for run in self.values:
            self._check_lines(run, lines)
        counted = tuple(line for line in lines if self.weights[line][0])
        if lines and not counted:
            self.faults.add(
                f"all {len(lines)} lines of {self.metric} have weight 0. Weight error rates by the "
                "length of the transcription, other metrics by 1"
            )
        weights = np.array([self.weights[line][0] for line in counted])
        runs: dict[tuple[str, int], np.ndarray | None] = {}
        if not self.faults.count:
            for run, values in self.values.items():
                array = np.array([values.get(line, math.nan) for line in counted])
                runs[run] = None if run in self.diverged else array
        return MetricRuns(counted, weights, runs)

    def _check_lines(self, run: tuple[str, int], lines: list[str]) -> None:
        """Report the lines that a run lacks, and note a run that diverged in some lines."""
        arm, seed = run
        count = self.diverged.get(run)
        if count:
            self.notes.append(
                f"{arm}, seed {seed}: {count} of {len(lines)} lines have no {self.metric}; the run "
                "counts as diverged."
            )
        missing = [line for line in lines if line not in self.values[run]]
        if missing and count is None:
            more = ", ..." if len(missing) > _MAX_NAMED else ""
            self.faults.add(
                f"{arm}, seed {seed}, {self.metric} lacks {len(missing)} of the {len(lines)} lines "
                f"of the other runs ({', '.join(missing[:_MAX_NAMED])}{more}). Measure all runs on "
                "the same lines"
            )
