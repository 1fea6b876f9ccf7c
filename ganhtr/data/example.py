"""The protobuf wire format of tf.train.Example: a map of names to lists of bytes, of floats or of 64-bit integers.

An Example is {1: Features}, Features is {1: entry, ...}, an entry is {1: name, 2: Feature}, a Feature is one of {1: bytes list},
{2: float list}, {3: int64 list}, and a list is {1: value, ...}. Where a part stands twice its contents follow one another;
of entries with one name, and of lists of different kinds, the last counts.
Source: the encoding that protobuf.dev describes, and TensorFlow's example.proto and feature.proto.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

BYTES, FLOATS, INTS = 1, 2, 3
KINDS = {BYTES: "byte strings", FLOATS: "floats", INTS: "integers"}
Feature = tuple[
    int, list
]  # its kind and its values: memoryviews, or integers; those of floats are passed over

_VARINT, _EIGHT, _SIZED, _OPEN, _CLOSE, _FOUR = range(6)  # wire types; 6 and 7 do not exist
_DEEPEST = 100  # groups within groups, as other readers have it
_MOST = 64  # values of a feature that is asked for: a small record must not unfold into a huge list


class Malformed(Exception):
    """Bytes that are not what they must be."""


def parse_example(record: memoryview, names: Collection[str]) -> dict[str, Feature]:
    """The features of these names that an Example holds; bytes are views into the record. Raises: Malformed."""
    found: dict[str, list[memoryview]] = {}
    for features in _parts(record, 1):
        for entry in _parts(features, 1):
            name = ""
            for key in _parts(entry, 1):
                name = _text(key)
            if name in names:
                found[name] = _few(_parts(entry, 2))
    return {name: _feature(parts) for name, parts in found.items()}


def encode_example(features: Mapping[str, bytes | Sequence[int]]) -> bytes:
    """An Example in which each feature is one bytes value, or a list of integers that are not negative."""
    entries = b"".join(
        _sized(1, _sized(1, name.encode()) + _sized(2, _encode_feature(value)))
        for name, value in features.items()
    )
    return _sized(1, entries)


def _encode_feature(value: bytes | Sequence[int]) -> bytes:
    if isinstance(value, bytes):
        return _sized(BYTES, _sized(1, value))
    return _sized(INTS, _sized(1, b"".join(map(_encode_varint, value))))


def _sized(number: int, content: bytes) -> bytes:
    return _encode_varint(number << 3 | _SIZED) + _encode_varint(len(content)) + content


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _feature(parts: Iterable[memoryview]) -> Feature:
    """Kind and values of a Feature that stands in these parts; kind 0 and no values if it is empty."""
    kind = 0
    lists: list[memoryview] = []
    for part in parts:
        for number, wire, value in _fields(part):
            if wire == _SIZED and number in KINDS:
                lists = _few([*lists, value] if number == kind else [value])
                kind = number
    if kind == BYTES:
        return kind, _few(value for one in lists for value in _parts(one, 1))
    return kind, _few(value for one in lists for value in _integers(one)) if kind == INTS else []


def _integers(message: memoryview) -> Iterator[int]:
    """The values of a list of 64-bit integers, one by one or packed."""
    for number, wire, value in _fields(message):
        if number == 1 and wire == _VARINT:
            yield _signed(value)
        elif number == 1 and wire == _SIZED:
            at = 0
            while at < len(value):
                integer, at = _varint(value, at, 10)
                yield _signed(integer)


def _parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The sized fields of this number."""
    return (
        value for number, wire, value in _fields(message) if number == wanted and wire == _SIZED
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of every field; groups are walked through and passed over."""
    at, end = 0, len(message)
    groups: list[int] = []
    while at < end:
        tag, at = _varint(message, at, 5)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise Malformed("field number 0")
        value: Any = None
        if wire in (_SIZED, _EIGHT, _FOUR):
            size, at = (
                _varint(message, at, 5) if wire == _SIZED else (8 if wire == _EIGHT else 4, at)
            )
            if size > end - at:
                raise Malformed(f"a field of {size} bytes where {end - at} are left")
            value = message[at : at + size]
            at += size
        elif wire == _VARINT:
            value, at = _varint(message, at, 10)
        elif wire == _OPEN and len(groups) < _DEEPEST:
            groups.append(number)
        elif wire != _CLOSE or not groups or groups.pop() != number:
            raise Malformed(f"wire type {wire} out of place")
        if not groups and wire != _CLOSE:
            yield number, wire, value
    if groups:
        raise Malformed("a group without an end")


def _varint(message: memoryview, at: int, longest: int) -> tuple[int, int]:
    """The unsigned integer at a position, seven bits a byte and the lowest first, and the position after it."""
    if (
        at < len(message) and message[at] < 0x80
    ):  # nearly all of them: the loop would take three times as long
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
    return value - (1 << 64) if value >> 63 else value


def _text(value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"a name that is not UTF-8 ({error.reason})") from error


def _few(values: Iterable) -> list:
    held = list(islice(values, _MOST + 1))
    if len(held) > _MOST:
        raise Malformed(f"a feature of more than {_MOST} values")
    return held
