"""The lines of every run that is judged: one value for each arm, seed, line and metric, checked to be comparable, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tune.metric import BY_KEY
from tune.report_markup import listed

REFERENCE = "off"  # the arm that every other one is judged against
_NAMED, _LISTED = 3, 20  # lines that a fault names, faults that an error lists
_HIGH_RATE = 2


class LineValue(NamedTuple):
    """One line's value of one run. A run that diverged has one row a metric, without a line: its value is NaN.

    weight: 1 for PSNR and SSIM; for error rates the length of the line's reference, so that sum(w v) / sum(w) is the corpus rate.
    """

    arm: str
    seed: int
    line: str
    metric: str
    value: float
    weight: float


@dataclass(frozen=True, eq=False)
class PairedRuns:
    """One metric of an arm and of OFF, over the seeds that both completed. A seed that an arm diverged in (in whatever metric: it is the
    run that diverges) or lacks is named.

    Shapes: off, on (seeds, lines); weights (lines,).
    """

    off: np.ndarray
    on: np.ndarray
    weights: np.ndarray
    seeds: tuple[int, ...]
    off_diverged: tuple[int, ...]
    on_diverged: tuple[int, ...]
    off_missing: tuple[int, ...]
    on_missing: tuple[int, ...]

    @property
    def means(self) -> tuple[float, float]:
        """The corpus value of each arm, the mean over the common seeds; NaN without any."""
        if not self.seeds:
            return math.nan, math.nan
        scale = self.weights / self.weights.sum()
        return float((self.off @ scale).mean()), float((self.on @ scale).mean())


@dataclass(frozen=True, eq=False)
class MetricRuns:
    """One metric: its lines that have weight in order of their names, weights (lines,), each run's values (lines,), or None: diverged."""

    lines: tuple[str, ...]
    weights: np.ndarray
    runs: Mapping[tuple[str, int], np.ndarray | None]


@dataclass(frozen=True, eq=False)
class LineTable:
    """A checked table. arms: those that are judged, in their order; notes: what the table held that its reader should know."""

    source: str
    arms: tuple[str, ...]
    metrics: Mapping[str, MetricRuns]
    notes: tuple[str, ...] = ()

    def pair(self, arm: str, metric: str) -> PairedRuns:
        """One metric of an arm beside OFF."""
        held, arms = self.metrics[metric], (REFERENCE, arm)
        seeds = sorted({seed for name, seed in held.runs if name in arms})
        both = tuple(
            seed for seed in seeds if all(held.runs.get((name, seed)) is not None for name in arms)
        )
        off, on = (
            np.array([held.runs[name, seed] for seed in both]).reshape(len(both), len(held.lines))
            for name in arms
        )
        diverged = [self._diverged(name) for name in arms]
        missing = [
            tuple(seed for seed in seeds if (name, seed) not in held.runs and seed not in lost)
            for name, lost in zip(arms, diverged, strict=True)
        ]
        return PairedRuns(
            off, on, held.weights, both, diverged[0], diverged[1], missing[0], missing[1]
        )

    def _diverged(self, arm: str) -> tuple[int, ...]:
        return tuple(
            sorted(
                {
                    seed
                    for each in self.metrics.values()
                    for (name, seed), run in each.runs.items()
                    if name == arm and run is None
                }
            )
        )


def table_of(
    values: Iterable[LineValue],
    source: str = "lines",
    places: Sequence[int] = (),
    notes: Sequence[str] = (),
) -> LineTable:
    """The table of checked values. `places`: the row of each in `source`, for the faults.

    Raises: ValueError with up to 20 faults: a line twice in a run, lines or weights that differ between runs, no weight, no OFF arm, or
    one run under two seeds.
    """
    rows, faults = list(values), Faults(source)
    arms = tuple(dict.fromkeys(row.arm for row in rows))
    if REFERENCE not in arms or len(arms) < 2:
        faults.add(
            f"column arm must have {REFERENCE} and the arm to judge, got {listed(arms)}. Name the reference arm {REFERENCE}"
        )
    held, said = {}, list(notes)
    for metric in sorted({row.metric for row in rows}, key=list(BY_KEY).index):
        gathered = _Gathered(metric, faults, said)
        for number, row in enumerate(rows):
            if row.metric == metric:
                gathered.add(row, places[number] if places else number + 1)
        held[metric] = gathered.runs()
        said += _rate_notes(held[metric], metric)
    table = LineTable(source, tuple(arm for arm in arms if arm != REFERENCE), held, tuple(said))
    _note_copies(table, faults)
    faults.settle()
    return table


