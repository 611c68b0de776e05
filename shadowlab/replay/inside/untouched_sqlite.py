"""SQLite's connections and cursors, which ask before each statement whether it may run, however they are made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from .untouched import UntouchedDatabase

_WHOLE = ("backup", "serialize", "blobopen")
"""Ways to read or write without a statement."""


def within(database: Any) -> bool:
    """Whether a database lives in memory alone: nothing of production's is in it."""
    name = database.decode(errors="replace") if isinstance(database, bytes) else str(database)
    return name in ("", ":memory:", "file::memory:") or "mode=memory" in name or name.startswith("file::memory:?")


def asking(
    untouched: UntouchedDatabase, placed: Callable[[Any], Any], opened: Callable[[Any], None]
) -> tuple[type, type]:
    """Classes to stand for `sqlite3.Connection` and `sqlite3.Cursor`.

    `placed` says where a database lies that was asked for; `opened` is given each new connection.
    """

    def ask(connection: Any, statement: Any) -> None:
        heard = isinstance(statement, str) and not connection._alone
        if heard and (why := untouched.refusal(statement)):
            raise sqlite3.OperationalError(why)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *given: Any) -> Any:
            ask(self.connection, sql)
            return super().execute(sql, *given)

        def executemany(self, sql: str, *given: Any) -> Any:
            ask(self.connection, sql)
            return super().executemany(sql, *given)

        def executescript(self, script: str) -> Any:
            ask(self.connection, script)
            return super().executescript(script)

    class Connection(sqlite3.Connection):
        def __init__(self, database: Any, *args: Any, **named: Any) -> None:
            place = placed(database)
            super().__init__(place, *args, **named)
            self._alone = within(place)
            if self._alone:
                Connection.set_authorizer(self, None)
            opened(self)

        def __call__(self, sql: str) -> Any:
            ask(self, sql)
            return super().__call__(sql)

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        def set_authorizer(self, authorizer_callback: Any) -> None:
            """A database in memory may take a file in, which is heard before the service's own callback is asked."""
            super().set_authorizer(_attaching(untouched, authorizer_callback) if self._alone else authorizer_callback)

    for name in _WHOLE:
        if hasattr(sqlite3.Connection, name):  # Python 3.11 has all three
            setattr(Connection, name, _asking(getattr(sqlite3.Connection, name), name, untouched))
    return _named_as(sqlite3.Connection, Connection), _named_as(sqlite3.Cursor, Cursor)


def _asking(method: Any, name: str, untouched: UntouchedDatabase) -> Any:
    def asked(self: Any, *args: Any, **named: Any) -> Any:
        sides = (self, *args, *named.values())  # a backup has two
        if untouched.refusing and not all(getattr(side, "_alone", True) for side in sides):
            raise sqlite3.OperationalError(untouched.refused(name))
        return method(self, *args, **named)

    return asked


def _attaching(untouched: UntouchedDatabase, theirs: Any) -> Callable[..., int]:
    def authorized(action: int, first: str | None, *others: str | None) -> Any:
        in_memory = first is not None and within(first)  # it is None where a parameter or an expression stands
        if action == sqlite3.SQLITE_ATTACH and not in_memory and untouched.unheard("ATTACH of a file"):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if theirs is None else theirs(action, first, *others)

    return authorized


def _named_as(base: type, made: type) -> type:
    """The class goes by the name of the one that it stands for."""
    made.__module__, made.__name__, made.__qualname__ = base.__module__, base.__name__, base.__qualname__
    made.__doc__ = base.__doc__
    return made
