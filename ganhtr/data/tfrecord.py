"""A TFRecord of line pairs: the file format of the original experiment, with its schema.

A record is a length, the length's checksum, that many bytes, and their checksum (masked CRC-32C), one record after another.
Its bytes are a tf.train.Example: `degraded_image` and `clean_image` as float32 in [0, 1] (H, W, 1), `label` as int64 (L,) of
1-based charset indices where zeros at the end are padding; each as `_raw` bytes (little-endian), `_shape` integers and `_dtype`
bytes. Records count from 0, as positions in the file do. One bad record is skipped, counted and named in the notes.
"""

from __future__ import annotations

import math
import os
import struct
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from ganhtr.charset import Charset
from ganhtr.data.example import (
    BYTES,
    INTS,
    KINDS,
    Feature,
    Malformed,
    encode_example,
    parse_example,
)
from ganhtr.data.raw import SMALLEST, RawLine, RawLines, Unusable, settle

IMAGES = ("degraded_image", "clean_image")
LABEL = "label"
FEATURES = frozenset(
    part + end for part in (*IMAGES, LABEL) for end in ("_raw", "_shape", "_dtype")
)
_LARGEST = 2**31 - 1  # bytes; protobuf allows no larger Example
_SHORT = "a file that ends within the record"
_ANEW = "Copy or write the file anew"


@dataclass(frozen=True)
class _Record:
    """A record as it stands in the file; its payload lies in a buffer that the next record takes over."""

    name: str
    place: str
    payload: memoryview
    checksum: int

    def fault(self, why: str, text: str) -> Unusable:
        return Unusable(why, self.name, self.place, text)


def read_tfrecord(
    path: Path, charset: Charset | None, progress: Callable[[int], None] | None = None
) -> RawLines:
    """Reads every line pair, one record at a time; `progress` is told how many bytes of the file are done.

    Where a length is damaged or the file ends early, the records before are used and one note tells what is not.
    Raises: ValueError when there is no charset, when the file is empty or no TFRecord, and what `settle` raises.
    """
    if charset is None:
        raise ValueError(
            f"{path}: a TFRecord must come with its charset, got none: it holds only indices of characters. "
            "Give the charset that it was written with by --charset FILE"
        )
    lines: list[RawLine] = []
    faults: list[Unusable] = []
    try:
        for record in _records(path, progress):
            try:
                lines.append(_read_line(record, charset, path.stem))
            except Unusable as fault:
                faults.append(fault)
    except Unusable as rest:
        faults.append(rest)
    return RawLines(
        tuple(lines),
        settle(
            path, lines, faults, "Write the file anew, or give the charset that it was written with"
        ),
        in_file_order=True,
    )


