"""Notes on the lines of a study: what was squeezed, made or left out, and who reads which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.fitting import is_squeezed
from ganhtr.data.raw import RawLine


def recognizer_note(train: int, recognizer: int) -> str:
    """Return a note that says which lines guide and judge are trained on."""
    if recognizer:
        return (
            f"guide and judge are trained on {recognizer} lines of their own, the generator on "
            f"the other {train} training lines (data.recognizer_share)"
        )
    return (
        "guide and judge are trained on the lines that the generator is trained on, and read them "
        "better than others: data.recognizer_share is 0, or the training lines are of one group"
    )


def line_notes(
    parts: Mapping[str, Sequence[RawLine]], data: DataConfig, charset: Charset
) -> list[str]:
    """Return notes on squeezed lines, on degraded images and on unknown characters."""
    lines = [line for part in parts.values() for line in part]
    notes = []
    squeezed = sum(is_squeezed(line.clean.shape, data) for line in lines)
    if squeezed:
        notes.append(
            f"{squeezed} lines are wider than {data.width} px at {data.height} px height "
            "and were squeezed"
        )
    pairs = [line for split, part in parts.items() if split != "recognizer" for line in part]
    given = sum(line.degraded is not None for line in pairs)
    if given == len(pairs):
        notes.append("the degraded images are those of the source")
    elif given:
        notes.append(
            f"the degraded images of {given} of {len(pairs)} lines are those of the source, "
            "the others were made"
        )
    for split, part in parts.items():
        notes += unknown_note(split, charset.outside(line.transcript for line in part))
    return notes


def unknown_note(split: str, outside: Counter[str]) -> list[str]:
    """Return a note that counts and names the characters outside the charset."""
    if not outside:
        return []
    named = ", ".join(f"{c!r} ×{n}" for c, n in outside.most_common(10))
    more = ", …" if len(outside) > 10 else ""
    return [
        f"{split}: {sum(outside.values())} characters are outside the charset ({named}{more}); "
        "they are left out of the CTC target and count as errors against the reference"
    ]
