"""TFRecord files of line pairs: the file format and schema of the original experiment.

A file is a sequence of records. A record is a length, the checksum of the length, that many bytes
of payload, and the checksum of the payload (masked CRC-32C). The payload is a `tf.train.Example`:
`degraded_image` and `clean_image` are float32 in [0, 1] (H, W, 1), `label` is int64 (L,) with
1-based charset indices, padded with zeros at the end. Each of the three is stored as `_raw` bytes
(little-endian), `_shape` integers and a `_dtype` name. Records are numbered from 0. A bad record
is skipped, and the notes count and name it.
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
_LARGEST = 2**31 - 1  # bytes of an Example; the limit of protobuf
_SHORT = "the file ends within the record"
_REWRITE = "Copy or write the file again"


@dataclass(frozen=True)
class _Record:
    """One record. The next record reuses the buffer of the payload."""

    name: str
    place: str
    payload: memoryview
    checksum: int

    def fault(self, why: str, text: str) -> Unusable:
        return Unusable(why, self.name, self.place, text)


def read_tfrecord(
    path: Path, charset: Charset | None, progress: Callable[[int], None] | None = None
) -> RawLines:
    """Read all line pairs, one record at a time.

    If a length is damaged or the file ends early, the records before that place are used, and one
    note describes the rest. `progress` is called with the number of bytes read so far.

    Raises: ValueError when there is no charset, when the file is empty or not a TFRecord, and
        whenever `settle` raises.
    """
    if charset is None:
        raise ValueError(
            f"{path}: a TFRecord contains only character indices, so it cannot be read without "
            "its charset. Give the charset that it was written with: --charset FILE"
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
    fix = "Write the file again, or give the charset that it was written with"
    return RawLines(tuple(lines), settle(path, lines, faults, fix), in_file_order=True)


def write_tfrecord(
    path: Path,
    lines: Iterable[RawLine],
    charset: Charset,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write line pairs at their original size and return their number.

    The file appears only when it is complete. `progress` is called with the number of lines
    written so far.

    Raises: ValueError when there is no line or when the file cannot be written; ValueError that
        names the line when its degraded image is missing or differs in size from the clean one,
        when its transcript is empty, or when the transcript has characters outside the charset.
    """
    partial = path.with_name(f".{path.name}.writing")
    done = 0
    try:
        with open(partial, "wb") as file:
            for done, line in enumerate(lines, start=1):
                payload = encode_example(_features(line, charset))
                length = struct.pack("<Q", len(payload))
                file.write(length + struct.pack("<I", masked_crc(length)))
                file.write(payload + struct.pack("<I", masked_crc(payload)))
                if progress:
                    progress(done)
            file.flush()
            os.fsync(file.fileno())
        if not done:
            raise ValueError(f"{path}: a TFRecord must have at least one line, got none")
        partial.replace(path)
    except OSError as error:
        raise ValueError(
            f"{path}: cannot write the file: {error}. Choose another path or free disk space"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return done


def masked_crc(data: bytes | memoryview) -> int:
    """Return the checksum of the format: CRC-32C rotated right by 15 bits, plus a constant.

    The mask is there because the CRC of data that contains its own CRC is a weak checksum.
    """
    from crc32c import crc32c  # here, because training alone does not need it

    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(path: Path, progress: Callable[[int], None] | None) -> Iterator[_Record]:
    """Yield the records of a file.

    Raises: Unusable when the rest of the file cannot be read; ValueError when the file cannot be
        opened, is empty or has no readable first record.
    """
    try:
        with open(path, "rb") as file:
            size, buffer, at = os.fstat(file.fileno()).st_size, bytearray(), 0
            if not size:
                raise ValueError(
                    f"{path}: must be a TFRecord with at least one record, got an empty file. "
                    "Write it again"
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
                (checksum,) = struct.unpack("<I", view[length:])
                place = f"{path}: record {number} at byte {at}"
                yield _Record(f"{path.stem}-{number:05d}", place, view[:length], checksum)
                at += 12 + len(view)
                if progress:
                    progress(at)
    except OSError as error:
        raise ValueError(
            f"{path}: cannot read the file: {error.strerror}. Check the path"
        ) from error


def _length(head: bytes, left: int) -> int:
    """Return the payload's length from a record's first 12 bytes.

    `left` counts the bytes of the file from the start of the record. Raises: Malformed.
    """
    if len(head) < 12:
        raise Malformed(_SHORT)
    length, checksum = struct.unpack("<QI", head)
    if checksum != masked_crc(head[:8]):
        raise Malformed("the checksum of the record's length is wrong")
    if length > left - 16:
        raise Malformed(_SHORT)
    if length > _LARGEST:
        raise Malformed(f"the record has {length} bytes, more than an Example can have")
    return length


def _rest(path: Path, number: int, at: int, size: int, error: Malformed) -> Exception:
    """Return one fault for everything from a place on where no record can be read.

    A file whose first record cannot be read is not a TFRecord.
    """
    if not number:
        return ValueError(
            f"{path}: not an uncompressed TFRecord: at the first record, {error}. "
            "Check the path, or copy the file again"
        )
    place, left = f"record {number} at byte {at}", size - at
    return Unusable(
        "the rest of the file cannot be read",
        f"from {place} on, {left} bytes are left",
        f"{path}: {place}",
        f"{error}; the remaining {left} bytes are not read. {_REWRITE}",
    )


def _read_line(record: _Record, charset: Charset, group: str) -> RawLine:
    """Return the line of a record. Raises: Unusable."""
    checksum = masked_crc(record.payload)
    if checksum != record.checksum:
        raise record.fault(
            "wrong checksum",
            f"the stored checksum is {record.checksum:#010x}, but the record's bytes give "
            f"{checksum:#010x}. {_REWRITE}",
        )
    try:
        features = parse_example(record.payload, FEATURES)
    except Malformed as error:
        raise record.fault(
            "not a tf.train.Example",
            f"the record is not a valid tf.train.Example: it has {error}. {_REWRITE}",
        ) from error
    degraded, clean = (_read_image(record, features, name) for name in IMAGES)
    if degraded.shape != clean.shape:
        raise record.fault(
            "images differ in size",
            f"the degraded image must have the size of the clean image {clean.shape}, "
            f"got {degraded.shape}. Write the pair again",
        )
    return RawLine(record.name, group, _read_label(record, features, charset), clean, degraded)


def _read_image(record: _Record, features: dict[str, Feature], name: str) -> np.ndarray:
    """Return a grey image (h, w) uint8. Raises: Unusable."""
    values, (height, width, channels) = _read_array(record, features, name, 3, np.dtype(np.float32))
    if channels != 1 or min(height, width) < SMALLEST:
        raise record.fault(
            f"wrong {name}_shape",
            f"{name}_shape must be (height, width, 1) with at least {SMALLEST} px each way, "
            f"got {(height, width, channels)}. Write the image again",
        )
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):  # written so that NaN fails, too
        raise record.fault(
            f"{name}_raw out of range",
            f"{name}_raw must lie in [0, 1], got {low:g} to {high:g}. Write the image again",
        )
    values *= 255
    return np.rint(values, out=values).astype(np.uint8).reshape(height, width)


def _read_label(record: _Record, features: dict[str, Feature], charset: Charset) -> str:
    """Return the transcript. Raises: Unusable."""
    indices, _ = _read_array(record, features, LABEL, 1, np.dtype(np.int64))
    indices = np.trim_zeros(indices, "b")
    wrong = indices[(indices < 0) | (indices > len(charset))]
    if len(wrong):
        raise record.fault(
            "label outside the charset",
            f"label_raw must have indices from 1 to {len(charset)}, got {wrong[0]}. "
            "Give the charset that the file was written with",
        )
    if not indices.all():
        raise record.fault(
            "label has zeros before its end",
            "label_raw must have zeros only at its end, got one at index "
            f"{indices.argmin()}. Write the label again",
        )
    transcript = unicodedata.normalize("NFC", charset.decode(indices.tolist()))
    if not transcript.strip():
        raise record.fault(
            "empty transcription",
            f"label_raw must have a character that is not a space, got {transcript!r}. "
            "Transcribe the line or leave it out",
        )
    return transcript


def _read_array(
    record: _Record, features: dict[str, Feature], name: str, axes: int, dtype: np.dtype
) -> tuple[np.ndarray, list[int]]:
    """Return the values of a part as a flat copy, and its shape. Raises: Unusable."""
    (raw,) = _values(record, features, f"{name}_raw", BYTES, 1)
    (given,) = _values(record, features, f"{name}_dtype", BYTES, 1)
    shape = _values(record, features, f"{name}_shape", INTS, axes)
    if given != dtype.name.encode():
        raise record.fault(
            f"wrong {name}_dtype",
            f"{name}_dtype must be {dtype.name}, got {bytes(given[:20])!r}. "
            f"Write {name} as {dtype.name}",
        )
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise record.fault(
            f"wrong {name}_shape",
            f"{name}_shape must match the {len(raw)} bytes of {name}_raw, got {tuple(shape)}. "
            "Write the record again",
        )
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype), shape


