"""Lines as a source has them, at their own size: what every data format is read into, and what is said of those it could not give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

SMALLEST = 8  # pixels; a lower or narrower image holds no line
_NAMED, _LISTED = 5, 20  # skipped lines that a note names, faults that an error lists


@dataclass(frozen=True)
class RawLine:
    """One line. Images are uint8 (h, w), 0 black to 255 white; `degraded` is None where the twin has yet to be made.

    The transcript is the untouched reference (NFC). A group is what a split must not tear apart: a page, a writer, a document.
    """

    name: str
    group: str
    transcript: str
    clean: np.ndarray = field(repr=False)
    degraded: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RawLines:
    """Every usable line of a source, in its order; notes say in words what was skipped.

    `in_file_order` asks for a split by position in the file (the TFRecord of the experiment) instead of one by groups.
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
    """What gives no line: `why` counts it in the notes, `name` names it there, `place` and the message are its fault."""

    def __init__(self, why: str, name: str, place: str, fault: str):
        self.why, self.name, self.place = why, name, place
        super().__init__(fault)


def settle(
    source: object, lines: Sequence[RawLine], faults: Sequence[Unusable], fix: str
) -> tuple[str, ...]:
    """The notes on what was skipped; one bad line never takes a study down, but a source that is mostly bad is refused.

    Raises: ValueError with the faults, as `place: fault`, when no line is usable or more than half are not.
    """
    if len(faults) > len(lines) or not lines:
        message = [
            f"{source}: half of the lines must be usable, got {len(lines)} of {len(lines) + len(faults)}. {fix}"
        ]
        message += [f"{fault.place}: {fault}" for fault in faults[:_LISTED]]
        message += [f"and {len(faults) - _LISTED} more"] if len(faults) > _LISTED else []
        raise ValueError("\n".join(message))
    skipped: dict[str, list[str]] = {}
    for fault in faults:
        skipped.setdefault(fault.why, []).append(fault.name)
    return tuple(
        f"{len(names)} skipped, {why}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        for why, names in skipped.items()
    )
