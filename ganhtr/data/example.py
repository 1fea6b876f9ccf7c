"""The protobuf wire format of `tf.train.Example`: a map of names to lists of values.

The values of a list are byte strings, floats or 64-bit integers. In the notation
{field number: content}, an Example is {1: Features}, Features is {1: entry, ...}, an entry is
{1: name, 2: Feature}, a Feature is one of {1: bytes list}, {2: float list} and {3: int64 list},
and a list is {1: value, ...}. A message that occurs twice is read as the concatenation of its
parts. If several entries have the same name, or a Feature has lists of several kinds, the last
one counts.

`protobuf` itself would copy every image twice, into its arena and out of it. That makes reading
records of 128 x 1024 px about 20 % slower, so the bytes are parsed here and handed out as views.

Source: the encoding as described at protobuf.dev, and TensorFlow's example.proto and feature.proto.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

BYTES, FLOATS, INTS = 1, 2, 3  # field numbers in Feature
KINDS = {BYTES: "byte strings", FLOATS: "floats", INTS: "integers"}
Feature = tuple[int, list]  # kind and values: memoryviews or integers; floats are not read

_VARINT, _EIGHT, _SIZED, _OPEN, _CLOSE, _FOUR = range(6)  # wire types; 6 and 7 do not exist
_DEEPEST = 100  # nested groups; the limit of protobuf's parsers
_MOST = 64  # values of a feature; without a limit a small record could expand into a huge list


class Malformed(Exception):
    """The bytes are not a valid message or record."""


def parse_example(record: memoryview, names: Collection[str]) -> dict[str, Feature]:
    """Return the features with these names; byte strings are views into the record.

    Raises: Malformed.
    """
    contents: dict[str, list[memoryview]] = {}
    for features in _parts(record, 1):
        for entry in _parts(features, 1):
            name = ""
            for key in _parts(entry, 1):
                name = _text(key)
            if name in names:
                contents[name] = _few(_parts(entry, 2))
    return {name: _feature(parts) for name, parts in contents.items()}


def encode_example(features: Mapping[str, bytes | Sequence[int]]) -> bytes:
    """Encode an Example in which each feature is one byte string or a list of integers >= 0."""
    entries = [
        _sized(1, _sized(1, name.encode()) + _sized(2, _encode_feature(value)))
        for name, value in features.items()
    ]
    return _sized(1, b"".join(entries))


def _encode_feature(value: bytes | Sequence[int]) -> bytes:
    if isinstance(value, bytes):
        return _sized(BYTES, _sized(1, value))
    return _sized(INTS, _sized(1, b"".join(map(_encode_varint, value))))


def _sized(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field."""
    return _encode_varint(number << 3 | _SIZED) + _encode_varint(len(content)) + content


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _feature(parts: Iterable[memoryview]) -> Feature:
    """Return kind and values of the Feature in these parts; kind 0 and no values if it is empty."""
    kind = 0
    lists: list[memoryview] = []
    for part in parts:
        for number, wire, value in _fields(part):
            if wire == _SIZED and number in KINDS:
                # Lists of one kind are concatenated, a list of another kind replaces them.
                lists = _few([*lists, value] if number == kind else [value])
                kind = number
    if kind == BYTES:
        return kind, _few(value for content in lists for value in _parts(content, 1))
    if kind == INTS:
        return kind, _few(value for content in lists for value in _integers(content))
    return kind, []


def _integers(message: memoryview) -> Iterator[int]:
    """Yield the values of a list of 64-bit integers, packed or one by one."""
    for number, wire, value in _fields(message):
        if number == 1 and wire == _VARINT:
            yield _signed(value)
        elif number == 1 and wire == _SIZED:
            at = 0
            while at < len(value):
                integer, at = _varint(value, at, 10)
                yield _signed(integer)


def _parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the length-delimited fields with this number."""
    return (
        value for number, wire, value in _fields(message) if number == wanted and wire == _SIZED
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield number, wire type and value of every field outside groups. Groups are skipped."""
    at, end = 0, len(message)
    groups: list[int] = []  # field numbers of the open groups
    while at < end:
        tag, at = _varint(message, at, 5)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise Malformed("a field number 0")
        value: Any = None
        if wire in (_SIZED, _EIGHT, _FOUR):
            if wire == _SIZED:
                size, at = _varint(message, at, 5)
            else:
                size = 8 if wire == _EIGHT else 4
            if size > end - at:
                raise Malformed(f"a field of {size} bytes where only {end - at} bytes are left")
            value = message[at : at + size]
            at += size
        elif wire == _VARINT:
            value, at = _varint(message, at, 10)
        elif wire == _OPEN and len(groups) < _DEEPEST:
            groups.append(number)
        elif wire != _CLOSE or not groups or groups.pop() != number:
            raise Malformed(f"an unexpected wire type {wire}")
        if not groups and wire != _CLOSE:
            yield number, wire, value
    if groups:
        raise Malformed("a group without an end")


def _varint(message: memoryview, at: int, longest: int) -> tuple[int, int]:
    """Decode the unsigned integer at a position; return it and the position after it.

    A varint has seven bits per byte, the lowest first; the eighth bit is set in all bytes but the
    last. `longest` is its largest number of bytes: 5 for 32 bits, 10 for 64 bits.
    """
    # Nearly all varints have one byte, and for them the loop would take three times as long.
    if at < len(message) and message[at] < 0x80:
        return message[at], at + 1
    value = 0
    for shift, byte in enumerate(message[at : at + longest]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if longest == 5 and value >> 32:
                break
            return value & 0xFFFFFFFFFFFFFFFF, at + shift + 1
    raise Malformed("an integer that does not end or is too large")


def _signed(value: int) -> int:
    """Reinterpret an unsigned 64-bit integer as signed (two's complement)."""
    return value - (1 << 64) if value >> 63 else value


def _text(value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"a name that is not UTF-8 ({error.reason})") from error


def _few(values: Iterable) -> list:
    """Collect values, up to the limit. Raises: Malformed."""
    taken = list(islice(values, _MOST + 1))
    if len(taken) > _MOST:
        raise Malformed(f"a feature of more than {_MOST} values")
    return taken
