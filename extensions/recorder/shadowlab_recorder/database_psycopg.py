"""Note what a request does in PostgreSQL through psycopg 3, sync and async: both run the same generators."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

from shadowlab_recorder.catalog_postgres import QUERY, Described, described, quoted
from shadowlab_recorder.database import Log, Reading, Statement, Table, many
from shadowlab_recorder.queries_psycopg import Steps, runner
from shadowlab_recorder.quiet import log as _log
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.rows_psycopg import Deferred, Fetched
from shadowlab_recorder.sql import argument, arguments, parsed
from shadowlab_recorder.tape import current

_MANY_LIMIT = 50
_catalog: dict[tuple[str, Any], Described | None] = {}
_known: dict[tuple[str, str], Reading] = {}
"""What was worked out about a select, by server and text."""


def watch(psycopg: Any) -> None:
    """Wraps the generators that every cursor of psycopg executes with; called once, when psycopg is imported."""
    from psycopg._connection_base import BaseConnection
    from psycopg._cursor_base import BaseCursor

    execute = BaseCursor._execute_gen
    run = runner(BaseCursor, execute)

    def _execute_gen(self: Any, query: Any, params: Any = None, **options: Any) -> Steps:
        made: Steps = execute(self, query, params, **options)
        log = quietly(_log_of, self._conn)
        return made if log is None else _noted(self, log, query, params, made, run)

    BaseCursor._execute_gen = _execute_gen
    psycopg.Cursor.executemany = _many(psycopg.Cursor.executemany, run)
    psycopg.AsyncCursor.executemany = _many_async(psycopg.AsyncCursor.executemany, run)
    for name, words in (("_stream_send_gen", "a stream of rows"), ("_start_copy_gen", "a COPY")):
        setattr(BaseCursor, name, _doubtful(getattr(BaseCursor, name), words))
    for name in ("_commit_gen", "_rollback_gen"):
        setattr(BaseConnection, name, _transaction(getattr(BaseConnection, name), name[1:-4]))


def watch_server_cursors(module: Any) -> None:
    """Rows that come through a cursor of the server are not kept, which the recording says."""
    mixin = module.ServerCursorMixin
    mixin._declare_gen = _doubtful(mixin._declare_gen, "a cursor of the server")


def _many(original: Any, run: Any) -> Any:
    """`executemany` sends all at once, so what it changes is asked for before."""

    @functools.wraps(original)
    def executemany(self: Any, query: Any, params_seq: Iterable[Any], *, returning: bool = False) -> None:
        log = quietly(_log_of, self._conn)
        if log is None or self._conn._pipeline:
            original(self, query, params_seq, returning=returning)
            return
        first, given = many(params_seq)
        with self._conn.lock:
            statements = self._conn.wait(_prepared(self, log, query, first, run))
        try:
            original(self, query, given, returning=returning)
        except Exception as error:
            quietly(_broke, self, statements[-1:], error)
            raise
        quietly(_done, self, log, statements)

    return executemany


def _many_async(original: Any, run: Any) -> Any:
    @functools.wraps(original)
    async def executemany(self: Any, query: Any, params_seq: Iterable[Any], *, returning: bool = False) -> None:
        log = quietly(_log_of, self._conn)
        if log is None or self._conn._pipeline:
            await original(self, query, params_seq, returning=returning)
            return
        first, given = many(params_seq)
        async with self._conn.lock:
            statements = await self._conn.wait(_prepared(self, log, query, first, run))
        try:
            await original(self, query, given, returning=returning)
        except Exception as error:
            quietly(_broke, self, statements[-1:], error)
            raise
        quietly(_done, self, log, statements)

    return executemany


def _prepared(cursor: Any, log: Log, query: Any, given: list[Any], run: Any) -> Steps:
    """The statements of an `executemany`, with the rows before them."""
    statements = quietly(_begun, cursor, log, [(query, each) for each in given]) or []
    try:
        yield from _before(cursor, log, statements, run)
    except Exception as error:
        _log.warning("shadowlab-recorder: %s before a statement", type(error).__name__)
    return statements


def _doubtful(original: Callable[..., Steps], words: str) -> Callable[..., Steps]:
    def generator(self: Any, query: Any, *args: Any, **kwargs: Any) -> Steps:
        log = quietly(_log_of, self._conn)
        if log is not None:
            log.doubt(f"rows of {words}: {quietly(_statement, self._conn, query) or ''}"[:160])
        return original(self, query, *args, **kwargs)

    return generator


def _transaction(original: Callable[..., Steps], what: str) -> Callable[..., Steps]:
    def generator(self: Any) -> Steps:
        log = quietly(_log_of, self) if self.pgconn.transaction_status else None
        if log is not None:
            log.statement(what, (), parsed(what))
        return original(self)

    return generator


def _log_of(connection: Any) -> Log | None:
    tape = current()
    if tape is None:
        return None
    server = getattr(connection, "_shadowlab_server", None)
    if server is None:
        pgconn = connection.pgconn
        address = f"{pgconn.host.decode()}:{pgconn.port.decode()}/{pgconn.db.decode()}"
        version = pgconn.server_version
        server = connection._shadowlab_server = ("postgresql", address, f"{version // 10000}.{version % 10000}")
    return tape.database(*server)


def _statement(connection: Any, query: Any) -> str:
    if isinstance(query, (str, bytes)):
        return query.decode() if isinstance(query, bytes) else query
    return str(query.as_string(connection)) if hasattr(query, "as_string") else str(query)


def _noted(cursor: Any, log: Log, query: Any, params: Any, made: Steps, run: Any) -> Steps:
    """The execution, with what belongs to it noted before and after."""
    statements = yield from _prepared(cursor, log, query, [params], run)
    for statement in statements:
        statement.started = time.perf_counter()
    try:
        yield from made
    except Exception as error:
        quietly(_broke, cursor, statements, error)
        raise
    quietly(_done, cursor, log, statements)
    try:
        yield from _after(cursor, log, statements, run)
    except Exception as error:
        _log.warning("shadowlab-recorder: %s after a statement", type(error).__name__)


def _begun(cursor: Any, log: Log, queries: list[tuple[Any, Any]]) -> list[Statement]:
    text = _statement(cursor._conn, queries[0][0]) if queries else ""
    found = parsed(text)
    if len(queries) > _MANY_LIMIT:
        log.doubt(f"one statement for more than {_MANY_LIMIT} rows: {text[:120]}")
    made = (log.statement(text, params, found) for _, params in queries[:_MANY_LIMIT])
    return [each for each in made if each is not None]


def _before(cursor: Any, log: Log, statements: list[Statement], run: Any) -> Steps:
    """Notes the rows that writes are about to change; one that was read by its key is known already."""
    for statement in statements:
        found = statement.parsed
        if found.kind not in ("insert", "update", "delete"):
            continue
        if not found.tables or found.hidden or cursor._conn._pipeline:
            # In a pipeline no answer comes before it ends.
            statement.doubt = f"the rows before: {statement.text[:120]}"
            continue
        name = found.tables[0][0]
        statement.target = yield from _table(cursor, log, f"to_regclass('{_regclass(name)}')", run)
        if statement.target is None:
            statement.doubt = f"the table of: {statement.text[:120]}"
        elif found.kind == "insert" and found.conflict:
            statement.before = yield from _in_the_way(cursor, statement, statement.target.key, run)
        elif found.kind != "insert" and _is_known(log, statement, statement.target):
            statement.known = True
        elif found.rows is not None:
            statement.before = yield from run(
                cursor, found.rows.text, arguments(statement.parameters, found.rows.marks)
            )
        statement.touch()


def _is_known(log: Log, statement: Statement, table: Table) -> bool:
    marks = statement.parsed.key_marks(table.key)
    return bool(marks) and log.knows(
        table, [str(argument(statement.parameters, mark, statement.text)) for mark in marks]
    )


def _in_the_way(cursor: Any, statement: Statement, columns: tuple[str, ...], run: Any) -> Steps:
    """The row that an insert with ON CONFLICT may find."""
    put = statement.parsed.columns
    if not columns or not set(columns) <= set(put) or statement.target is None:
        return None
    values = [argument(statement.parameters, put[column], statement.text) for column in columns]
    return (yield from run(cursor, _by(statement.target, columns), values))


def _done(cursor: Any, log: Log, statements: list[Statement]) -> None:
    results = list(cursor._results)
    several = len(statements) > 1 and len(results) == len(statements)
    for n, statement in enumerate(statements):
        statement.touch()
        mine = results[n : n + 1] if several else results if n == 0 else []
        statement.row_count = sum(each.command_tuples or 0 for each in mine) if mine else None
        if any(each.nfields for each in mine):
            statement.result = Fetched(mine, log.room)
            statement.named = tuple(mine[-1].fname(c).decode() for c in range(mine[-1].nfields))


def _after(cursor: Any, log: Log, statements: list[Statement], run: Any) -> Steps:
    """Where the columns of a result come from, and the rest of rows of which it tells a part."""
    for statement in statements[:1]:
        found = statement.parsed
        result = cursor.pgresult
        if found.kind != "select" or result is None or not found.tables or cursor._conn._pipeline:
            continue
        if found.hidden:
            statement.doubt = f"rows of a subquery: {statement.text[:120]}"
        place = (log.address, statement.text)
        if place not in _known:
            if len(_known) > 2048:
                _known.clear()
            _known[place] = yield from _worked_out(cursor, log, statement, run)
        statement.reading = _known[place]
        statement.doubt = statement.doubt or statement.reading.doubt
        for table, query in statement.reading.more:
            rows = yield from run(cursor, query.text, arguments(statement.parameters, query.marks))
            if rows is not None:
                statement.whole = (*statement.whole, (table, rows))
            else:
                statement.doubt = statement.doubt or f"rows behind: {statement.text[:120]}"


def _worked_out(cursor: Any, log: Log, statement: Statement, run: Any) -> Steps:
    """Where the columns of a select come from, which tables need a query of ours, and what is not known."""
    found, result = statement.parsed, cursor.pgresult
    origins: list[tuple[Table, str] | None] = []
    selected: dict[Table, set[str]] = {}
    for column in range(result.nfields):
        oid = result.ftable(column)
        table = (yield from _table(cursor, log, str(oid), run)) if oid else None
        name = table.numbers.get(result.ftablecol(column)) if table is not None else None
        origins.append((table, name) if table is not None and name is not None else None)
        if table is not None and name is not None:
            selected.setdefault(table, set()).add(name)
    more, doubt = [], ""
    if found.grouped or len(selected) < len(found.tables) or any(len(n) < len(t.columns) for t, n in selected.items()):
        for name, alias in found.tables:
            table = yield from _table(cursor, log, f"to_regclass('{_regclass(name)}')", run)
            if table is not None and not found.grouped and len(selected.get(table, ())) == len(table.columns):
                continue
            if table is not None and alias in found.whole:
                more.append((table, found.whole[alias]))
            elif table is None or not selected.get(table, set()) >= set(table.key):
                doubt = f"rows behind: {statement.text[:120]}"
    return Reading(found, statement.columns, tuple(origins), tuple(more), doubt)


def _broke(cursor: Any, statements: list[Statement], error: Exception) -> None:
    kind = type(error)
    for statement in statements:
        statement.touch()
        statement.error = {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "message": str(error)[:500],
            "code": getattr(error, "sqlstate", None),
        }
        unique = getattr(statement.target, "unique", {}).get(
            getattr(getattr(error, "diag", None), "constraint_name", None)
        )
        if unique and statement.target is not None and set(unique) <= set(statement.parsed.columns):
            put = statement.parsed.columns
            values = [argument(statement.parameters, put[column], statement.text) for column in unique]
            statement.in_the_way = Deferred(cursor._conn, _by(statement.target, unique), values)


def _by(table: Table, columns: tuple[str, ...]) -> str:
    schema, _, name = table.name.partition(".")
    condition = " AND ".join(f"{quoted(column)} = %s" for column in columns)
    return f"SELECT * FROM {quoted(schema)}.{quoted(name)} WHERE {condition}"


def _regclass(name: str) -> str:
    return ".".join(map(quoted, name.split("."))).replace("'", "''")


def _table(cursor: Any, log: Log, which: str, run: Any) -> Steps:
    """A table from the catalog; asked for once in a process."""
    place = (log.address, which)
    if place not in _catalog:
        rows = yield from run(cursor, QUERY.format(which), None)
        found = [described(row) for row in rows.rows()] if rows is not None else []
        table = found[0] if found else None
        if table is not None:
            table = _catalog.setdefault((log.address, str(table.oid)), table)
        _catalog[place] = table
    return _catalog[place]
