"""Lines at their original size: the form that every data format is read into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

SMALLEST = 8  # pixels; a smaller image cannot contain a line
_NAMED = 5  # skipped lines that a note names
_LISTED = 20  # faults that an error lists


@dataclass(frozen=True)
class RawLine:
    """One line. Images are uint8 (h, w), 0 black to 255 white.

    `degraded` is None if the source has no degraded image. The transcript is the unchanged
    reference (NFC). Lines of one group (a page, a writer, a document) go into the same split.
    """

    name: str
    group: str
    transcript: str
    clean: np.ndarray = field(repr=False)
    degraded: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RawLines:
    """All usable lines of a source, in its order, with notes on what was skipped.

    With `in_file_order` the lines are split by their position in the file (the TFRecord of the
    original experiment) instead of by groups.
    """

    lines: tuple[RawLine, ...]
    notes: tuple[str, ...] = ()
    in_file_order: bool = False

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(line.name for line in self.lines)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(line.group for line in self.lines)

    @property
    def transcripts(self) -> tuple[str, ...]:
        return tuple(line.transcript for line in self.lines)


class Unusable(Exception):
    """A part of a source that cannot be used.

    Args:
        why: reason in a few words; a note counts the parts that share it.
        name: what the note calls the part.
        place: file, and line or record, for the error message.
        fault: what is wrong in detail and how to fix it, for the error message.
    """

    def __init__(self, why: str, name: str, place: str, fault: str):
        self.why, self.name, self.place = why, name, place
        super().__init__(fault)


def settle(
    source: object, lines: Sequence[RawLine], faults: Sequence[Unusable], fix: str
) -> tuple[str, ...]:
    """Return notes on what was skipped, or refuse a source that is mostly unusable.

    Raises: ValueError that lists the faults as `place: fault`, when no line is usable or when
        there are more faults than usable lines.
    """
    if len(faults) > len(lines) or not lines:
        total = len(lines) + len(faults)
        message = [
            f"{source}: at least half of the lines must be usable, got {len(lines)} of {total}. "
            f"{fix}"
        ]
        message += [f"{fault.place}: {fault}" for fault in faults[:_LISTED]]
        if len(faults) > _LISTED:
            message.append(f"and {len(faults) - _LISTED} more")
        raise ValueError("\n".join(message))
    skipped: dict[str, list[str]] = {}
    for fault in faults:
        skipped.setdefault(fault.why, []).append(fault.name)
    return tuple(skipped_note(why, names) for why, names in skipped.items())


def skipped_note(why: str, names: Sequence[str]) -> str:
    """Return a note that counts skipped parts of a source and names the first of them."""
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} skipped ({why}): {', '.join(names[:_NAMED])}{more}"
