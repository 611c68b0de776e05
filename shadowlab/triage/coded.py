"""A column of texts as numbers: many rows, few different texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.arrays import array, encoded
from shadowlab.triage.spans import distinct

NONE = -1
"""Stands for a text that a row lacks."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Texts by their place in a list."""

    code: Any
    """An array of places, `NONE` where there is no text."""
    words: Sequence[str]
    """May hold one that no row has, and none twice."""

    def of(self, rows: Any) -> Coded:
        """Some of the rows: a slice, a mask, or places."""
        return Coded(self.code[rows], self.words)

    def text(self, row: int) -> str | None:
        """The text of one row."""
        return None if self.code[row] == NONE else self.words[self.code[row]]

    def texts(self) -> list[str | None]:
        """The text of every row."""
        return [None if code == NONE else self.words[code] for code in self.code.tolist()]

    def held(self) -> list[str]:
        """The different texts that rows have."""
        return [self.words[code] for code in distinct(self.code).tolist() if code != NONE]

    def by(self, others: Mapping[str, str]) -> Coded:
        """The same rows with other texts in the place of theirs, none for one that is not among `others`."""
        import numpy as np

        told = coded_texts([others.get(word) for word in self.words])
        return Coded(np.append(told.code, NONE)[self.code], told.words)

    def put(self, rows: Any, other: Coded) -> Coded:
        """The same with other texts in some rows."""
        both = joined([self, other])
        code = both.code[: len(self.code)]
        code[rows] = both.code[len(self.code) :]
        return Coded(code, both.words)


def coded(column: Any) -> Coded:
    """A column of an Arrow table, of texts or of a dictionary of such."""
    import numpy as np

    texts = encoded(column)
    return Coded(array(texts.indices, NONE).astype(np.int64), texts.dictionary.to_pylist())


def joined(told: Sequence[Coded]) -> Coded:
    """The rows of several, one after the other."""
    import numpy as np

    if len(told) == 1:
        return told[0]
    place: dict[str, int] = {}
    codes = []
    for one in told:
        of = np.array([*(place.setdefault(word, len(place)) for word in one.words), NONE])
        codes.append(of[one.code])  # the last stands for none
    return Coded(np.concatenate(codes), tuple(place))


def coded_texts(texts: Sequence[str | None]) -> Coded:
    """Texts as they come."""
    import numpy as np

    place: dict[str, int] = {}
    code = [NONE if text is None else place.setdefault(text, len(place)) for text in texts]
    return Coded(np.array(code, dtype=np.int64), tuple(place))
