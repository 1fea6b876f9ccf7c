"""Time to read a TFRecord relative to the `tfrecord` package.

`python tests/benchmarks/tfrecord.py [records]`

The package's loader returns bytes and checks nothing; our reader checks both checksums and every
value and converts the images to uint8. So two more rows are measured: reading the bytes of the
file, a bound for every reader in one thread, and the package with checksums, checks and images
added, which does the work of our reader. The readers alternate in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.pop(0)  # this folder, where this file would hide the package of its name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from tfrecord.reader import example_pb2, extract_feature_dict, tfrecord_iterator, tfrecord_loader
from tfrecord.writer import TFRecordWriter

from ganhtr.charset import Charset
from ganhtr.data.raw import RawLine
from ganhtr.data.tfrecord import FEATURES, read_tfrecord, write_tfrecord

HEIGHT, WIDTH, LENGTH = 128, 1024, 33
LETTERS = Charset("abcdefghijklmnopqrstuvwxyz ")
KINDS = {"raw": "byte", "shape": "int", "dtype": "byte"}
DESCRIPTION = {name: KINDS[name.rpartition("_")[2]] for name in FEATURES}
OURS, PACKAGE = "read_tfrecord", "the package's loader"


def random_lines(count):
    """Lines of noise with texts of the usual length."""
    rng = np.random.default_rng(0)
    for i in range(count):
        clean, degraded = rng.integers(0, 256, (2, HEIGHT, WIDTH), dtype=np.uint8)
        yield RawLine(str(i), "g", LETTERS.decode(rng.integers(1, 27, LENGTH)), clean, degraded)


def bare(path):
    """Reads the bytes in pieces of a record's size into one buffer."""
    buffer = bytearray(2 * 4 * HEIGHT * WIDTH)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def package(path):
    for _ in tfrecord_loader(str(path), None, DESCRIPTION):
        pass


def package_checked(path):
    """The package's parts and plain NumPy, with the checks and the result of our reader."""
    lines, kinds = [], {"byte": "bytes_list", "int": "int64_list"}
    for record in tfrecord_iterator(str(path)):
        TFRecordWriter.masked_crc(record)
        features = extract_feature_dict(
            example_pb2.Example.FromString(record).features, DESCRIPTION, kinds
        )
        images = []
        for name in ("clean_image", "degraded_image"):
            values = np.frombuffer(features[f"{name}_raw"], "<f4").reshape(
                features[f"{name}_shape"][:2]
            )
            assert (
                values.min() >= 0 and values.max() <= 1 and features[f"{name}_dtype"] == b"float32"
            )
            images.append(np.rint(values * 255).astype(np.uint8))
        lines.append(
            RawLine("", "", LETTERS.decode(np.frombuffer(features["label_raw"], "<i8")), *images)
        )
    return lines


def main():
    """Print the milliseconds per record of each reader, and its speed relative to the package."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("records", nargs="?", type=int, default=200)
    options.add_argument("--rounds", type=int, default=20)
    arguments = options.parse_args()
    readers = {
        PACKAGE: package,
        OURS: lambda path: read_tfrecord(path, LETTERS),
        "the bytes alone": bare,
        "the package with our work added": package_checked,
    }
    seconds = {name: [] for name in readers}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.tfrecord"
        write_tfrecord(path, random_lines(arguments.records), LETTERS)
        for number in range(arguments.rounds + 2):  # the first two warm up
            for name, reader in readers.items():
                started = time.perf_counter()
                reader(path)
                if number > 1:
                    seconds[name].append((time.perf_counter() - started) / arguments.records)
        print(
            f"{arguments.records} records of {HEIGHT} x {WIDTH}, "
            f"{path.stat().st_size / 2**20:.0f} MiB, {arguments.rounds} rounds"
        )
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(seconds[PACKAGE], values, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        print(
            f"  {name:32s} {1000 * statistics.median(values):7.3f} ms a record   "
            f"{statistics.median(ratios):5.2f} x "
            f"(quartiles {low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
