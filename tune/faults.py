"""Collects the faults of an input file, so that they are reported together."""

from __future__ import annotations


class Faults:
    """Faults with their places.

    limit: how many are listed; the others are only counted.
    """

    def __init__(self, file: str, limit: int | None = None):
        self.file, self.limit, self.count = file, limit, 0
        self._listed: list[tuple[str, int, str]] = []

    def add(self, text: str, line: int = 0, file: str | None = None) -> None:
        """Add a fault. line: 0 if unknown. file: if it is not the main file."""
        self.count += 1
        if self.limit is None or self.count <= self.limit:
            # An escape can make a lone surrogate, which cannot be printed.
            printable = text.encode(errors="backslashreplace").decode()
            self._listed.append((file or self.file, line, printable))

    def extend(self, other: Faults) -> None:
        self.count += other.count
        self._listed += other._listed

    def texts(self) -> list[str]:
        """Return the faults by line, those of the main file first."""
        ordered = sorted(self._listed, key=lambda fault: (fault[0] != self.file, *fault[:2]))
        more = self.count - len(ordered)
        return [
            *(
                f"{file}:{line}: {text}" if line else f"{file}: {text}"
                for file, line, text in ordered
            ),
            *([f"and {more} more"] if more else []),
        ]

    def check(self) -> None:
        """Raises: ValueError with all faults, if there are any."""
        if self.count:
            raise ValueError("\n".join(self.texts()))
