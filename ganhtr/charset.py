"""Characters and their class indices. Class 0 is always the CTC blank; characters count from 1."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

BLANK = 0


@dataclass(frozen=True)
class Charset:
    """An ordered set of K characters.

    Indices: 0 is the blank, and also the padding of index rows, which always come with their
    lengths. 1..K are the characters. K + 1 stands for any character outside the set. A recognizer
    has K + 1 classes and never outputs K + 1; a text encoder embeds K + 2.
    """

    characters: str

    def __post_init__(self) -> None:
        if not self.characters:
            raise ValueError("charset: must have at least one character, got none")
        repeated = [c for c, n in Counter(self.characters).items() if n > 1]
        if repeated:
            raise ValueError(f"charset: characters must be distinct, got {repeated} more than once")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, start=1)}

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def classes(self) -> int:
        """Number of classes of a recognizer: the blank and every character."""
        return len(self.characters) + 1

    @property
    def unknown(self) -> int:
        """Index of every character outside the set."""
        return len(self.characters) + 1

    @property
    def tokens(self) -> int:
        """Rows of a text encoder's embedding: blank or padding, every character, unknown."""
        return len(self.characters) + 2

    def encode(self, text: str) -> np.ndarray:
        """Return the indices (L,) int64 of `text`; characters outside the set are `unknown`."""
        return np.array([self._index.get(c, self.unknown) for c in text], dtype=np.int64)

    def target(self, text: str) -> np.ndarray:
        """Return the indices (L',) int64 for CTC, without the characters outside the set."""
        return np.array([self._index[c] for c in text if c in self._index], dtype=np.int64)

    def decode(self, indices: Iterable[int]) -> str:
        """Return the text of character indices. Blank and unknown are skipped."""
        return "".join(self.characters[i - 1] for i in indices if 0 < i <= len(self.characters))

    def outside(self, texts: Iterable[str]) -> Counter[str]:
        """Count the characters of `texts` that are outside the set."""
        return Counter(c for text in texts for c in text if c not in self._index)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Charset:
        """Return the set of all characters of `texts`, sorted by code point."""
        return cls("".join(sorted(set("".join(texts)))))

    @classmethod
    def load(cls, path: Path) -> Charset:
        """Read a UTF-8 file with one character per line. A space is a character, too.

        Raises: ValueError that names the file and the line of a fault.
        """
        try:
            rows = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: cannot read the charset: {error}. "
                "It must be a UTF-8 file with one character per line"
            ) from error
        if rows[-1] == "":
            rows.pop()
        lines: dict[str, int] = {}  # character -> line number
        for number, row in enumerate(rows, start=1):
            row = row.removesuffix("\r")
            character = unicodedata.normalize("NFC", row)
            if len(character) != 1:
                raise ValueError(
                    f"{path}:{number}: a line must contain exactly one character, got {row!r}"
                )
            if character in lines:
                raise ValueError(
                    f"{path}:{number}: {character!r} is already on line {lines[character]}. "
                    "Remove one of the two lines"
                )
            lines[character] = number
        if not lines:
            raise ValueError(f"{path}: the charset file is empty. Write one character per line")
        return cls("".join(lines))
