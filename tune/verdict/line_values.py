"""Reads and writes lines.csv: the value of each line in each run.

The columns are arm, seed, line, metric, value and weight, in any order; others are ignored. A run
that diverged has one row for each metric, with line and value empty. A run without a value for some
line counts as diverged too; a run that is not in the table counts as missing.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganhtr.atomic import write_atomically
from tune.faults import Faults
from tune.metric import BY_KEY, METRICS, Metric
from tune.verdict.line_table import MAX_FAULTS, REFERENCE, LineTable, LineValue, table_of

COLUMNS = LineValue._fields
MAX_BYTES, MAX_ROWS = 400 * 2**20, 3_000_000
MAX_NAME = 4096  # characters of a line's name
MAX_WEIGHT = 1e9
_ARM = re.compile(r"\w[\w .:,=+/-]{0,99}")  # nothing that a report would take for markup
_SEED = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WEIGHT_FIX = "Use 1, or for an error rate the length of the line's transcription"
_GZIP = b"\x1f\x8b"


def write_line_values(path: Path, values: Iterable[LineValue]) -> None:
    """Write the table atomically. Numbers are exact when read again; NaN is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in values:
        numbers = ("" if math.isnan(number) else repr(float(number)) for number in row[4:])
        writer.writerow([*row[:4], *numbers])
    # A line's name comes from a file name, which need not be UTF-8.
    write_atomically(path, text.getvalue().encode("utf-8", "backslashreplace"))


def read_line_values(path: Path) -> LineTable:
    """Read a CSV file (UTF-8). Raises: ValueError with up to 20 faults, each with its row."""
    faults = Faults(str(path), MAX_FAULTS)
    rows, places = list[LineValue](), list[int]()
    records = _records(path)
    header = [name.strip() for name in next(records, (1, []))[1]]
    notes = _check_header(path, header)
    for place, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) + faults.count >= MAX_ROWS:
            raise ValueError(
                f"{path}: the table has more than {MAX_ROWS:,} rows. Use fewer arms, seeds or "
                "metrics"
            )
        row = _read_row(header, cells, place, faults)
        if row is not None:
            rows.append(row)
            places.append(place)
    faults.check()
    if not rows:
        raise ValueError(
            f"{path}: the table has no rows. Add one for each arm, seed, line and metric"
        )
    return table_of(rows, str(path), places, notes)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record with the row that it ends in.

    Raises: ValueError if the file, or a row of it, cannot be read.
    """
    row = 0
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"{path}: the file has {size >> 20} MB, more than {MAX_BYTES >> 20}. Use fewer "
                "arms, seeds or metrics"
            )
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                row = reader.line_num
                yield row, cells
    except OSError as error:
        raise ValueError(
            f"{path}: cannot read the file: {error.strerror}. Check the path"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(_not_text(path)) from None
    except csv.Error as error:
        raise ValueError(
            f"{path}:{row + 1}: not valid CSV: {error}. Close every quote, and double a quote "
            "inside a quoted cell"
        ) from None


def _not_text(path: Path) -> str:
    """Return the message for a file that is not UTF-8, with the first such row."""
    data = path.read_bytes()
    if data.startswith(_GZIP):
        return f"{path}: the file is compressed with gzip. Decompress it first"
    row, line = next(
        (row, line)
        for row, line in enumerate(data.splitlines(), 1)
        if line.decode(errors="ignore").encode() != line
    )
    return f"{path}:{row}: not valid UTF-8: {line[:50]!r}. Save the table as UTF-8"


def _check_header(path: Path, header: list[str]) -> list[str]:
    """Return a note on ignored columns. Raises: ValueError for a missing or repeated column."""
    wrong = [name for name in COLUMNS if header.count(name) != 1]
    if wrong:
        raise ValueError(
            f"{path}:1: the first row must name the columns {', '.join(COLUMNS)} once each, got "
            f"{', '.join(header)[:200] or 'nothing'}. Missing or repeated: {', '.join(wrong)}"
        )
    extra = len(header) - len(COLUMNS)
    return [f"{extra} other columns of the table are ignored."] if extra else []


def _read_row(header: list[str], cells: list[str], place: int, faults: Faults) -> LineValue | None:
    """Read a row; report its faults and return None if it has any."""
    if len(cells) != len(header):
        faults.add(
            f"row has {len(cells)} cells, the header has {len(header)}. Fill in every column, "
            "write decimals with a point, and quote a value that contains a comma",
            place,
        )
        return None
    row = dict(zip(header, cells, strict=True))
    arm, seed, metric = row["arm"].strip(), row["seed"].strip(), row["metric"].strip()
    line, before = row["line"], faults.count
    if not _ARM.fullmatch(arm):
        allowed = "letters, digits, spaces and . : , = + / -"
        faults.add(f"arm {arm[:50]!r} is not a name of at most 100 {allowed}. Rename it", place)
    if not _SEED.fullmatch(seed):
        faults.add(f"seed {seed[:50]!r} is not a whole number. Use the seed of the run", place)
    if metric not in BY_KEY:
        faults.add(
            f"unknown metric {metric[:50]!r}. Known: {', '.join(BY_KEY)}. Rename it or remove its "
            "rows",
            place,
        )
    if len(line) > MAX_NAME or _CONTROL.search(line):
        faults.add(
            f"line {line[:50]!r} has more than {MAX_NAME} characters or a control character. "
            "Rename it",
            place,
        )
    value = _read_value(row["value"], BY_KEY.get(metric, METRICS[0]), place, faults)
    weight = _number(row["weight"])
    if not (math.isnan(weight) or 0 <= weight <= MAX_WEIGHT):
        faults.add(
            f"weight {row['weight'][:50]!r} is not a number from 0 to {MAX_WEIGHT:g}. "
            + _WEIGHT_FIX,
            place,
        )
    if not math.isnan(value) and not line:
        faults.add(
            "the value has no line. Name the line, or leave the value empty if the run diverged",
            place,
        )
    elif not math.isnan(value) and math.isnan(weight):
        faults.add(f"the value has no weight. {_WEIGHT_FIX}", place)
    if faults.count > before:
        return None
    if math.isnan(weight):
        line = ""  # a line with neither value nor weight only says that the run diverged
    arm = REFERENCE if arm.lower() == REFERENCE else arm
    return LineValue(arm, int(seed), line, metric, value, weight if line else math.nan)


def _read_value(text: str, metric: Metric, place: int, faults: Faults) -> float:
    """Read a value, NaN if it is empty or NaN; report any other text."""
    number = _number(text)
    if math.isnan(number) or metric.least <= number <= metric.most:
        return number
    if not re.search("[0-9]|inf", text, re.I):
        fix = "Leave it empty if the run diverged"
    elif math.isinf(number) and "inf" in text.lower():
        fix = "Replace it by a finite value; an empty value would count as a diverged run"
    elif math.isinf(number):
        fix = "Write it in digits, with a decimal point"
    else:
        fix = "Correct it, or the name of its metric"
    faults.add(
        f"value {text[:50]!r} is not a number from {metric.least:g} to {metric.most:g}. {fix}",
        place,
    )
    return 0.0


def _number(text: str) -> float:
    """Return the number in a cell, NaN if it is empty, infinity if it is no number."""
    if not text.strip():
        return math.nan
    try:
        return float(text.replace("_", "?"))  # Python would read 1_8 as 18
    except ValueError:
        return math.inf
