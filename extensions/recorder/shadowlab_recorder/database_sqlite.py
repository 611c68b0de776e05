"""Note what a request does in SQLite, whoever opened the connection: sqlite3 itself, SQLAlchemy, Django."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from shadowlab_recorder.database import ROWS_LIMIT, Log, Statement, Table
from shadowlab_recorder.plain import plain
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.room import Room
from shadowlab_recorder.sql import Query, argument, arguments, parsed
from shadowlab_recorder.tape import current

_catalog: dict[tuple[str, int], dict[str, Table | None]] = {}
Known = tuple[tuple["tuple[Table, str] | None", ...], tuple[tuple[Table, Query], ...], str]
_known: dict[tuple[Any, ...], Known] = {}
"""What was worked out about a select, by its text and its tables."""
_CHECK_EVERY_S = 1.0
_row_factory: Any = sqlite3.Cursor.row_factory  # the C member, which ours hides


class Fetched:
    """Rows that went to the service, kept as they are until they are wanted."""

    def __init__(self, room: Room | None) -> None:
        self.kept: list[tuple[Any, ...]] = []
        self.cut = False
        self._room = room

    def add(self, row: tuple[Any, ...]) -> None:
        size = 56 + sum(len(value) if isinstance(value, (str, bytes)) else 16 for value in row)
        if len(self.kept) < ROWS_LIMIT and (self._room is None or self._room.take(size) == size):
            self.kept.append(row)
        else:
            self.cut = True

    def has(self, wanted: dict[int, str]) -> bool:
        return any(all(str(row[place]) == value for place, value in wanted.items()) for row in self.kept)

    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(_value(value) for value in row) for row in self.kept]


def _value(value: Any) -> Any:
    """A value as SQLite holds it: what a converter made of it is turned back by the adapter of its type."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"real": str(value)}
    if not isinstance(value, (type(None), int, float, str, bytes)):
        value = sqlite3.adapt(value, sqlite3.PrepareProtocol, str(value))
    return plain(value)[0]


def watch() -> None:
    """Connections that are opened from now on are listened to, once."""
    connect: Any = sqlite3.connect
    if hasattr(connect, "_shadowlab"):
        return

    def listened(*args: Any, **kwargs: Any) -> Any:
        factory = kwargs.get("factory", sqlite3.Connection)
        if len(args) <= 5 and isinstance(factory, type):
            kwargs["factory"] = _connections(factory)
        return connect(*args, **kwargs)

    listened.__doc__ = connect.__doc__
    listened._shadowlab = True  # type: ignore[attr-defined]  # the mark that is looked for above
    sqlite3.connect = listened
    sqlite3.dbapi2.connect = listened  # SQLAlchemy and Django look there


@lru_cache(maxsize=64)
def _connections(base: type) -> type:
    """A class of connections whose cursors are listened to."""

    class Listened(base):  # type: ignore[misc]  # whichever the service asked for
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._shadowlab_tables: dict[str, Table | None] | None = None
            self._shadowlab_checked = 0.0
            self._shadowlab_address = str(args[0] if args else kwargs.get("database", ""))

        def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
            if not isinstance(factory, type):
                return super().cursor(factory)
            made = super().cursor(_cursors(factory))
            made.row_factory = _row_factory.__get__(made)
            return made

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        def commit(self) -> None:
            quietly(_transaction, self, "commit")
            super().commit()

        def rollback(self) -> None:
            quietly(_transaction, self, "rollback")
            super().rollback()

    Listened.__name__, Listened.__qualname__, Listened.__module__ = base.__name__, base.__qualname__, base.__module__
    return Listened