def write_tfrecord(
    path: Path,
    lines: Iterable[RawLine],
    charset: Charset,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Writes line pairs one after another, each at its own size, and returns how many; the file appears only when it is whole.

    `progress` is told how many lines are done.
    Raises: ValueError when there is no line, when the file cannot be written, and naming a line without a degraded
    image of the clean one's size, with an empty transcript or with characters outside the charset.
    """
    half = path.with_name(f".{path.name}.writing")
    done = 0
    try:
        with open(half, "wb") as file:
            for done, line in enumerate(lines, start=1):
                payload = encode_example(_features(line, charset))
                length = struct.pack("<Q", len(payload))
                file.write(
                    length
                    + struct.pack("<I", masked_crc(length))
                    + payload
                    + struct.pack("<I", masked_crc(payload))
                )
                if progress:
                    progress(done)
            file.flush()
            os.fsync(file.fileno())
        if not done:
            raise ValueError(
                f"{path}: a TFRecord must hold at least one line, got none. Give it lines"
            )
        half.replace(path)
    except OSError as error:
        raise ValueError(
            f"{path}: must be a file that can be written, got: {error}. Choose another place or make room"
        ) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return done


def masked_crc(data: bytes | memoryview) -> int:
    """The checksum of the format: CRC-32C turned by 15 bits, plus a constant, so that a checksum of checksums is no weakness."""
    from crc32c import crc32c  # here, so that training imports without it

    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(path: Path, progress: Callable[[int], None] | None) -> Iterator[_Record]:
    """The records of a file in turn. Raises: Unusable where the rest cannot be read, ValueError where that is the whole file."""
    try:
        with open(path, "rb") as file:
            size, buffer, at = os.fstat(file.fileno()).st_size, bytearray(), 0
            if not size:
                raise ValueError(
                    f"{path}: must be a TFRecord with at least one record, got an empty file. Write it anew"
                )
            for number in count():
                if at == size:
                    return
                try:
                    length = _length(file.read(12), size - at)
                    if len(buffer) < length + 4:
                        buffer = bytearray(length + 4)
                    view = memoryview(buffer)[: length + 4]
                    if file.readinto(view) < len(view):
                        raise Malformed(_SHORT)
                except Malformed as error:
                    raise _rest(path, number, at, size, error) from error
                yield _Record(
                    f"{path.stem}-{number:05d}",
                    f"{path}: record {number} at byte {at}",
                    view[:length],
                    *struct.unpack("<I", view[length:]),
                )
                at += 12 + len(view)
                if progress:
                    progress(at)
    except OSError as error:
        raise ValueError(
            f"{path}: must be a file that can be read, got: {error.strerror}. Check the path"
        ) from error


def _length(head: bytes, left: int) -> int:
    """The length of a payload; `left` bytes of the file are left from the record's first on. Raises: Malformed."""
    if len(head) < 12:
        raise Malformed(_SHORT)
    length, checksum = struct.unpack("<QI", head)
    if checksum != masked_crc(head[:8]):
        raise Malformed("a wrong checksum of the record's length")
    if length > left - 16:
        raise Malformed(_SHORT)
    if length > _LARGEST:
        raise Malformed(f"a record of {length} bytes, and no Example is so large")
    return length


def _rest(path: Path, number: int, at: int, size: int, error: Malformed) -> Exception:
    """The one fault of all that follows a place where the chain of records breaks; a file without a first record is no TFRecord."""
    if not number:
        return ValueError(
            f"{path}: must be a TFRecord (not compressed), got at its first record {error}. Check the path, or copy it anew"
        )
    place, left = f"record {number} at byte {at}", f"{size - at} bytes are left"
    return Unusable(
        "the rest of the file cannot be read",
        f"from {place} on, {left}",
        f"{path}: {place}",
        f"the record must be whole, got {error}; {left} unread. {_ANEW}",
    )


def _read_line(record: _Record, charset: Charset, group: str) -> RawLine:
    """The line of a record. Raises: Unusable."""
    checksum = masked_crc(record.payload)
    if checksum != record.checksum:
        raise record.fault(
            "their checksum is wrong",
            f"the checksum must be {record.checksum:#010x}, got {checksum:#010x}. {_ANEW}",
        )
    try:
        features = parse_example(record.payload, FEATURES)
    except Malformed as error:
        raise record.fault(
            "they are no tf.train.Example",
            f"the record must be a tf.train.Example, got {error}. {_ANEW}",
        ) from error
    degraded, clean = (_read_image(record, features, name) for name in IMAGES)
    if degraded.shape != clean.shape:
        raise record.fault(
            "their images differ in size",
            f"the degraded image must be of the clean one's size {clean.shape}, "
            f"got {degraded.shape}. Write the pair anew",
        )
    return RawLine(record.name, group, _read_label(record, features, charset), clean, degraded)


def _read_image(record: _Record, features: dict[str, Feature], name: str) -> np.ndarray:
    """A grey image (h, w) uint8. Raises: Unusable."""
    values, (height, width, channels) = _read_array(record, features, name, 3, np.dtype(np.float32))
    if channels != 1 or min(height, width) < SMALLEST:
        raise record.fault(
            f"{name}_shape is wrong",
            f"{name}_shape must be (height, width, 1) of at least {SMALLEST} px, "
            f"got {(height, width, channels)}. Write the image anew",
        )
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):  # so NaN is caught too
        raise record.fault(
            f"{name}_raw is out of range",
            f"{name}_raw must lie in [0, 1], got {low:g} to {high:g}. Write the image anew",
        )
    values *= 255
    return np.rint(values, out=values).astype(np.uint8).reshape(height, width)


