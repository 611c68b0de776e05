"""What is made of one segment alone and kept with its facts: its maker declares a typed `Note`, others ask by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from shadowlab.triage.spans import Part

Made = TypeVar("Made")


class Note(Generic[Made]):
    """One such thing; it holds for as long as the segment's facts are kept."""

    def known(self, part: Part) -> Made | None:
        """What was made of a part; None where nothing was yet."""
        return cast("Made | None", part.notes.get(self))

    def of(self, part: Part) -> Made:
        """What was made of a part, by someone before."""
        return cast("Made", part.notes[self])

    def keep(self, part: Part, made: Made) -> Made:
        """Put it in place of what was there."""
        part.notes[self] = made
        return made

    def once(self, part: Part, make: Callable[[Part], Made]) -> Made:
        """What `make` makes of a part, unless it was made before; of threads that make it at once, the first counts."""
        return self.of(part) if self in part.notes else cast("Made", part.notes.setdefault(self, make(part)))
