"""Connections and cursors of SQLite that ask before each statement whether it may run."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Any

from .unasked import Unasked

_WHOLE = ("backup", "serialize", "blobopen")
"""Ways to read or write without a statement."""


def within(database: Any) -> bool:
    """Whether a database lives in memory alone: nothing of production's is in it."""
    name = database.decode(errors="replace") if isinstance(database, bytes) else str(database)
    return name in ("", ":memory:", "file::memory:") or "mode=memory" in name or name.startswith("file::memory:?")


@lru_cache(maxsize=64)
def asking_connection(base: Any, unasked: Unasked) -> type:
    """A class of connections whose cursors ask first."""

    class Connection(base):  # type: ignore[misc]  # whatever the service asked for
        def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
            if isinstance(factory, type):
                return super().cursor(_asking_cursor(factory, unasked))
            if unasked.refusing:
                raise sqlite3.OperationalError(unasked.refused("a cursor of its own kind"))
            return super().cursor(factory)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

    for name in _WHOLE:
        if hasattr(base, name):  # Python 3.11 has all three
            setattr(Connection, name, _asking(getattr(base, name), name, unasked))
    return _named_as(base, Connection)


@lru_cache(maxsize=64)
def _asking_cursor(base: Any, unasked: Unasked) -> type:
    class Cursor(base):  # type: ignore[misc]  # whatever the service asked for
        def execute(self, sql: str, *given: Any) -> Any:
            _ask(unasked, sql)
            return super().execute(sql, *given)

        def executemany(self, sql: str, *given: Any) -> Any:
            _ask(unasked, sql)
            return super().executemany(sql, *given)

        def executescript(self, script: str) -> Any:
            _ask(unasked, script)
            return super().executescript(script)

    return _named_as(base, Cursor)


def _asking(method: Any, name: str, unasked: Unasked) -> Any:
    def asked(self: Any, *args: Any, **named: Any) -> Any:
        if unasked.refusing:
            raise sqlite3.OperationalError(unasked.refused(name))
        return method(self, *args, **named)

    return asked


def _ask(unasked: Unasked, statement: Any) -> None:
    why = unasked.refusal(statement) if isinstance(statement, str) else None
    if why is not None:
        raise sqlite3.OperationalError(why)


def _named_as(base: type, made: type) -> type:
    """The class goes by the name of the one that the service asked for."""
    made.__module__, made.__name__, made.__qualname__ = base.__module__, base.__name__, base.__qualname__
    made.__doc__ = base.__doc__
    return made