@lru_cache(maxsize=64)
def _cursors(base: type) -> type:
    """A class of cursors that keep what they execute and fetch while a tape runs."""

    class Listened(base):  # type: ignore[misc]  # whichever the service asked for
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
            self._shadowlab_rows = None
            given = () if parameters is None else (parameters,)
            tape = current()
            if tape is None:
                super().execute(sql, *given)
                return self
            noted = quietly(_begin, self, base, sql, parameters)
            try:
                super().execute(sql, *given)
            except Exception as error:
                quietly(_broke, noted, error, self)
                raise
            quietly(_done, noted, self, base)
            return self

        def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
            self._shadowlab_rows = None
            if current() is None:
                super().executemany(sql, parameters)
                return self
            parameters = list(parameters)
            noted = [quietly(_begin, self, base, sql, each) for each in parameters]
            try:
                super().executemany(sql, parameters)
            except Exception as error:
                quietly(_broke, noted[-1] if noted else None, error, self)
                raise
            return self

        def executescript(self, script: str, /) -> Any:
            quietly(_script, self, script)
            super().executescript(script)
            return self

        def fetchone(self) -> Any:
            row = super().fetchone()
            return None if row is None else self._given(row)

        def fetchmany(self, *size: Any, **named: Any) -> Any:
            return [self._given(row) for row in super().fetchmany(*size, **named)]

        def fetchall(self) -> Any:
            return [self._given(row) for row in super().fetchall()]

        def __next__(self) -> Any:
            return self._given(super().__next__())

        def _given(self, row: Any) -> Any:
            if self._shadowlab_rows is not None and type(row) is tuple:
                self._shadowlab_rows.add(row)
            factory = self._shadowlab_factory
            return row if factory is None or type(row) is not tuple else factory(self, row)

    Listened.__name__, Listened.__qualname__, Listened.__module__ = base.__name__, base.__qualname__, base.__module__
    return Listened


def _log(connection: Any) -> Log | None:
    tape = current()
    if tape is None:
        return None
    return tape.database("sqlite", connection._shadowlab_address, sqlite3.sqlite_version)


def _room() -> Room | None:
    tape = current()
    return tape.room if tape is not None else None


def _transaction(connection: Any, what: str) -> None:
    log = _log(connection) if connection.in_transaction else None
    if log is not None:
        log.statement(what, (), parsed(what))


def _script(cursor: Any, script: str) -> None:
    log = _log(cursor.connection)
    if log is not None:
        log.doubt(f"a script of several statements: {script[:120]}")


def _begin(cursor: Any, base: type, sql: str, parameters: Any) -> Statement | None:
    """Notes a statement, and the rows that it is about to change."""
    connection = cursor.connection
    log = _log(connection)
    if log is None:
        return None
    found = parsed(sql)
    if found.kind == "other":
        connection._shadowlab_tables = None  # it may change the schema
        if sql.lstrip()[:6].upper() == "PRAGMA":
            return None
    noted = log.statement(sql, parameters or (), found)
    if noted is None:
        return None
    if found.kind in ("insert", "update", "delete"):
        _note_write(cursor, base, noted, log)
    elif found.kind == "select":
        noted.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.hidden:
            noted.doubt = f"rows of a subquery: {sql[:120]}"
    noted.started = time.perf_counter()
    return noted


def _note_write(cursor: Any, base: type, noted: Statement, log: Log) -> None:
    found = noted.parsed
    if not found.tables or found.hidden:
        noted.doubt = f"the rows before: {noted.text[:120]}"
        return
    noted.target = table = _table(cursor.connection, found.tables[0][0])
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
        noted.before = _select(cursor, base, found.rows.text, arguments(noted.parameters, found.rows.marks), log.room)


def _select(cursor: Any, base: type, text: str, parameters: Any, room: Room | None) -> Fetched:
    """Rows, asked for by a cursor of the service's own kind: Django's writes its marks as %s."""
    asked = base(cursor.connection)
    _row_factory.__set__(asked, None)  # bare tuples
    found = Fetched(room)
    base.execute(asked, text, parameters)  # type: ignore[attr-defined]  # a class of cursors
    for row in base.fetchmany(asked, ROWS_LIMIT + 1):  # type: ignore[attr-defined]
        found.add(row)
    asked.close()
    return found


def _done(noted: Statement | None, cursor: Any, base: type) -> None:
    """After a statement that went well: where its columns come from, and the rest of rows of which it tells a part."""
    if noted is None:
        return
    noted.touch()
    noted.row_count = cursor.rowcount if cursor.rowcount >= 0 else None
    if cursor.description:
        noted.columns = tuple(each[0] for each in cursor.description)
    else:
        noted.result = cursor._shadowlab_rows = None
    found = noted.parsed
    if found.kind == "insert" and noted.result is None:
        noted.first_id = cursor.lastrowid
    if found.kind == "select" and found.tables:
        _origins(noted, cursor, base)


