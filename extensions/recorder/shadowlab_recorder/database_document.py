"""What a request did in a database as its recording tells it, and what of the state before it that tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shadowlab_recorder import sql_names
from shadowlab_recorder.database import Log, Origins, Row, Statement, Table
from shadowlab_recorder.plain import plain

Seen = Callable[[str, Any], Any]
_KINDS = {
    "reads": ("select", "other"),
    "writes": ("insert", "update", "delete"),
    "transactions": ("transaction",),
}


def fragments(statement: Statement, only: Table | None = None) -> Iterator[tuple[Table, Row]]:
    """Whole rows of tables, or the parts of them, that a statement read; without those that a write is about."""
    for table, rows in statement.whole:
        if only is None or table is only:
            # The side of an outer join that has no row is nothing but nulls.
            found = (row for row in rows.rows() if any(value is not None for value in row))
            yield from ((table, dict(zip(table.names, row, strict=False))) for row in found)
    if statement.result is None or statement.parsed.kind != "select":
        return
    whole = [table for table, _ in statement.whole]
    groups = [group for group in _instances(statement.origins) if group[0] not in whole]
    wanted = [group for group in groups if only is None or group[0] is only]
    for row in statement.result.rows() if wanted else ():
        for table, places in wanted:
            part = {name: row[place] for name, place in places.items()}
            if any(value is not None for value in part.values()):
                yield table, part


def _instances(origins: Origins) -> list[tuple[Table, dict[str, int]]]:
    """The columns of a result by table; a table that is joined to itself has a group for each of its parts."""
    groups: list[tuple[Table, dict[str, int]]] = []
    for place, origin in enumerate(origins):
        if origin is None:
            continue
        fitting = [group for group in groups if group[0] is origin[0] and origin[1] not in group[1]]
        if not fitting:
            groups.append((origin[0], {}))
            fitting = groups[-1:]
        fitting[-1][1][origin[1]] = place
    return groups


def document(log: Log, seen: Seen, words: Callable[[str], str]) -> dict[str, Any]:
    """`database` of a recording; `seen(column, value)` and `words(text)` give what may be kept of each."""
    state = _State(log)
    tables = {table.name: table for table in state.tables}
    by_kind = {kind: [each for each in log.statements if each.parsed.kind in kinds] for kind, kinds in _KINDS.items()}
    schema = dict.fromkeys(each for table in tables.values() for each in table.schema)
    heard = any(each.parsed.kind != "transaction" for each in log.statements) or log.dumped or state.doubts
    return {
        "dialect": log.dialect,
        "version": log.version,
        "schema": list(schema),
        "foreign_keys": [each for table in tables.values() for each in table.foreign_keys],
        "tables": {
            table.name: {"columns": [{"name": n, "type": t} for n, t in table.columns], "key": list(table.key)}
            for table in tables.values()
        },
        "sequences": state.sequences,
        "rows": {
            name: [{column: seen(column, value) for column, value in row.items()} for row in rows.values()]
            for name, rows in state.rows.items()
        },
        "complete": [table.name for table, _ in log.dumped],
        "reads": [_statement(each, seen, words) for each in by_kind["reads"]],
        "writes": [
            _write(each, seen, words) for each in log.statements if each.parsed.kind in ("insert", "update", "delete")
        ],
        "transactions": [{"seq": each.seq, "what": each.text.split()[0].lower()} for each in by_kind["transactions"]],
        "incomplete": [words(each) for each in state.doubts],
        **({} if heard else {"untouched": True}),
    }


class _State:
    """The rows as they were before the first statement, worked out in the order of the statements."""

    def __init__(self, log: Log) -> None:
        self.rows: dict[str, dict[Any, Row]] = {}
        self.sequences: dict[str, int] = {}
        self.tables: dict[Table, None] = {}
        self.doubts: dict[str, None] = dict(log.doubts)
        self._touched: set[tuple[str, Any]] = set()
        self._changed: set[tuple[str, Any]] = set()
        self._blurred: set[str] = set()
        """Tables with rows that were written without being known."""
        for other in sorted(log.others):
            self.doubts[f"statements in another database ({other}) are not kept"] = None
        if log.cut:
            self.doubts["more statements than are kept of one request"] = None
        for statement in log.statements:
            self._follow(statement)
        for table, rows in log.dumped:
            self.tables[table] = None
            self.rows[table.name] = {n: dict(zip(table.names, row, strict=True)) for n, row in enumerate(rows)}
        if log.dumped:
            dumped = {table.name for table, _ in log.dumped}
            left = [name for name in self.rows if name not in dumped]
            self.doubts = {f"{name} was too large to be dumped": None for name in left} if left else {}

    def _follow(self, statement: Statement) -> None:
        if statement.doubt:
            self.doubts[statement.doubt] = None
        for table in statement.tables():
            self._meet(table)
        for table, row in fragments(statement):
            self._before(table, row, read=True)
        for rows in (statement.result, statement.before, *(rows for _, rows in statement.whole)):
            if rows is not None and rows.cut:
                self.doubts[f"more rows than are kept: {statement.text[:120]}"] = None
        if statement.target is not None:
            self._meet(statement.target)
            self._written(statement, statement.target)

    def _meet(self, table: Table) -> None:
        self.tables[table] = None
        self.rows.setdefault(table.name, {})
        if table.warning:
            self.doubts[f"{table.name}: {table.warning}"] = None

    def _before(self, table: Table, row: Row, *, read: bool = False) -> None:
        if not set(table.key) <= set(row):
            self.doubts[f"rows of {table.name} were read without their key"] = None
            return
        key = (table.name, _key(row, table.key or table.names))
        if key in self._touched:
            known = self.rows[table.name].get(key)
            if known is not None and key not in self._changed and table.name not in self._blurred:
                known |= {name: value for name, value in row.items() if name not in known}
            return
        if read and table.name in self._blurred:
            self.doubts[f"rows of {table.name} that were read after a write whose rows are not known"] = None
            return
        self._touched.add(key)
        self.rows[table.name][key] = dict(row)

    def _written(self, statement: Statement, table: Table) -> None:
        if statement.in_the_way is not None:
            for row in statement.in_the_way.rows():
                self._before(table, dict(zip(table.names, row, strict=False)))
        if statement.before is not None:
            for row in statement.before.rows():
                known = dict(zip(table.names, row, strict=False))
                self._before(table, known)
                if statement.error is None:
                    self._changed.add((table.name, _key(known, table.key or table.names)))
        elif statement.error is None and not statement.known and statement.parsed.kind != "insert":
            self._blurred.add(table.name)
            self.doubts[f"the rows of {table.name} before: {statement.text[:120]}"] = None
        if statement.parsed.kind == "insert" and statement.error is None:
            self._inserted(statement, table)

    def _inserted(self, statement: Statement, table: Table) -> None:
        """Rows that were not there before: by what the database gave back, else by what was put in."""
        given = self._given(statement, table)
        for row in given:
            for column, sequence in table.sequences:
                value = row.get(column)
                if column not in statement.parsed.columns and value is not None and str(value).isdigit():
                    self.sequences.setdefault(sequence, int(value) - 1)
            if table.key and set(table.key) <= set(row):
                self._touched.add((table.name, _key(row, table.key)))
            else:
                self._blurred.add(table.name)
        if not given:
            self._blurred.add(table.name)

    def _given(self, statement: Statement, table: Table) -> list[Row]:
        put: Row = {}
        for column, mark in statement.parsed.columns.items():
            if isinstance(statement.parameters, tuple) and mark < len(statement.parameters):
                put[column] = statement.parameters[mark]
        if statement.result is not None and statement.columns:
            return [{**put, **dict(zip(statement.columns, row, strict=False))} for row in statement.result.rows()]
        if statement.first_id is not None and table.sequences:
            put.setdefault(table.sequences[0][0], statement.first_id)
        return [put] if put else []


def _key(row: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in names)


def _statement(each: Statement, seen: Seen, words: Callable[[str], str]) -> dict[str, Any]:
    columns = each.columns
    rows = each.result.rows() if each.result is not None else []
    return {
        "seq": each.seq,
        "statement": sql_names.worded(each.text, words),
        "parameters": _parameters(each, seen),
        "columns": list(columns),
        "rows": [[seen(name, value) for name, value in zip(columns, row, strict=False)] for row in rows],
        "row_count": each.row_count,
        "elapsed_ms": each.elapsed_ms,
        "error": each.error and {**each.error, "message": words(each.error["message"])},
    }


def _write(each: Statement, seen: Seen, words: Callable[[str], str]) -> dict[str, Any]:
    before = None
    if each.before is not None and each.target is not None:
        names = each.target.names
        kept = (zip(names, row, strict=False) for row in each.before.rows())
        before = [{name: seen(name, value) for name, value in row} for row in kept]
    return {
        **_statement(each, seen, words),
        "table": each.target.name if each.target else None,
        "before": before,
        "known": each.known,
    }


def _parameters(each: Statement, seen: Seen) -> Any:
    names = sql_names.named(each.text, each.target.names if each.target else ())
    if isinstance(each.parameters, dict):
        under = {key: names[n] for n, key in enumerate(sql_names.keys(each.text)) if n in names}
        return {name: _seen(name, under.get(name), plain(value)[0], seen) for name, value in each.parameters.items()}
    return [seen(names.get(n, ""), plain(value)[0]) for n, value in enumerate(each.parameters or ())]


def _seen(name: str, column: str | None, value: Any, seen: Seen) -> Any:
    """By the name of the parameter, else by that of its column."""
    kept = seen(name, value)
    return seen(column, value) if column and kept == value else kept
