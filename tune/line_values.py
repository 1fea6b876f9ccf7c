"""The table that a verdict is given on: a value for every arm, seed, test line and metric. Ours, or anyone's.

    arm,seed,line,metric,value,weight
    off,0,page1_l01,psnr,18.2,1
    on,0,page1_l01,judge_cer,0.125,32

`off` is the arm that others are judged against. `value` is the line's metric: dB, or edits over the length of the transcription; `weight` is 1
for PSNR and SSIM, and that length for error rates, so that sum(weight x value) / sum(weight) is the corpus figure. A run that diverged has
one row a metric with `line`, `value` and `weight` empty.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganhtr.data.atomic import write_atomically

COLUMNS = ("arm", "seed", "line", "metric", "value", "weight")
METRICS = ("psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer")
OFF = "off"
MAX_BYTES, MAX_FAULTS = 500 * 2**20, 20


@dataclass(frozen=True)
class LineValue:
    """One row. value is NaN in a run that diverged, which has no line."""

    arm: str
    seed: int
    line: str
    metric: str
    value: float
    weight: float


@dataclass(frozen=True)
class MetricTable:
    """One metric of all arms.

    Shapes: weights (L,); runs[arm][seed] (L,), or None where that run diverged.
    """

    metric: str
    lines: tuple[str, ...]
    weights: np.ndarray
    runs: dict[str, dict[int, np.ndarray | None]]

    def pairs(self, arm: str) -> tuple[list[int], np.ndarray, np.ndarray]:
        """The seeds that an arm and OFF both finished, with their values. Shapes: (S, L) each, OFF first."""
        off, own = self.runs[OFF], self.runs[arm]
        seeds = sorted(seed for seed in off.keys() & own.keys() if off[seed] is not None and own[seed] is not None)
        shape = (len(seeds), len(self.lines))
        first, second = (np.array([side[seed] for seed in seeds], dtype=float).reshape(shape) for side in (off, own))
        return seeds, first, second

    def diverged(self, arm: str) -> list[int]:
        """The seeds with which an arm diverged."""
        return sorted(seed for seed, values in self.runs[arm].items() if values is None)


def table_of(values: Iterable[LineValue], name: str = "the table") -> dict[str, MetricTable]:
    """The rows by metric.

    Raises: ValueError naming what does not fit together: no OFF arm, a line twice, lines that some runs lack, weights that differ.
    """
    runs: dict[str, dict[tuple[str, int], dict[str, tuple[float, float]]]] = {}
    for row in values:
        held = runs.setdefault(row.metric, {}).setdefault((row.arm, row.seed), {})
        if not row.line and not math.isnan(row.value):
            raise ValueError(f"{name}: a line must have a name, got none in a row of arm {row.arm}, seed {row.seed}. Name the line")
        if row.line in held:
            raise ValueError(f"{name}: arm, seed, line and metric must be given once, got {row.arm}, {row.seed}, {row.line}, {row.metric} "
                             "twice. Remove one")
        held[row.line] = (row.value, row.weight)
    if not runs:
        raise ValueError(f"{name}: must have rows, got none. Write a row for each arm, seed, line and metric")
    return {metric: _metric_table(metric, held, name) for metric, held in runs.items()}


def _metric_table(metric: str, held: dict[tuple[str, int], dict[str, tuple[float, float]]], name: str) -> MetricTable:
    if OFF not in {arm for arm, _ in held}:
        raise ValueError(f"{name}: one arm must be named off, got {', '.join(sorted({arm for arm, _ in held}))} for {metric}. The other arms "
                         "are judged against it")
    finished = {run: lines for run, lines in held.items() if not any(math.isnan(value) for value, _ in lines.values())}
    order = tuple(next(iter(finished.values()), {}))
    weights: dict[str, float] = {}
    for (arm, seed), lines in finished.items():
        if lines.keys() != set(order):
            odd = sorted(lines.keys() ^ set(order))
            raise ValueError(f"{name}: every run must have the same lines, got {len(odd)} lines that some have and others lack in {metric}, "
                             f"arm {arm}, seed {seed} ({', '.join(odd[:3])}). Measure all runs on the same lines")
        for line, (_, weight) in lines.items():
            if weights.setdefault(line, weight) != weight:
                raise ValueError(f"{name}: a line must weigh the same in every run, got {weights[line]:g} and {weight:g} for {line} in "
                                 f"{metric}. The weight is the length of the transcription, or 1")
    weighed = np.array([weights[line] for line in order], dtype=float)
    if len(order) and weighed.sum() <= 0:
        raise ValueError(f"{name}: weights must sum to more than 0, got {weighed.sum():g} for {metric}. Give the transcriptions' lengths")
    found: dict[str, dict[int, np.ndarray | None]] = {}
    for (arm, seed), lines in held.items():
        found.setdefault(arm, {})[seed] = np.array([lines[line][0] for line in order]) if (arm, seed) in finished else None
    return MetricTable(metric, order, weighed, found)


def read_line_values(path: Path) -> dict[str, MetricTable]:
    """The table in a CSV file. Raises: ValueError with up to 20 faults, each with its line."""
    rows, faults = [], []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path}: must be at most {MAX_BYTES // 2**20} MiB, got more. Keep the metrics to be judged")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: must be a readable CSV file in UTF-8, got: {error}. Check the path") from error
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(reader, [])
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise ValueError(f"{path}:1: the columns must be {', '.join(COLUMNS)}, got none named {', '.join(missing)}. Name them in the first "
                             "line")
        places = [header.index(column) for column in COLUMNS]
        for cells in reader:
            if not cells:
                continue
            try:
                rows.append(_row(cells, places))
            except ValueError as error:
                faults.append(f"{path}:{reader.line_num}: {error}")
            if len(faults) == MAX_FAULTS:
                break
    except csv.Error as error:
        faults.append(f"{path}:{reader.line_num}: must be CSV, got: {error}. Check the quotes")
    if faults:
        raise ValueError("\n".join(faults))
    return table_of(rows, str(path))


def _row(cells: Sequence[str], places: Sequence[int]) -> LineValue:
    if len(cells) <= max(places):
        raise ValueError(f"a row must have {len(COLUMNS)} columns, got {len(cells)}. Check the commas")
    arm, seed, line, metric, value, weight = (cells[place].strip() for place in places)
    if not arm:
        raise ValueError("arm must be a name, got none. The reference is off")
    try:
        number = int(seed)
    except ValueError as error:
        raise ValueError(f"seed must be a whole number, got {seed[:40]!r}. It pairs the runs of the arms") from error
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric[:40]!r}. Rename or remove it")
    if not line and value.lower() in ("", "nan"):
        return LineValue(arm, number, "", metric, math.nan, math.nan)
    return LineValue(arm, number, line, metric, _number("value", value), _number("weight", weight, least=0.0))


def _number(column: str, text: str, least: float = -math.inf) -> float:
    try:
        found = float(text)
    except ValueError as error:
        raise ValueError(f"{column} must be a number, got {text[:40]!r}. A run that diverged has line, value and weight empty") from error
    if not math.isfinite(found) or found < least:
        raise ValueError(f"{column} must be finite{' and at least 0' if least == 0 else ''}, got {text[:40]}. A run that diverged has line, "
                         "value and weight empty")
    return found


def write_line_values(path: Path, values: Iterable[LineValue]) -> None:
    """Writes a table as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in values:
        numbers = ("", "") if math.isnan(row.value) else (repr(row.value), repr(row.weight))
        writer.writerow([row.arm, row.seed, row.line, row.metric, *numbers])
    write_atomically(path, buffer.getvalue().encode())
