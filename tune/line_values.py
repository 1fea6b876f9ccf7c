"""Reads and writes lines.csv: the value of each line in each run, from our own confirmation or from anyone.

Columns arm, seed, line, metric, value, weight, in any order; others are passed over. A run that diverged has, for each metric, one row with
line and value empty; a run that lacks the value of any line counts as diverged too, and so does a run that is not in the table.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from pathlib import Path

from ganhtr.data.atomic import write_atomically
from tune.line_table import REFERENCE, Faults, LineTable, LineValue, table_of
from tune.metric import BY_KEY

COLUMNS = LineValue._fields
LARGEST, MOST_ROWS, LONGEST = 400 * 2**20, 3_000_000, 4096
_ARM = re.compile(r"\w[\w .:,=+/-]{0,99}")  # nothing that a report would take for markup
_SEED = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_VALUES, _WEIGHTS = 1e6, 1e9


def write_line_values(path: Path, values: Iterable[LineValue]) -> None:
    """Writes the table, whole or not at all. A number is read again exactly; NaN is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in values:
        writer.writerow([*row[:4], *("" if math.isnan(number) else repr(float(number)) for number in row[4:])])
    write_atomically(path, text.getvalue().encode("utf-8", "backslashreplace"))  # a file name need not be UTF-8


def read_line_values(path: Path) -> LineTable:
    """The table of a CSV file (UTF-8). Raises: ValueError with up to 20 faults, each with its row."""
    faults, notes = Faults(str(path)), list[str]()
    rows, places = list[LineValue](), list[int]()
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"{path}: the file must be at most {LARGEST >> 20} MB, got {size >> 20}. Give fewer arms, seeds or metrics")
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            notes += _check_header(path, header)
            for cells in reader:
                if not cells:
                    continue
                if len(rows) + faults.count >= MOST_ROWS:
                    raise ValueError(f"{path}: rows must be at most {MOST_ROWS:,}, got more. Give fewer arms, seeds or metrics")
                row = _read_row(dict(zip(header, cells, strict=False)), reader.line_num, faults)
                if row is not None:
                    rows.append(row)
                    places.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path}: the file must be a CSV table in UTF-8, got: {what}. Columns: {', '.join(COLUMNS)}") from None
    faults.settle()
    if not rows:
        raise ValueError(f"{path}: the table must have rows, got none. Give one for each arm, seed, line and metric")
    return table_of(rows, str(path), places, notes)


def _check_header(path: Path, header: list[str]) -> list[str]:
    """A note on the columns that are passed over. Raises: ValueError when one is missing or doubled."""
    wrong = [name for name in COLUMNS if header.count(name) != 1]
    if wrong:
        raise ValueError(f"{path}:1: columns must be {', '.join(COLUMNS)}, each once, got {', '.join(header)[:200] or 'none'}. "
                         f"Name {', '.join(wrong)} in the first row, separated by commas")
    extra = [name for name in header if name not in COLUMNS]
    return [f"{len(extra)} other columns of the table were passed over."] if extra else []


def _read_row(cells: dict[str, str], place: int, faults: Faults) -> LineValue | None:
    """A row, or None with its faults noted."""
    arm, seed, metric = (cells.get(name, "").strip() for name in ("arm", "seed", "metric"))
    line, before = cells.get("line", ""), faults.count
    if not _ARM.fullmatch(arm):
        faults.add(f"arm must be a name of at most 100 letters, digits, spaces and . : , = + / -, got {arm[:50]!r}. Rename it", place)
    if not _SEED.fullmatch(seed):
        faults.add(f"seed must be a whole number, got {seed[:50]!r}. Give the run's seed", place)
    if metric not in BY_KEY:
        faults.add(f"metric must be one of {', '.join(BY_KEY)}, got {metric[:50]!r}. Rename it or remove its rows", place)
    if len(line) > LONGEST or _CONTROL.search(line):
        faults.add(f"line must be a name of at most {LONGEST} characters, none of them a control, got {line[:50]!r}. Rename it", place)
    value = _number(cells.get("value", ""), "value", -_VALUES, _VALUES, place, faults)
    weight = _number(cells.get("weight", ""), "weight", 0.0, _WEIGHTS, place, faults)
    if not math.isnan(value) and not line:
        faults.add("line must be the line's name, got none beside a value. Name it, or leave the value empty where a run diverged", place)
    elif not math.isnan(value) and math.isnan(weight):
        faults.add("weight must be a number, got none. Give 1, for error rates the length of the line's reference", place)
    if faults.count > before:
        return None
    if math.isnan(weight):
        line = ""  # a line with neither value nor weight says no more than that the run diverged
    return LineValue(REFERENCE if arm.lower() == REFERENCE else arm, int(seed), line, metric, value, weight if line else math.nan)


def _number(text: str, name: str, low: float, high: float, place: int, faults: Faults) -> float:
    """The number of a cell, NaN where it is empty or says so; notes the fault of any other text."""
    try:
        number = float(text) if text.strip() else math.nan
    except ValueError:
        number = math.inf
    if not (math.isnan(number) or low <= number <= high):
        faults.add(f"{name} must be a number from {low:g} to {high:g}, got {text[:50]!r}. Give none where a run diverged", place)
        return 0.0
    return number
