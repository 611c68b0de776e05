"""Rows of PostgreSQL: those that went to the service through psycopg, and those that are asked for when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from shadowlab_recorder.database import ROWS_LIMIT
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.room import Room

_VALUES_LIMIT = 20_000
"""Values of one result."""


class Fetched:
    """A result of libpq, as the service got it."""

    def __init__(self, results: Iterable[Any], room: Room | None = None) -> None:
        self._results = [each for each in results if each.nfields]
        count = sum(each.ntuples for each in self._results)
        width = max((each.nfields for each in self._results), default=1)
        self.limit = min(ROWS_LIMIT, _VALUES_LIMIT // max(width, 1))
        if room is not None and count:
            size = max(_size(each) for each in self._results)
            self.limit = min(self.limit, room.take(size * min(count, self.limit)) // size)
        self.cut = count > self.limit
        if count > 4 * self.limit:  # too large to be held for long: a copy of its head
            self._head: list[tuple[Any, ...]] | None = list(self._decoded())
            self._results = []
        else:
            self._head = None

    def has(self, places: tuple[int, ...], wanted: list[str]) -> bool:
        pairs = list(zip(places, wanted, strict=True))
        if self._head is not None:
            return any(all(str(row[place]) == value for place, value in pairs) for row in self._head)
        return any(
            all(str(_text(result, row, place)) == value for place, value in pairs)
            for result in self._results
            for row in range(min(result.ntuples, self.limit))
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """Each value as the text that PostgreSQL prints."""
        return self._head if self._head is not None else list(self._decoded())

    def _decoded(self) -> Iterator[tuple[Any, ...]]:
        left = self.limit
        for result in self._results:
            for row in range(min(result.ntuples, left)):
                yield tuple(_text(result, row, column) for column in range(result.nfields))
            left = max(left - result.ntuples, 0)


class Deferred:
    """Rows that the service's transaction cannot tell any more, asked for on a connection of our own by the writer."""

    cut = False

    def __init__(self, connection: Any, text: str, values: list[Any]) -> None:
        info = connection.info
        self._asked = (f"{info.dsn} connect_timeout=2", info.password, text, values)
        self._rows: list[tuple[Any, ...]] | None = None

    def has(self, places: tuple[int, ...], wanted: list[str]) -> bool:
        return False

    def rows(self) -> list[tuple[Any, ...]]:
        if self._rows is None:
            self._rows = quietly(self._ask) or []
        return self._rows

    def _ask(self) -> list[tuple[Any, ...]]:
        import psycopg

        dsn, password, text, values = self._asked
        with psycopg.connect(dsn, password=password or None, autocommit=True) as connection:
            cursor = connection.execute(text, values)
            return Fetched([cursor.pgresult]).rows()


def _size(result: Any) -> int:
    """Bytes of a row, by the first one."""
    values = (result.get_value(0, column) for column in range(result.nfields)) if result.ntuples else ()
    return 16 * int(result.nfields) + sum(len(value or b"") for value in values)


def _text(result: Any, row: int, column: int) -> Any:
    value = result.get_value(row, column)
    if value is None:
        return None
    if result.fformat(column):  # binary, as a service may ask for it
        return {"binary": bytes(value).hex(), "type": int(result.ftype(column))}
    return bytes(value).decode("utf-8", "surrogateescape")
