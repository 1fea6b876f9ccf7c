"""Characters and their class indices. Class 0 is the CTC blank everywhere; characters count from 1."""

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
    """An ordered set of characters.

    Indices: 0 is the blank (and fills padding, whose length is always carried), 1..K are the characters, K + 1 stands for any
    character outside the set. A recognizer has K + 1 classes and never emits K + 1; a text encoder embeds K + 2.
    """

    characters: str

    def __post_init__(self) -> None:
        repeated = [c for c, n in Counter(self.characters).items() if n > 1]
        if not self.characters or repeated:
            raise ValueError(
                "charset: characters must be "
                + (f"distinct, got {repeated} more than once" if repeated else "at least one")
            )

    @cached_property
    def _index(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, start=1)}

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def classes(self) -> int:
        """Classes of a recognizer: the blank and every character."""
        return len(self.characters) + 1

    @property
    def unknown(self) -> int:
        """The index of every character outside the set."""
        return len(self.characters) + 1

    @property
    def tokens(self) -> int:
        """Rows of a text encoder's embedding: blank or padding, every character, unknown."""
        return len(self.characters) + 2

    def encode(self, text: str) -> np.ndarray:
        """Indices (L,) int64 of `text`, characters outside the set as `unknown`."""
        return np.array([self._index.get(c, self.unknown) for c in text], dtype=np.int64)

    def target(self, text: str) -> np.ndarray:
        """Indices (L',) int64 for CTC: characters outside the set are left out."""
        return np.array([self._index[c] for c in text if c in self._index], dtype=np.int64)

    def decode(self, indices: Iterable[int]) -> str:
        """The text of character indices; blank and unknown are passed over."""
        return "".join(self.characters[i - 1] for i in indices if 0 < i <= len(self.characters))

    def outside(self, texts: Iterable[str]) -> Counter[str]:
        """How often each character outside the set occurs in `texts`."""
        return Counter(c for text in texts for c in text if c not in self._index)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Charset:
        """The set of all characters of `texts`, sorted by code point."""
        return cls("".join(sorted(set("".join(texts)))))

    @classmethod
    def load(cls, path: Path) -> Charset:
        """Reads one character a line (UTF-8; a line may hold a space, so none is stripped).

        Raises: ValueError naming the file and the line of a fault.
        """
        try:
            rows = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: a charset must be a readable UTF-8 file, one character a line. {error}"
            ) from error
        rows = [row.removesuffix("\r") for row in (rows[:-1] if rows[-1] == "" else rows)]
        seen: dict[str, int] = {}
        for number, row in enumerate(rows, start=1):
            character = unicodedata.normalize("NFC", row)
            if len(character) != 1:
                raise ValueError(
                    f"{path}:{number}: a line must hold exactly one character, got {row!r}"
                )
            if character in seen:
                raise ValueError(
                    f"{path}:{number}: {character!r} stands on line {seen[character]} already. Remove one of them"
                )
            seen[character] = number
        if not seen:
            raise ValueError(
                f"{path}: a charset must hold at least one character, got an empty file"
            )
        return cls("".join(seen))
