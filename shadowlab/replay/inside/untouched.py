"""Refuse what a request asks of a database of which it asked nothing in production: nothing is known that answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from . import statements

_MOST_EARLY = 20


class UntouchedDatabase:
    """Knows whether an untouched request runs, and hears of every statement."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.refusing = False
        self.early: dict[str, None] = {}
        """What was asked for, or may have been, before a request began: an empty database answered."""

    @contextlib.contextmanager
    def during(self, asked_nothing: bool) -> Iterator[None]:
        """Refuse statements while the block runs, if its request asked nothing when it was recorded."""
        self.refusing = asked_nothing
        try:
            yield
        finally:
            self.refusing = False

    def refusal(self, statement: str) -> str | None:
        """Why a statement may not run; None when it may."""
        if statements.harmless(statement):
            return None
        if self.refusing:
            return self.refused(statements.summary(statement))
        if statements.asks_for_rows(statement):
            self._before(statements.summary(statement))
        return None

    def unheard(self, what: str) -> str | None:
        """Why a connection may not be made whose statements nobody could hear; None when it may."""
        if self.refusing:
            return self.refused(what)
        self._before(what)
        return None

    def _before(self, what: str) -> None:
        if len(self.early) < _MOST_EARLY:
            self.early[what] = None

    def refused(self, what: str) -> str:
        """Remembers that the request asked for this, and says why it gets nothing."""
        why = f"nothing was asked of the database when it was recorded, now: {what}"
        self._tell(why)
        return why
