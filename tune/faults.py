"""Faults of a file or a table, collected so that one error reports all of them."""

from __future__ import annotations


class Faults:
    """The faults of a source; all are counted, and the first `most` are kept."""

    def __init__(self, source: str, most: int | None = None):
        self.source, self.most, self.count = source, most, 0
        self._entries: list[tuple[str, int, str]] = []  # source, line (0 if none), text

    def add(self, text: str, line: int | None = None, source: str | None = None) -> None:
        """Note a fault, by default of the collector's own source."""
        self.count += 1
        if self.most is None or self.count <= self.most:
            self._entries.append((source or self.source, line or 0, text))

    def take(self, other: Faults) -> None:
        """Add the faults of another source to these."""
        self.count += other.count
        self._entries += other._entries

    def lines(self) -> list[str]:
        """Return the faults by line, those of this source first, and the number of others."""
        in_order = sorted(self._entries, key=lambda entry: (entry[0] != self.source, *entry[:2]))
        lines = [
            f"{source}:{line}: {text}" if line else f"{source}: {text}"
            for source, line, text in in_order
        ]
        others = self.count - len(lines)
        return [*lines, f"and {others} more"] if others else lines