def _origins(noted: Statement, cursor: Any, base: type) -> None:
    found = noted.parsed
    place = (noted.text, *(id(_table(cursor.connection, name)) for name, _ in found.tables))
    known = _known.get(place)
    if known is None:
        if len(_known) > 2048:
            _known.clear()
        known = _known[place] = _worked_out(noted, cursor.connection)
    noted.origins, more, doubt = known
    noted.doubt = noted.doubt or doubt
    for table, query in more:
        rows = _select(cursor, base, query.text, arguments(noted.parameters, query.marks), _room())
        noted.whole.append((table, rows))


def _worked_out(noted: Statement, connection: Any) -> Known:
    """Where the columns of a select come from, which tables need a query of ours, and what is not known."""
    found = noted.parsed
    tables = [(alias, _table(connection, name)) for name, alias in found.tables]
    aliases = {alias: table for alias, table in tables if table is not None}
    doubt = "" if len(aliases) == len(tables) else f"a table of: {noted.text[:120]}"
    origins: list[tuple[Table, str] | None] = []
    for item in found.items:
        alias, column = item or ("", "")
        fitting = [table for name, table in aliases.items() if name == alias or not alias]
        if column == "*":
            origins += [(table, name) for table in fitting for name in table.names]
        else:
            owners = [(table, n) for table in fitting for n in table.names if n.lower() == column.lower()]
            origins.append(owners[0] if len(owners) == 1 else None)
    if len(origins) != len(noted.columns):
        origins = [None] * len(noted.columns)
    told = {alias: {o[1] for o in origins if o and o[0] is table} for alias, table in aliases.items()}
    more = []
    for alias, table in aliases.items():
        if not found.grouped and len(told[alias]) == len(table.columns):
            continue
        if alias in found.whole:
            more.append((table, found.whole[alias]))
        elif not told[alias] >= set(table.key):
            doubt = doubt or f"columns of a join: {noted.text[:120]}"
    return tuple(origins), tuple(more), doubt


def _broke(noted: Statement | None, error: Exception, cursor: Any) -> None:
    if noted is None:
        return
    noted.touch()
    code = getattr(error, "sqlite_errorname", None)
    noted.error = {"type": f"sqlite3.{type(error).__qualname__}", "message": str(error)[:500], "code": code}
    prefix = "UNIQUE constraint failed: "
    if noted.target is not None and str(error).startswith(prefix):
        columns = tuple(each.rpartition(".")[2] for each in str(error)[len(prefix) :].split(", "))
        noted.in_the_way = _conflicting(cursor, noted, columns, _room())


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


def _table(connection: Any, name: str) -> Table | None:
    """A table from the catalog; read once for each version of a schema, which is asked for every second."""
    known: dict[str, Table | None] | None = connection._shadowlab_tables
    now = time.monotonic()
    if known is None or now - connection._shadowlab_checked > _CHECK_EVERY_S:
        known = _tables_of(connection)
        connection._shadowlab_tables, connection._shadowlab_checked = known, now
    name = name.rpartition(".")[2]
    if name not in known:
        known[name] = _described(sqlite3.Cursor(connection), name)
    return known[name]


def _tables_of(connection: Any) -> dict[str, Table | None]:
    """What is known of the tables in this version of the database's schema."""
    version = sqlite3.Cursor(connection).execute("PRAGMA schema_version").fetchone()[0]
    address = connection._shadowlab_address
    place = f"{address} {id(connection)}" if address in ("", ":memory:") or "mode=memory" in address else address
    if len(_catalog) > 64:
        _catalog.clear()
        _known.clear()
    return _catalog.setdefault((place, version), {})


def _described(asked: sqlite3.Cursor, name: str) -> Table | None:
    found = asked.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) AND sql IS NOT NULL"
        " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name",
        (name,),
    ).fetchall()
    if not found or found[0][0] != "table":
        return None
    real = found[0][1]
    quoted = '"' + real.replace('"', '""') + '"'
    columns = asked.execute(f"PRAGMA table_info({quoted})").fetchall()
    key = tuple(each[1] for each in sorted(columns, key=lambda each: each[5]) if each[5])
    whole = len(key) == 1 and next(each[2].upper() for each in columns if each[5]) == "INTEGER"
    return Table(
        name=real,
        columns=tuple((each[1], each[2]) for each in columns),
        key=key,
        schema=tuple(each[2] for each in found),
        sequences=((key[0], real),) if whole else (),
    )
