"""Note what a request does in SQLite, whoever opened the connection: sqlite3 itself, SQLAlchemy, Django."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any

from shadowlab_recorder.catalog_sqlite import catalog_of, changes, place_of, plain_reading
from shadowlab_recorder.database import ROWS_LIMIT, Log, Reading, Statement, many
from shadowlab_recorder.quiet import quietly, said
from shadowlab_recorder.room import Room
from shadowlab_recorder.rows_sqlite import Fetched
from shadowlab_recorder.sql import argument, arguments, parsed
from shadowlab_recorder.tape import Tape, current, recall

_row_factory: Any = sqlite3.Cursor.row_factory  # the C member, which ours hides
_Connection, _Cursor, _VERSION = sqlite3.Connection, sqlite3.Cursor, sqlite3.sqlite_version
_ENDS = {what: Reading(parsed(what)) for what in ("commit", "rollback")}
Begun = tuple[Reading, str, tuple[Any, ...], "Fetched | None", float]
"""What is known of a `Plain` statement before it is executed."""


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
            tape = recall()
            if tape is not None and not tape.closed and self.in_transaction:
                _transaction(self, tape, "commit")
            base.commit(self)

        def rollback(self) -> None:
            tape = recall()
            if tape is not None and not tape.closed and self.in_transaction:
                _transaction(self, tape, "rollback")
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
            _row_factory.__set__(self, None)

        def execute(self, sql: str, parameters: Any = None, /) -> Any:
            given = () if parameters is None else (parameters,)
            tape = recall()
            if self._shadowlab_rows is not None:
                self._shadowlab_rows = None
            if tape is None or tape.closed:
                quietly(_unrecorded, self, sql)
                execute_one(self, sql, *given)
                return self
            noted = None
            try:
                noted = _begin(self, tape, sql, parameters)
            except Exception as error:
                said(error, "execute")
            try:
                execute_one(self, sql, *given)
            except Exception as error:
                quietly(_broke, noted, error, self, tape)
                raise
            try:
                if isinstance(noted, tuple) and (log := tape.log) is not None:
                    log.noted.append((*noted, perf_counter(), self.rowcount if noted[3] is None else None))
                elif isinstance(noted, Statement):
                    _done(noted, self)
            except Exception as error:
                said(error, "execute")
            return self

        def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
            self._shadowlab_rows = None
            tape = current()
            if tape is None:
                base.executemany(self, sql, parameters)
                return self
            first, parameters = many(parameters)
            noted = [quietly(_begin, self, tape, sql, each) for each in first]
            try:
                base.executemany(self, sql, parameters)
            except Exception as error:
                quietly(_broke, noted[-1] if noted else None, error, self, tape)
                raise
            return self

        def executescript(self, script: str, /) -> Any:
            self._shadowlab_rows = None
            quietly(_script, self, script)
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


def _transaction(connection: Any, tape: Tape, what: str) -> None:
    try:
        log = tape.database("sqlite", connection._shadowlab_address, _VERSION)
        if log is not None and log.takes(what):
            log.noted.append((_ENDS[what], what, (), None, 0.0, 0.0, None))
    except Exception as error:
        said(error, what)


def _unrecorded(cursor: Any, sql: str) -> None:
    """A statement outside of a request: it may be what makes the tables."""
    if type(sql) is str and parsed(sql).kind == "other" and not _is_pragma(sql):
        changes(cursor.connection)


def _is_pragma(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "PRAGMA"


def _script(cursor: Any, script: str) -> None:
    changes(cursor.connection)
    tape = current()
    if tape is None:
        return
    log = tape.database("sqlite", cursor.connection._shadowlab_address, _VERSION)
    if log is not None:
        log.doubt(f"a script of several statements: {script[:120]}")


def _begin(cursor: Any, tape: Tape, sql: str, parameters: Any) -> Statement | Begun | None:
    """Notes a statement, and the rows that it is about to change."""
    connection, log, now = cursor.connection, tape.log, perf_counter()
    if log is None or log.address != connection._shadowlab_address:
        log = tape.database("sqlite", connection._shadowlab_address, _VERSION)
        if log is None:
            return None
    reading = plain_reading(connection, sql, now)
    if reading is not None and type(parameters) is tuple:
        if reading.target is None:
            if log.takes(sql):
                rows = cursor._shadowlab_rows = Fetched(log.room)
                return (reading, sql, parameters, rows, now)
        elif log.knows(reading.target, [str(parameters[mark]) for mark in reading.marks]) and log.takes(sql):
            return (reading, sql, parameters, None, now)
    found = parsed(sql)
    kind = found.kind
    if kind == "other":
        if _is_pragma(sql):
            return None
        changes(connection)
    noted = log.statement(sql, parameters or (), found)
    if noted is None:
        return None
    if kind == "select":
        noted.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.hidden:
            noted.doubt = f"rows of a subquery: {sql[:120]}"
    elif kind in ("insert", "update", "delete"):
        _note_write(cursor, noted, log)
        if noted.before is not None:
            noted.started = perf_counter()
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
    elif (marks := found.key_marks(table.key)) and log.knows(table, _values(noted, marks)):
        noted.known = True
    elif found.rows is not None:
        noted.before = _select(cursor, found.rows.text, arguments(noted.parameters, found.rows.marks), log.room)


def _values(noted: Statement, marks: tuple[int, ...]) -> list[str]:
    """The parameters at these marks, as text."""
    given = noted.parameters
    if type(given) is tuple:
        return list(map(str, map(given.__getitem__, marks)))
    return [str(argument(given, mark, noted.text)) for mark in marks]


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


def _done(noted: Statement, cursor: Any) -> None:
    """After a statement that went well: where its columns come from, and the rest of rows of which it tells a part."""
    noted.touch()
    found = noted.parsed
    if found.kind == "select" and found.tables:
        catalog = catalog_of(cursor.connection)
        reading = noted.reading = catalog.readings.get(noted.text) or catalog.read(noted, cursor)
        if reading.doubt or reading.more:
            _read_more(noted, cursor)
        return
    noted.row_count = cursor.rowcount if cursor.rowcount >= 0 else None
    if cursor.description:
        noted.named = tuple(each[0] for each in cursor.description)
    else:
        noted.result = cursor._shadowlab_rows = None
        if noted.known:
            _remember(noted, cursor.connection)
    if found.kind == "insert" and noted.result is None:
        noted.first_id = cursor.lastrowid


def _remember(noted: Statement, connection: Any) -> None:
    """The next time, this write to a row that was read before need not be worked out."""
    catalog, found = catalog_of(connection), noted.parsed
    table = catalog.table(connection, found.tables[0][0])
    if table is not None and table is noted.target:
        catalog.remember(noted.text, Reading(found, target=table, marks=found.key_marks(table.key)))


def _read_more(noted: Statement, cursor: Any) -> None:
    """The rows of which a select has told a part."""
    noted.doubt = noted.doubt or noted.reading.doubt
    for table, query in noted.reading.more:
        room = cursor._shadowlab_rows.room
        rows = _select(cursor, query.text, arguments(noted.parameters, query.marks), room)
        noted.whole = (*noted.whole, (table, rows))


def _broke(noted: Statement | Begun | None, error: Exception, cursor: Any, tape: Tape) -> None:
    if noted is None:
        return
    if isinstance(noted, tuple):
        noted = Statement.of((*noted, 0.0, None))
        if tape.log is not None:
            tape.log.noted.append(noted)
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