def _rate_notes(held: MetricRuns, metric: str) -> list[str]:
    """What is doubtful in an error rate: that lines of all lengths weigh the same, or that it is too large for one."""
    if not BY_KEY[metric].is_error_rate or not held.runs:
        return []
    said = []
    if held.lines and (held.weights == 1).all():
        said.append(
            f"{metric}: every weight is 1. Unless every reference has length 1, its figures are means of the lines' rates, not "
            "corpus rates; for these the weight is the length."
        )
    for arm in dict.fromkeys(name for name, _ in held.runs):
        rates = [
            run @ held.weights / held.weights.sum()
            for (name, _), run in held.runs.items()
            if name == arm and run is not None
        ]
        if rates and (rate := np.mean(rates)) > _HIGH_RATE:
            said.append(
                f"{metric} of {arm} is {rate:.3g}, above {_HIGH_RATE}: are its values edits or percent? A value is edits / length, "
                "as a fraction, its weight the length."
            )
    return said


def _note_copies(table: LineTable, faults: Faults) -> None:
    """Notes the seeds that have another's values in every line of an arm and of OFF."""
    for arm in table.arms:
        known: dict[tuple[tuple[str, bytes, bytes], ...], int] = {}
        for seed in sorted(
            {seed for each in table.metrics.values() for name, seed in each.runs if name == arm}
        ):
            values = tuple(
                (metric, on.tobytes(), off.tobytes())
                for metric, each in table.metrics.items()
                if (on := each.runs.get((arm, seed))) is not None
                and (off := each.runs.get((REFERENCE, seed))) is not None
            )
            first = known.setdefault(values, seed) if values else seed
            if first != seed:
                faults.add(
                    f"column seed: seeds {first} and {seed} of {arm} and {REFERENCE} must be different runs, got the same values in "
                    "every line of both arms. Give each training run once"
                )


@dataclass
class Faults:
    """What is wrong with a source, in its order; the first 20 are listed."""

    source: str
    texts: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, text: str, place: int | None = None) -> None:
        self.count += 1
        if self.count <= _LISTED:
            self.texts.append(f"{self.source}{'' if place is None else f':{place}'}: {text}")

    def settle(self) -> None:
        """Raises: ValueError when there are any."""
        if self.count:
            raise ValueError(
                "\n".join(
                    [
                        *self.texts,
                        *([f"and {self.count - _LISTED} more"] if self.count > _LISTED else []),
                    ]
                )
            )


class _Gathered:
    """The rows of one metric on their way to arrays."""

    def __init__(self, metric: str, faults: Faults, notes: list[str]):
        self.metric, self.faults, self.notes = metric, faults, notes
        self.values: dict[tuple[str, int], dict[str, float]] = {}
        self.diverged: dict[tuple[str, int], int] = {}  # lines without a value
        self.weights: dict[str, tuple[float, int]] = {}  # with the row that gave it

    def add(self, row: LineValue, place: int) -> None:
        """Takes a row, or notes its fault."""
        run, value = (row.arm, row.seed), row.value
        values = self.values.setdefault(run, {})
        if not row.line:
            self.diverged.setdefault(run, 0)
            return
        if row.line in values:
            self.faults.add(
                f"line must be there once in a run, got {row.line} again for {row.arm}, seed {row.seed}, {self.metric}. "
                "Remove one of the rows",
                place,
            )
            return
        weight, first = self.weights.setdefault(row.line, (row.weight, place))
        if weight != row.weight:
            self.faults.add(
                f"weight must be the same for a line in all runs, got {row.weight:g} for {row.line}, {self.metric}, and "
                f"{weight:g} in row {first}. Weigh each line by its own reference",
                place,
            )
        if math.isnan(value) and row.weight == 0:
            value = 0.0  # the rate of an empty reference, which no corpus rate counts
        elif math.isnan(value):
            self.diverged[run] = self.diverged.get(run, 0) + 1
        values[row.line] = value

    def runs(self) -> MetricRuns:
        """The arrays. A run without the value of a line diverged; one that has fewer lines than others is a fault."""
        lines = tuple(sorted(self.weights))
        for (arm, seed), values in self.values.items():
            missing = (
                [line for line in lines if line not in values]
                if (arm, seed) not in self.diverged
                else []
            )
            if missing:
                more = ", ..." if len(missing) > _NAMED else ""
                self.faults.add(
                    f"{arm}, seed {seed}, {self.metric} must have all {len(lines)} lines of the other runs, lacks "
                    f"{len(missing)} ({', '.join(missing[:_NAMED])}{more}). Measure every run on the same lines"
                )
            if count := self.diverged.get((arm, seed)):
                self.notes.append(
                    f"{arm}, seed {seed}: {count} of {len(lines)} lines have no {self.metric}; it counts as diverged."
                )
        weights = np.array([self.weights[line][0] for line in lines])
        if lines and not weights.sum():
            self.faults.add(
                f"weight must be more than 0 for some line of {self.metric}, got 0 for all {len(lines)}. "
                "Weigh error rates by the reference's length, all else by 1"
            )
        lines, weights = (
            tuple(line for line in lines if self.weights[line][0]),
            weights[weights > 0],
        )  # the others count in no figure
        whole = (
            {}
            if self.faults.count
            else {
                run: None if run in self.diverged else np.array([values[line] for line in lines])
                for run, values in self.values.items()
            }
        )
        return MetricRuns(lines, weights, whole)