def _read_label(record: _Record, features: dict[str, Feature], charset: Charset) -> str:
    """The transcript. Raises: Unusable."""
    indices, _ = _read_array(record, features, LABEL, 1, np.dtype(np.int64))
    indices = np.trim_zeros(indices, "b")
    wrong = indices[(indices < 0) | (indices > len(charset))]
    if len(wrong):
        raise record.fault(
            "their label is outside the charset",
            f"label_raw must hold indices from 1 to {len(charset)}, "
            f"got {wrong[0]}. Give the charset that the file was written with",
        )
    if not indices.all():
        raise record.fault(
            "their label has zeros inside",
            "label_raw must have zeros only at its end, got one at index "
            f"{indices.argmin()}. Write the label anew",
        )
    transcript = unicodedata.normalize("NFC", charset.decode(indices.tolist()))
    if not transcript.strip():
        raise record.fault(
            "their transcription is empty",
            f"label_raw must hold a character, got {transcript!r}. "
            "Transcribe the line or leave it out",
        )
    return transcript


def _read_array(
    record: _Record, features: dict[str, Feature], name: str, axes: int, dtype: np.dtype
) -> tuple[np.ndarray, list[int]]:
    """The values of a part, flat, as a copy, and the shape that the record gives them. Raises: Unusable."""
    (raw,), (given,) = (
        _values(record, features, f"{name}_{end}", BYTES, 1) for end in ("raw", "dtype")
    )
    shape = _values(record, features, f"{name}_shape", INTS, axes)
    if given != dtype.name.encode():
        raise record.fault(
            f"{name}_dtype is wrong",
            f"{name}_dtype must be {dtype.name}, got {bytes(given[:20])!r}. "
            f"Write it as {dtype.name}",
        )
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise record.fault(
            f"{name}_shape is wrong",
            f"{name}_shape must fit the {len(raw)} bytes of {name}_raw, "
            f"got {tuple(shape)}. Write the record anew",
        )
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype), shape


def _values(
    record: _Record, features: dict[str, Feature], name: str, kind: int, number: int
) -> list:
    """The values of a feature, all of one kind and so many. Raises: Unusable."""
    got, values = features.get(name, (0, []))
    if got != kind or len(values) != number:
        found = str(len(values)) if got == kind else KINDS.get(got, "none")
        raise record.fault(
            f"{name} is not as it must be" if got else f"{name} is missing",
            f"{name} must be a list of {number} {KINDS[kind]}, got {found}. Write the record anew",
        )
    return values


def _features(line: RawLine, charset: Charset) -> dict[str, bytes | tuple[int, ...]]:
    """The features of a line. Raises: ValueError naming it."""
    if line.degraded is None or line.degraded.shape != line.clean.shape:
        got = "none" if line.degraded is None else f"{line.degraded.shape} and {line.clean.shape}"
        raise ValueError(
            f"{line.name}: a line must have a degraded image of the clean one's size, got {got}. Make its twin first"
        )
    outside = charset.outside([line.transcript])
    if outside or not line.transcript.strip():
        got = (
            f"{', '.join(map(repr, outside))} in {line.transcript!r}"
            if outside
            else repr(line.transcript)
        )
        raise ValueError(
            f"{line.name}: a transcript must have characters, and only those of the charset, got {got}. "
            "Extend the charset or leave the line out"
        )
    held: dict[str, bytes | tuple[int, ...]] = {}
    for name, image in zip(IMAGES, (line.degraded, line.clean), strict=True):
        values = np.divide(image, 255, dtype=np.float32).astype("<f4")
        held |= {
            f"{name}_raw": values.tobytes(),
            f"{name}_shape": (*image.shape, 1),
            f"{name}_dtype": b"float32",
        }
    label = charset.encode(line.transcript).astype("<i8")
    return held | {
        "label_raw": label.tobytes(),
        "label_shape": label.shape,
        "label_dtype": b"int64",
    }
