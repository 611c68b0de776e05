"""What is noted of a statement in SQLite: before it runs, after it went well, and when it failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from shadowlab_recorder.catalog_sqlite import catalog_of, changes, plain_reading
from shadowlab_recorder.database import ROWS_LIMIT, Log, Reading, Statement
from shadowlab_recorder.quiet import log_fault
from shadowlab_recorder.room import Room
from shadowlab_recorder.rows_sqlite import Fetched
from shadowlab_recorder.sql import argument, arguments, parsed
from shadowlab_recorder.tape import Tape, current

ROW_FACTORY: Any = sqlite3.Cursor.row_factory
"""The C member, which a cursor that is listened to hides."""
_VERSION = sqlite3.sqlite_version
_ENDS = {what: Reading(parsed(what)) for what in ("commit", "rollback")}
Begun = tuple[Reading, str, tuple[Any, ...], Fetched | None, float]
"""What is known of a `Plain` statement before it is executed."""


def end_transaction(connection: Any, tape: Tape, what: str) -> None:
    """A commit or a rollback: its end is noted, never prevented."""
    try:
        log = tape.database("sqlite", connection._shadowlab_address, _VERSION)
        if log is not None and log.takes(what):
            log.noted.append((_ENDS[what], what, (), None, 0.0, 0.0, None))
    except Exception as error:
        log_fault(error, what)


def note_unrecorded(cursor: Any, sql: str) -> None:
    """A statement outside of a request: it may be what makes the tables."""
    if type(sql) is str and parsed(sql).kind == "other" and not _is_pragma(sql):
        changes(cursor.connection)


def _is_pragma(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "PRAGMA"


def note_script(cursor: Any, script: str) -> None:
    """Several statements at once are not looked into, which the recording says."""
    changes(cursor.connection)
    tape = current()
    if tape is None:
        return
    log = tape.database("sqlite", cursor.connection._shadowlab_address, _VERSION)
    if log is not None:
        log.doubt(f"a script of several statements: {script[:120]}")


def begin_statement(cursor: Any, tape: Tape, sql: str, parameters: Any) -> Statement | Begun | None:
    """A statement, with the rows that it is about to change; None where nothing is kept of it."""
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
    statement = log.statement(sql, parameters or (), found)
    if statement is None:
        return None
    if kind == "select":
        statement.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.hidden:
            statement.doubt = f"rows of a subquery: {sql[:120]}"
    elif kind in ("insert", "update", "delete"):
        _note_write(cursor, statement, log)
        if statement.before is not None:
            statement.started = perf_counter()
    return statement


def _note_write(cursor: Any, statement: Statement, log: Log) -> None:
    found = statement.parsed
    if not found.tables or found.hidden:
        statement.doubt = f"the rows before: {statement.text[:120]}"
        return
    statement.target = table = catalog_of(cursor.connection).table(cursor.connection, found.tables[0][0])
    if table is None:
        statement.doubt = f"the table of: {statement.text[:120]}"
    elif found.kind == "insert":
        statement.result = cursor._shadowlab_rows = Fetched(log.room)
        if found.conflict:
            statement.before = _conflicting(cursor, statement, table.key, log.room)
    elif (marks := found.key_marks(table.key)) and log.knows(table, _values(statement, marks)):
        statement.known = True
    elif found.rows is not None:
        statement.before = _select(cursor, found.rows.text, arguments(statement.parameters, found.rows.marks), log.room)


def _values(statement: Statement, marks: tuple[int, ...]) -> list[str]:
    """The parameters at these marks, as text."""
    given = statement.parameters
    if type(given) is tuple:
        return list(map(str, map(given.__getitem__, marks)))
    return [str(argument(given, mark, statement.text)) for mark in marks]


def _select(cursor: Any, text: str, parameters: Any, room: Room | None) -> Fetched:
    """Rows, asked for by a cursor of the service's own kind: Django's writes its marks as %s."""
    base: Any = cursor._shadowlab_base
    own = base(cursor.connection)
    ROW_FACTORY.__set__(own, None)  # bare tuples
    found = Fetched(room)
    own.execute(text, parameters)
    for row in own.fetchmany(ROWS_LIMIT + 1):
        found.add(row)
    own.close()
    return found


def end_statement(statement: Statement, cursor: Any) -> None:
    """After a statement that went well: where its columns come from, and the rest of rows of which it tells a part."""
    statement.touch()
    found = statement.parsed
    if found.kind == "select" and found.tables:
        catalog = catalog_of(cursor.connection)
        reading = statement.reading = catalog.readings.get(statement.text) or catalog.read(statement, cursor)
        if reading.doubt or reading.more:
            _read_more(statement, cursor)
        return
    statement.row_count = cursor.rowcount if cursor.rowcount >= 0 else None
    if cursor.description:
        statement.named = tuple(each[0] for each in cursor.description)
    else:
        statement.result = cursor._shadowlab_rows = None
        if statement.known:
            _remember(statement, cursor.connection)
    if found.kind == "insert" and statement.result is None:
        statement.first_id = cursor.lastrowid


def _remember(statement: Statement, connection: Any) -> None:
    """The next time, this write to a row that was read before need not be worked out."""
    catalog, found = catalog_of(connection), statement.parsed
    table = catalog.table(connection, found.tables[0][0])
    if table is not None and table is statement.target:
        catalog.remember(statement.text, Reading(found, target=table, marks=found.key_marks(table.key)))


def _read_more(statement: Statement, cursor: Any) -> None:
    """The rows of which a select has told a part."""
    statement.doubt = statement.doubt or statement.reading.doubt
    for table, query in statement.reading.more:
        room = cursor._shadowlab_rows.room
        rows = _select(cursor, query.text, arguments(statement.parameters, query.marks), room)
        statement.whole = (*statement.whole, (table, rows))


def fail_statement(begun: Statement | Begun | None, error: Exception, cursor: Any, tape: Tape) -> None:
    """After a statement that raised: the error, and the row in its way."""
    if begun is None:
        return
    statement = begun if isinstance(begun, Statement) else Statement.of((*begun, 0.0, None))
    if isinstance(begun, tuple) and tape.log is not None:
        tape.log.noted.append(statement)
    statement.touch()
    code = getattr(error, "sqlite_errorname", None)
    statement.error = {"type": f"sqlite3.{type(error).__qualname__}", "message": str(error)[:500], "code": code}
    prefix = "UNIQUE constraint failed: "
    if statement.target is not None and str(error).startswith(prefix):
        columns = tuple(each.rpartition(".")[2] for each in str(error)[len(prefix) :].split(", "))
        statement.in_the_way = _conflicting(cursor, statement, columns, tape.room)


def _conflicting(cursor: Any, statement: Statement, columns: Sequence[str], room: Room | None) -> Fetched | None:
    """The row in whose way an insert is, or would be."""
    put = statement.parsed.columns
    if not columns or statement.target is None or not set(columns) <= set(put):
        return None
    values = [argument(statement.parameters, put[column], statement.text) for column in columns]
    own = sqlite3.Cursor(cursor.connection)
    condition = " AND ".join(f'"{column}" = ?' for column in columns)
    found = Fetched(room)
    for row in own.execute(f'SELECT * FROM "{statement.target.name}" WHERE {condition}', values).fetchmany(ROWS_LIMIT):
        found.add(row)
    return found
