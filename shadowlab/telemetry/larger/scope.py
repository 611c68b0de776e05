"""What part of an archive a question is about. Engines turn it into their own WHERE, so that nothing else is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from shadowlab import errors

MARGIN_NS: Final = 3_600_000_000_000
"""How long before and after the window the rest of a trace is looked for: an hour."""
_TRACE: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Scope:
    """A window, and in it services or one trace; `whole` widens it to every span of the traces that it touches."""

    start_ns: int
    """Nanoseconds since 1970, included."""
    end_ns: int
    """Nanoseconds since 1970, excluded."""
    services: tuple[str, ...] = ()
    trace_id: str | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        if self.start_ns >= self.end_ns:
            raise errors.UsageError("the window is empty", hint="its end must come after its start")
        if self.trace_id is not None and not _TRACE.fullmatch(self.trace_id):
            raise errors.UsageError(f"{self.trace_id!r} is no trace id", hint="32 hex digits, lower case")

    def reaching_back(self, ns: int) -> Scope:
        """The scope with what began up to `ns` before it."""
        return replace(self, start_ns=max(0, self.start_ns - ns))

    def widened(self) -> Scope:
        """The window with the margin in which the rest of its traces lies."""
        return Scope(max(0, self.start_ns - MARGIN_NS), self.end_ns + MARGIN_NS)


@dataclass(frozen=True, slots=True)
class Columns:
    """What one table of an engine calls the things that a scope bounds, as SQL."""

    table: str
    time: Callable[[str, int], str]
    """Operator and nanoseconds to a condition on the table's time, with its partitions."""
    literal: Callable[[str], str]
    service: str
    trace: str | None = None
    """None for what belongs to no trace: metric points."""
    spans: Columns | None = None
    """Where the traces of a scope are looked up, when that is another table."""

    def where(self, scope: Scope) -> str:
        """The condition that keeps the rows of `scope`."""
        if self.trace is None:
            return "1 = 0" if scope.trace_id else self._touched(scope)
        if not scope.whole:
            return self._touched(scope)
        of = self.spans or self
        traces = f"{self.trace} IN (SELECT {of.trace} FROM {of.table} WHERE {of._touched(scope)})"
        own = f" OR ({self._touched(scope)})" if self.spans and not scope.trace_id else ""
        return f"{self._touched(scope.widened())} AND ({traces}{own})"

    def _touched(self, scope: Scope) -> str:
        told = [self.time(">=", scope.start_ns), self.time("<", scope.end_ns)]
        if scope.services:
            told.append(f"{self.service} IN ({', '.join(self.literal(name) for name in scope.services)})")
        if scope.trace_id and self.trace:
            told.append(f"{self.trace} = {self.literal(scope.trace_id)}")
        return " AND ".join(told)


@dataclass(frozen=True, slots=True)
class OfTraces:
    """A table without a time of its own: what belongs to the spans of a scope."""

    spans: Columns
    trace: str = "trace_id"

    def where(self, scope: Scope) -> str:
        """The condition that keeps the rows of `scope`."""
        return f"{self.trace} IN (SELECT {self.spans.trace} FROM {self.spans.table} WHERE {self.spans.where(scope)})"


class Bounds(Protocol):
    """Whatever turns a scope into a condition."""

    def where(self, scope: Scope) -> str:
        """The condition that keeps the rows of `scope`."""
