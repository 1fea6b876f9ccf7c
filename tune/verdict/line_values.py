"""Reads and writes lines.csv: the value of each line in each run, from our own confirmation or from anyone.

Columns arm, seed, line, metric, value, weight, in any order; others are passed over. A run that diverged has, for each metric, one row with
line and value empty; a run that lacks the value of any line counts as diverged too, and so does a run that is not in the table.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganhtr.atomic import write_atomically
from tune.metric import BY_KEY, METRICS, Metric
from tune.verdict.line_table import REFERENCE, Faults, LineTable, LineValue, table_of

COLUMNS = LineValue._fields
LARGEST, MOST_ROWS, LONGEST = 400 * 2**20, 3_000_000, 4096
_ARM = re.compile(r"\w[\w .:,=+/-]{0,99}")  # nothing that a report would take for markup
_SEED = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HEAVIEST = 1e9
_WEIGH = "Give 1, for error rates the length of the line's reference"
_GZIP = b"\x1f\x8b"


def write_line_values(path: Path, values: Iterable[LineValue]) -> None:
    """Writes the table, whole or not at all. A number is read again exactly; NaN is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in values:
        writer.writerow(
            [*row[:4], *("" if math.isnan(number) else repr(float(number)) for number in row[4:])]
        )
    write_atomically(
        path, text.getvalue().encode("utf-8", "backslashreplace")
    )  # a file name need not be UTF-8


def read_line_values(path: Path) -> LineTable:
    """The table of a CSV file (UTF-8). Raises: ValueError with up to 20 faults, each with its row."""
    faults = Faults(str(path))
    rows, places = list[LineValue](), list[int]()
    records = _records(path)
    header = [name.strip() for name in next(records, (1, []))[1]]
    notes = _check_header(path, header)
    for place, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) + faults.count >= MOST_ROWS:
            raise ValueError(
                f"{path}: rows must be at most {MOST_ROWS:,}, got more. Give fewer arms, seeds or metrics"
            )
        row = _read_row(header, cells, place, faults)
        if row is not None:
            rows.append(row)
            places.append(place)
    faults.settle()
    if not rows:
        raise ValueError(
            f"{path}: the table must have rows, got none. Give one for each arm, seed, line and metric"
        )
    return table_of(rows, str(path), places, notes)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each record with the row that it ends in. Raises: ValueError when the file, or a row of it, cannot be read."""
    row = 0
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(
                f"{path}: the file must be at most {LARGEST >> 20} MB, got {size >> 20}. Give fewer arms, seeds or metrics"
            )
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                row = reader.line_num
                yield row, cells
    except OSError as error:
        raise ValueError(
            f"{path}: the file must be a CSV table that can be read, got: {error.strerror}. Check the path"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(_not_text(path)) from None
    except csv.Error as error:
        raise ValueError(
            f"{path}:{row + 1}: the row must be CSV, got: {error}. Close every quote, and double one inside a quoted "
            "cell"
        ) from None


def _not_text(path: Path) -> str:
    """Where a file is not UTF-8."""
    data = path.read_bytes()
    if data.startswith(_GZIP):
        return f"{path}: the file must be a CSV table in UTF-8, got one that gzip packed. Unpack it"
    row, line = next(
        (row, line)
        for row, line in enumerate(data.splitlines(), 1)
        if line.decode(errors="ignore").encode() != line
    )
    return f"{path}:{row}: the row must be UTF-8, got {line[:50]!r}. Save the table as UTF-8"


def _check_header(path: Path, header: list[str]) -> list[str]:
    """A note on the columns that are passed over. Raises: ValueError when one is missing or doubled."""
    wrong = [name for name in COLUMNS if header.count(name) != 1]
    if wrong:
        raise ValueError(
            f"{path}:1: columns must be {', '.join(COLUMNS)}, each once, got {', '.join(header)[:200] or 'none'}. "
            f"Name {', '.join(wrong)} in the first row, separated by commas"
        )
    extra = [name for name in header if name not in COLUMNS]
    return [f"{len(extra)} other columns of the table were passed over."] if extra else []


def _read_row(header: list[str], cells: list[str], place: int, faults: Faults) -> LineValue | None:
    """A row, or None with its faults noted."""
    if len(cells) != len(header):
        faults.add(
            f"row must have {len(header)} cells, as the header has, got {len(cells)}. Fill in each column; decimals are written "
            "with a point; quote a value that has a comma",
            place,
        )
        return None
    named, before = dict(zip(header, cells, strict=True)), faults.count
    arm, seed, metric, line = (
        named["arm"].strip(),
        named["seed"].strip(),
        named["metric"].strip(),
        named["line"],
    )
    if not _ARM.fullmatch(arm):
        faults.add(
            f"arm must be a name of at most 100 letters, digits, spaces and . : , = + / -, got {arm[:50]!r}. Rename it",
            place,
        )
    if not _SEED.fullmatch(seed):
        faults.add(f"seed must be a whole number, got {seed[:50]!r}. Give the run's seed", place)
    if metric not in BY_KEY:
        faults.add(
            f"metric must be one of {', '.join(BY_KEY)}, got {metric[:50]!r}. Rename it or remove its rows",
            place,
        )
    if len(line) > LONGEST or _CONTROL.search(line):
        faults.add(
            f"line must be a name of at most {LONGEST} characters, none of them a control, got {line[:50]!r}. Rename it",
            place,
        )
    value = _value(named["value"], BY_KEY.get(metric, METRICS[0]), place, faults)
    weight = _number(named["weight"])
    if not (math.isnan(weight) or 0 <= weight <= _HEAVIEST):
        faults.add(
            f"weight must be a number from 0 to {_HEAVIEST:g}, got {named['weight'][:50]!r}. {_WEIGH}",
            place,
        )
    if not math.isnan(value) and not line:
        faults.add(
            "line must be the line's name, got none beside a value. Name it, or leave the value empty where a run diverged",
            place,
        )
    elif not math.isnan(value) and math.isnan(weight):
        faults.add(f"weight must be a number, got none. {_WEIGH}", place)
    if faults.count > before:
        return None
    if math.isnan(weight):
        line = ""  # a line with neither value nor weight says no more than that the run diverged
    return LineValue(
        REFERENCE if arm.lower() == REFERENCE else arm,
        int(seed),
        line,
        metric,
        value,
        weight if line else math.nan,
    )


def _value(text: str, metric: Metric, place: int, faults: Faults) -> float:
    """The value of a cell, NaN where it is empty or says so; notes the fault of any other text."""
    number = _number(text)
    if math.isnan(number) or metric.least <= number <= metric.most:
        return number
    if not re.search("[0-9]|inf", text, re.I):
        fix = "Leave it empty where a run diverged"
    elif math.isinf(number):
        fix = (
            "Cap it, as an empty value is a run that diverged"
            if "inf" in text.lower()
            else "Write it in digits, decimals with a point"
        )
    else:
        fix = "Correct it, or the name of its metric"
    faults.add(
        f"value must be a number from {metric.least:g} to {metric.most:g}, got {text[:50]!r}. {fix}",
        place,
    )
    return 0.0


def _number(text: str) -> float:
    """The number that a cell holds, NaN where it is empty, infinity for what is none."""
    try:
        return (
            float(text.replace("_", "?")) if text.strip() else math.nan
        )  # Python would read 1_8 as 18
    except ValueError:
        return math.inf
