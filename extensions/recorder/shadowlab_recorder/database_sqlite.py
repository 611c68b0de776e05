"""Note what a request does in SQLite, whoever opened the connection: sqlite3 itself, SQLAlchemy, Django."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from shadowlab_recorder.catalog_sqlite import catalog_of, changes, place_of
from shadowlab_recorder.database import ROWS_LIMIT, Log, Statement
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.room import Room
from shadowlab_recorder.rows_sqlite import Fetched
from shadowlab_recorder.sql import argument, arguments, parsed
from shadowlab_recorder.tape import Tape, current

_row_factory: Any = sqlite3.Cursor.row_factory  # the C member, which ours hides


def watch() -> None:
    """Connections that are opened from now on are listened to, once."""
    connect: Any = sqlite3.connect
    if hasattr(connect, "_shadowlab"):
        return

    def listened(*args: Any, **kwargs: Any) -> Any:
        factory = kwargs.get("factory", sqlite3.Connection)
        if len(args) <= 5 and isinstance(factory, type):
            kwargs["factory"] = _listening(ListeningConnection, factory)
        return connect(*args, **kwargs)

    listened.__doc__ = connect.__doc__
    listened._shadowlab = True  # type: ignore[attr-defined]  # the mark that is looked for above
    sqlite3.connect = listened
    sqlite3.dbapi2.connect = listened  # SQLAlchemy and Django look there


@lru_cache(maxsize=64)
def _listening(part: type, base: type) -> type:
    """The class that the service asked for, listened to; it goes by the same name."""
    named = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (part, base), {**named, "_shadowlab_base": base})


class ListeningConnection:
    """The part of a connection that makes cursors which are listened to, and notes the ends of transactions."""

    in_transaction: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shadowlab_address = str(args[0] if args else kwargs.get("database", ""))
        self._shadowlab_place = place_of(self._shadowlab_address)

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        base: Any = super()
        if not isinstance(factory, type):
            return base.cursor(factory)
        made = base.cursor(_listening(ListeningCursor, factory))
        dressed = _row_factory.__get__(made)
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
        base: Any = super()
        if self.in_transaction and current() is not None:
            quietly(_transaction, self, "commit")
        base.commit()

    def rollback(self) -> None:
        base: Any = super()
        if self.in_transaction and current() is not None:
            quietly(_transaction, self, "rollback")
        base.rollback()


class ListeningCursor:
    """The part of a cursor that keeps what it executes and fetches while a tape runs."""

    connection: Any
    _shadowlab_rows: Fetched | None = None
    _shadowlab_factory: Any = None

    @property
    def row_factory(self) -> Any:
        return self._shadowlab_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        """Rows come bare out of SQLite, so that they can be kept, and are dressed here."""
        self._shadowlab_factory = factory
        _row_factory.__set__(self, None)

    def execute(self, sql: str, parameters: Any = None, /) -> Any:
        base: Any = super()
        self._shadowlab_rows = None
        given = () if parameters is None else (parameters,)
        tape = current()
        if tape is None:
            quietly(_unrecorded, self, sql)
            base.execute(sql, *given)
            return self
        noted = quietly(_begin, self, tape, sql, parameters)
        try:
            base.execute(sql, *given)
        except Exception as error:
            quietly(_broke, noted, error, self, tape)
            raise
        quietly(_done, noted, self)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        base: Any = super()
        self._shadowlab_rows = None
        tape = current()
        if tape is None:
            base.executemany(sql, parameters)
            return self
        parameters = list(parameters)
        noted = [quietly(_begin, self, tape, sql, each) for each in parameters]
        try:
            base.executemany(sql, parameters)
        except Exception as error:
            quietly(_broke, noted[-1] if noted else None, error, self, tape)
            raise
        return self

    def executescript(self, script: str, /) -> Any:
        base: Any = super()
        quietly(_script, self, script)
        base.executescript(script)
        return self

    def fetchone(self) -> Any:
        base: Any = super()
        row = base.fetchone()
        return None if row is None else self._given(row)

    def fetchmany(self, *size: Any, **named: Any) -> Any:
        base: Any = super()
        return self._all_given(base.fetchmany(*size, **named))

    def fetchall(self) -> Any:
        base: Any = super()
        return self._all_given(base.fetchall())

    def __next__(self) -> Any:
        base: Any = super()
        return self._given(base.__next__())

    def _all_given(self, rows: list[Any]) -> list[Any]:
        if self._shadowlab_rows is None and self._shadowlab_factory is None:
            return rows
        return [self._given(row) for row in rows]

    def _given(self, row: Any) -> Any:
        if self._shadowlab_rows is not None and type(row) is tuple:
            self._shadowlab_rows.add(row)
        factory = self._shadowlab_factory
        return row if factory is None or type(row) is not tuple else factory(self, row)


def _log(connection: Any, tape: Tape) -> Log | None:
    log = tape.log
    if log is not None and log.address == connection._shadowlab_address:
        return log
    return tape.database("sqlite", connection._shadowlab_address, sqlite3.sqlite_version)


def _transaction(connection: Any, what: str) -> None:
    tape = current()
    log = _log(connection, tape) if tape is not None else None
    if log is not None:
        log.statement(what, (), parsed(what))


def _unrecorded(cursor: Any, sql: str) -> None:
    """A statement outside of a request: it may be what makes the tables."""
    if type(sql) is str and parsed(sql).kind == "other" and not _is_pragma(sql):
        changes(cursor.connection)


def _is_pragma(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "PRAGMA"


def _script(cursor: Any, script: str) -> None:
    changes(cursor.connection)
    tape = current()
    log = _log(cursor.connection, tape) if tape is not None else None
    if log is not None:
        log.doubt(f"a script of several statements: {script[:120]}")


def _begin(cursor: Any, tape: Tape, sql: str, parameters: Any) -> Statement | None:
    """Notes a statement, and the rows that it is about to change."""
    connection = cursor.connection
    log = _log(connection, tape)
    if log is None:
        return None
    found = parsed(sql)
    if found.kind == "other":
        if _is_pragma(sql):
            return None
        changes(connection)
    noted = log.statement(sql, parameters or (), found)
    if noted is None:
        return None
    if found.kind == "select":
        noted.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.hidden:
            noted.doubt = f"rows of a subquery: {sql[:120]}"
    elif found.kind in ("insert", "update", "delete"):
        _note_write(cursor, noted, log)
        noted.started = time.perf_counter()
    return noted


def _note_write(cursor: Any, noted: Statement, log: Log) -> None:
    found = noted.parsed
    if not found.tables or found.hidden:
        noted.doubt = f"the rows before: {noted.text[:120]}"
        return
    noted.target = table = catalog_of(cursor.connection).table(cursor.connection, found.tables[0][0])
    if table is None:
        noted.doubt = f"the table of: {noted.text[:120]}"
    elif found.kind == "insert":
        noted.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.conflict:
            noted.before = _conflicting(cursor, noted, table.key, log.room)
    elif found.by_key and log.knows(
        table, {n: argument(noted.parameters, m, noted.text) for n, m in found.by_key.items()}
    ):
        noted.known = True
    elif found.rows is not None:
        noted.before = _select(cursor, found.rows.text, arguments(noted.parameters, found.rows.marks), log.room)


def _select(cursor: Any, text: str, parameters: Any, room: Room | None) -> Fetched:
    """Rows, asked for by a cursor of the service's own kind: Django's writes its marks as %s."""
    base: Any = cursor._shadowlab_base
    asked = base(cursor.connection)
    _row_factory.__set__(asked, None)  # bare tuples
    found = Fetched(room)
    asked.execute(text, parameters)
    for row in asked.fetchmany(ROWS_LIMIT + 1):
        found.add(row)
    asked.close()
    return found


def _done(noted: Statement | None, cursor: Any) -> None:
    """After a statement that went well: where its columns come from, and the rest of rows of which it tells a part."""
    if noted is None:
        return
    noted.touch()
    found = noted.parsed
    if found.kind == "select" and found.tables:
        _read(noted, cursor)
        return
    noted.row_count = cursor.rowcount if cursor.rowcount >= 0 else None
    if cursor.description:
        noted.columns = tuple(each[0] for each in cursor.description)
    else:
        noted.result = cursor._shadowlab_rows = None
    if found.kind == "insert" and noted.result is None:
        noted.first_id = cursor.lastrowid


def _read(noted: Statement, cursor: Any) -> None:
    reading = noted.reading = catalog_of(cursor.connection).reading(noted, cursor)
    noted.columns = reading.columns
    noted.doubt = noted.doubt or reading.doubt
    for table, query in reading.more:
        room = cursor._shadowlab_rows.room
        rows = _select(cursor, query.text, arguments(noted.parameters, query.marks), room)
        noted.whole = (*noted.whole, (table, rows))


def _broke(noted: Statement | None, error: Exception, cursor: Any, tape: Tape) -> None:
    if noted is None:
        return
    noted.touch()
    code = getattr(error, "sqlite_errorname", None)
    noted.error = {"type": f"sqlite3.{type(error).__qualname__}", "message": str(error)[:500], "code": code}
    prefix = "UNIQUE constraint failed: "
    if noted.target is not None and str(error).startswith(prefix):
        columns = tuple(each.rpartition(".")[2] for each in str(error)[len(prefix) :].split(", "))
        noted.in_the_way = _conflicting(cursor, noted, columns, tape.room)


def _conflicting(cursor: Any, noted: Statement, columns: Sequence[str], room: Room | None) -> Fetched | None:
    """The row in whose way an insert is, or would be."""
    put = noted.parsed.columns
    if not columns or noted.target is None or not set(columns) <= set(put):
        return None
    values = [argument(noted.parameters, put[column], noted.text) for column in columns]
    asked = sqlite3.Cursor(cursor.connection)
    condition = " AND ".join(f'"{column}" = ?' for column in columns)
    found = Fetched(room)
    for row in asked.execute(f'SELECT * FROM "{noted.target.name}" WHERE {condition}', values).fetchmany(ROWS_LIMIT):
        found.add(row)
    return found