def _values(
    record: _Record, features: dict[str, Feature], name: str, kind: int, number: int
) -> list:
    """Return the values of a feature, which must have this kind and number. Raises: Unusable."""
    got, values = features.get(name, (0, []))
    if got != kind or len(values) != number:
        # Of a feature of another kind the values were not counted, so its kind is shown.
        content = str(len(values)) if got == kind else KINDS.get(got, "none")
        raise record.fault(
            f"wrong {name}" if got else f"{name} missing",
            f"{name} must be a list of {number} {KINDS[kind]}, got {content}. "
            "Write the record again",
        )
    return values


def _features(line: RawLine, charset: Charset) -> dict[str, bytes | tuple[int, ...]]:
    """Return the features of a line. Raises: ValueError that names the line."""
    if line.degraded is None or line.degraded.shape != line.clean.shape:
        got = "none" if line.degraded is None else line.degraded.shape
        raise ValueError(
            f"{line.name}: the line needs a degraded image of the size of its clean image "
            f"{line.clean.shape}, got {got}. Make one first"
        )
    outside = charset.outside([line.transcript])
    if outside:
        raise ValueError(
            f"{line.name}: the transcript {line.transcript!r} has characters outside the charset: "
            f"{', '.join(map(repr, outside))}. Extend the charset or leave the line out"
        )
    if not line.transcript.strip():
        raise ValueError(f"{line.name}: the transcript is empty. Leave the line out")
    features: dict[str, bytes | tuple[int, ...]] = {}
    for name, image in zip(IMAGES, (line.degraded, line.clean), strict=True):
        features[f"{name}_raw"] = np.divide(image, 255, dtype=np.float32).astype("<f4").tobytes()
        features[f"{name}_shape"] = (*image.shape, 1)
        features[f"{name}_dtype"] = b"float32"
    label = charset.encode(line.transcript).astype("<i8")
    features["label_raw"] = label.tobytes()
    return features | {"label_shape": label.shape, "label_dtype": b"int64"}
