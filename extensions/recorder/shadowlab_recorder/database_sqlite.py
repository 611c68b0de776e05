"""Listen to SQLite, whoever opened the connection: sqlite3 itself, SQLAlchemy, Django."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from time import perf_counter
from typing import Any

from shadowlab_recorder.catalog_sqlite import place_of
from shadowlab_recorder.database import Statement, many
from shadowlab_recorder.quiet import log_fault, quietly
from shadowlab_recorder.rows_sqlite import Fetched
from shadowlab_recorder.statements_sqlite import (
    ROW_FACTORY,
    begin_statement,
    end_statement,
    end_transaction,
    fail_statement,
    note_script,
    note_unrecorded,
)
from shadowlab_recorder.tape import current, recall

_Connection, _Cursor = sqlite3.Connection, sqlite3.Cursor


def watch() -> None:
    """Connections that are opened from now on are listened to, once."""
    connect: Any = sqlite3.connect
    if hasattr(connect, "_shadowlab"):
        return

    def listened(*args: Any, **kwargs: Any) -> Any:
        factory = kwargs.get("factory", _Connection)
        if len(args) <= 5 and isinstance(factory, type):
            kwargs["factory"] = listening_connection(factory)
        return connect(*args, **kwargs)

    listened.__doc__ = connect.__doc__
    listened._shadowlab = True  # type: ignore[attr-defined]  # the mark that is looked for above
    sqlite3.connect = listened
    sqlite3.dbapi2.connect = listened  # SQLAlchemy and Django look there


@lru_cache(maxsize=64)
def listening_connection(base: Any) -> type:
    """A class of connections whose cursors are listened to; it notes the ends of transactions."""
    own, plain, begin = base.cursor, listening_cursor(_Cursor), base.__init__

    class Connection(base):  # type: ignore[misc]  # whatever the service asked for
        __slots__ = ("_shadowlab_address", "_shadowlab_place")

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            self._shadowlab_address = str(args[0] if args else kwargs.get("database", ""))
            self._shadowlab_place = place_of(self._shadowlab_address)

        def cursor(self, factory: Any = _Cursor) -> Any:
            if factory is _Cursor:
                made = own(self, plain)
            elif isinstance(factory, type):
                made = own(self, listening_cursor(factory))
            else:
                return own(self, factory)
            dressed = ROW_FACTORY.__get__(made)
            if dressed is not None:
                made.row_factory = dressed
            return made

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        def commit(self) -> None:
            tape = recall()
            if tape is not None and not tape.closed and self.in_transaction:
                end_transaction(self, tape, "commit")
            base.commit(self)

        def rollback(self) -> None:
            tape = recall()
            if tape is not None and not tape.closed and self.in_transaction:
                end_transaction(self, tape, "rollback")
            base.rollback(self)

    return _named_as(base, Connection)


@lru_cache(maxsize=64)
def listening_cursor(base: Any) -> type:
    """A class of cursors that keep what they execute and fetch while a tape runs.

    Rows come bare out of SQLite, so that they can be kept, and get the service's `row_factory` here.
    """
    execute_one, fetch_one = base.execute, base.fetchone

    class Cursor(base):  # type: ignore[misc]  # whatever the service asked for
        _shadowlab_rows: Fetched | None = None
        _shadowlab_factory: Any = None
        _shadowlab_base = base

        @property
        def row_factory(self) -> Any:
            return self._shadowlab_factory

        @row_factory.setter
        def row_factory(self, factory: Any) -> None:
            self._shadowlab_factory = factory
            ROW_FACTORY.__set__(self, None)

        def execute(self, sql: str, parameters: Any = None, /) -> Any:
            given = () if parameters is None else (parameters,)
            tape = recall()
            if self._shadowlab_rows is not None:
                self._shadowlab_rows = None
            if tape is None or tape.closed:
                quietly(note_unrecorded, self, sql)
                execute_one(self, sql, *given)
                return self
            begun = None
            try:
                begun = begin_statement(self, tape, sql, parameters)
            except Exception as error:
                log_fault(error, "execute")
            try:
                execute_one(self, sql, *given)
            except Exception as error:
                quietly(fail_statement, begun, error, self, tape)
                raise
            try:
                if isinstance(begun, tuple) and (log := tape.log) is not None:
                    log.noted.append((*begun, perf_counter(), self.rowcount if begun[3] is None else None))
                elif isinstance(begun, Statement):
                    end_statement(begun, self)
            except Exception as error:
                log_fault(error, "execute")
            return self

        def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
            self._shadowlab_rows = None
            tape = current()
            if tape is None:
                base.executemany(self, sql, parameters)
                return self
            first, parameters = many(parameters)
            begun = [quietly(begin_statement, self, tape, sql, each) for each in first]
            try:
                base.executemany(self, sql, parameters)
            except Exception as error:
                quietly(fail_statement, begun[-1] if begun else None, error, self, tape)
                raise
            return self

        def executescript(self, script: str, /) -> Any:
            self._shadowlab_rows = None
            quietly(note_script, self, script)
            base.executescript(self, script)
            return self

        def fetchone(self) -> Any:
            row, kept = fetch_one(self), self._shadowlab_rows
            if type(row) is not tuple:
                return row
            if kept is not None:
                kept.add(row)
            factory = self._shadowlab_factory
            return row if factory is None else factory(self, row)

        def fetchmany(self, *size: Any, **named: Any) -> Any:
            return _all_given(self, base.fetchmany(self, *size, **named))

        def fetchall(self) -> Any:
            return _all_given(self, base.fetchall(self))

        def __next__(self) -> Any:
            return _given(self, base.__next__(self))

    return _named_as(base, Cursor)


def _named_as(base: type, made: type) -> type:
    """The class goes by the name of the one that the service asked for."""
    made.__module__, made.__name__, made.__qualname__ = base.__module__, base.__name__, base.__qualname__
    made.__doc__ = base.__doc__
    return made


def _all_given(cursor: Any, rows: list[Any]) -> list[Any]:
    if cursor._shadowlab_rows is None and cursor._shadowlab_factory is None:
        return rows
    return [_given(cursor, row) for row in rows]


def _given(cursor: Any, row: Any) -> Any:
    if type(row) is not tuple:
        return row
    kept, factory = cursor._shadowlab_rows, cursor._shadowlab_factory
    if kept is not None:
        kept.add(row)
    return row if factory is None else factory(cursor, row)
