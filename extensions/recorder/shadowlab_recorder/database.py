"""What a request did in a database, and what of the state before it that tells."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shadowlab_recorder import sql_names
from shadowlab_recorder.later import later
from shadowlab_recorder.plain import plain
from shadowlab_recorder.room import Room
from shadowlab_recorder.sql import Parsed, Query

ROWS_LIMIT = 1000
"""Rows kept of one statement."""
STATEMENTS_LIMIT = 500
"""Statements kept of one request."""

_KINDS = {
    "reads": ("select", "other"),
    "writes": ("insert", "update", "delete"),
    "transactions": ("transaction",),
}
Row = dict[str, Any]
Seen = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Table:
    """A table as the catalog describes it."""

    name: str
    columns: tuple[tuple[str, str], ...]
    """Names and types."""
    key: tuple[str, ...]
    """Columns of the primary key."""
    schema: tuple[str, ...]
    """Statements that make it, types and sequences first, without foreign keys."""
    foreign_keys: tuple[str, ...] = ()
    sequences: tuple[tuple[str, str], ...] = ()
    """Columns that a sequence numbers, and the sequences' names."""
    warning: str = ""
    """What of it cannot be rebuilt."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


class Rows(Protocol):
    """A result that is turned into rows when the recording is written, not while the request runs."""

    def rows(self) -> list[tuple[Any, ...]]:
        """At most `ROWS_LIMIT` of them, values as JSON has them."""

    def has(self, places: tuple[int, ...], wanted: list[str]) -> bool:
        """Whether there is a row with these values, as text, in these places."""

    @property
    def cut(self) -> bool:
        """Whether there were more."""


Origins = tuple["tuple[Table, str] | None", ...]
"""Where each column of a result comes from."""


class Reading:
    """What was worked out about a statement, once for each text and each version of the schema."""

    __slots__ = ("columns", "doubt", "keyed", "marks", "more", "origins", "parsed", "target")

    def __init__(
        self,
        parsed: Parsed,
        columns: tuple[str, ...] = (),
        origins: Origins = (),
        more: tuple[tuple[Table, Query], ...] = (),
        doubt: str = "",
        *,
        target: Table | None = None,
        marks: tuple[int, ...] = (),
    ) -> None:
        self.parsed = parsed
        self.target = target
        """The table that a write changes."""
        self.marks = marks
        """Its parameters that are the key of the one row that it changes."""
        self.columns = columns
        self.origins = origins
        self.more = more
        """Tables of whose rows the result tells a part, and what asks for the rest."""
        self.doubt = doubt
        covered = list(_covered(origins))
        self.keyed = tuple((table, tuple(places[name] for name in table.key)) for table, places in covered if table.key)
        """Tables whose rows are in the result with all their columns, and where their keys are."""


def _covered(origins: Origins) -> Iterator[tuple[Table, dict[str, int]]]:
    for table in dict.fromkeys(origin[0] for origin in origins if origin is not None):
        places = {origin[1]: n for n, origin in enumerate(origins) if origin is not None and origin[0] is table}
        if len(places) == len(table.columns):
            yield table, places


NOTHING_READ = Reading(Parsed("other"))

Plain = tuple[Reading, str, "tuple[Any, ...]", "Rows | None", float, float, "int | None"]
"""A statement of which all is known that is to be known: its reading, text, parameters, rows, begin, end, row count."""


class Statement:
    """One statement, with references to what it gave."""

    named: tuple[str, ...] = ()
    in_the_way: Rows | None = None
    """All columns of the row whose key, or unique value, a write would have given to another one."""
    known = False
    """Whether those rows were read before, by their key."""
    first_id: int | None = None
    """The id that the database gave to an inserted row, where the result does not tell."""
    row_count: int | None = None
    error: dict[str, Any] | None = None
    doubt = ""
    """Why the rows that it touched are not known."""

    seq = 0
    """Its number among those of its request."""

    def __init__(self, text: str, parameters: Any, parsed: Parsed) -> None:
        self.text = text
        self.parameters = parameters
        self.parsed = parsed
        self.target: Table | None = None
        """The table that a write changes."""
        self.reading = NOTHING_READ
        self.result: Rows | None = None
        self.whole: tuple[tuple[Table, Rows], ...] = ()
        """All columns of the rows that a select read, of tables of which its result tells a part."""
        self.before: Rows | None = None
        """All columns of the rows that a write was about to change."""
        self.started, self.ended = time.perf_counter(), 0.0

    @classmethod
    def of(cls, plain: Plain) -> Statement:
        reading, text, parameters, result, started, ended, row_count = plain
        made = cls(text, parameters, reading.parsed)
        made.reading, made.target, made.known = reading, reading.target, reading.target is not None
        made.result, made.row_count = result, row_count
        made.started, made.ended = started, ended
        return made

    @property
    def columns(self) -> tuple[str, ...]:
        """Of its result."""
        return self.named or self.reading.columns

    @property
    def origins(self) -> Origins:
        return self.reading.origins

    def tables(self) -> list[Table]:
        """The tables that it read."""
        read = [origin[0] for origin in self.origins if origin is not None] + [table for table, _ in self.whole]
        return list(dict.fromkeys(read))

    def touch(self) -> None:
        """Sets the time that it has taken until now."""
        self.ended = time.perf_counter()

    @property
    def elapsed_ms(self) -> float:
        return round((self.ended - self.started) * 1000, 3) if self.ended else 0.0


def many(parameters: Iterable[Any]) -> tuple[list[Any], Iterable[Any]]:
    """As many of them as are kept, and one more to say that there were more; and all of them, the others unread."""
    others = iter(parameters)
    first = list(itertools.islice(others, STATEMENTS_LIMIT + 1))
    return first, itertools.chain(first, others)


class Log:
    """The statements of one request in one database."""

    doubts: dict[str, None] = later(lambda _: {})
    others: set[str] = later(lambda _: set())
    dumped: list[tuple[Table, list[tuple[Any, ...]]]] = later(lambda _: [])
    """Tables with all their rows, where a server held the state before."""

    def __init__(self, dialect: str, address: str, version: str | None, room: Room | None = None) -> None:
        self.dialect = dialect
        self.address = address
        self.version = version
        self.room = room
        self.noted: list[Statement | Plain] = []
        self.cut = False

    @property
    def statements(self) -> list[Statement]:
        """In their order; what is plain is made one when somebody asks, which is seldom."""
        found: list[Statement] = []
        for seq, each in enumerate(self.noted):
            made = Statement.of(each) if isinstance(each, tuple) else each
            made.seq = seq
            self.noted[seq] = made
            found.append(made)
        return found

    def names(self) -> list[str]:
        """The tables that its statements touched."""
        touched = [each.target for each in self.statements if each.target is not None]
        touched += [table for each in self.statements for table in each.tables()]
        return list(dict.fromkeys(table.name for table in touched))

    def statement(self, text: str, parameters: Any, parsed: Parsed) -> Statement | None:
        """A new statement, None when there are too many."""
        if not self.takes(text):
            return None
        if type(parameters) is not tuple:
            parameters = dict(parameters) if isinstance(parameters, Mapping) else parameters and tuple(parameters)
        made = Statement(text, parameters, parsed)
        self.noted.append(made)
        return made

    def takes(self, text: str) -> bool:
        """Whether there is room for one more statement; it is taken."""
        room, size = self.room, len(text) + 64
        if len(self.noted) < STATEMENTS_LIMIT:
            if room is None:
                return True
            if room.used + size <= room.granted:
                room.used += size
                return True
            if room.take(size) == size:
                return True
        self.cut = True
        return False

    def doubt(self, words: str) -> None:
        """Notes that a part of the state is not known."""
        self.doubts[words] = None

    def knows(self, table: Table, key: list[str]) -> bool:
        """Whether the row with this key, values as text in the order of the table's, has been read whole before."""
        for each in self.noted:
            if isinstance(each, tuple):
                reading, result = each[0], each[3]
            else:
                for read, rows in each.whole:
                    if read is table and rows.has(tuple(map(table.names.index, table.key)), key):
                        return True
                reading, result = each.reading, each.result
            for read, places in reading.keyed:
                if read is table and result is not None and result.has(places, key):
                    return True
        return False


def fragments(statement: Statement, only: Table | None = None) -> Iterator[tuple[Table, Row]]:
    """Whole rows of tables, or the parts of them, that a statement read; without those that a write is about."""
    for table, rows in statement.whole:
        if only is None or table is only:
            # The side of an outer join that has no row is nothing but nulls.
            found = (row for row in rows.rows() if any(value is not None for value in row))
            yield from ((table, dict(zip(table.names, row, strict=False))) for row in found)
    if statement.result is None or statement.parsed.kind != "select":
        return
    asked = [table for table, _ in statement.whole]
    groups = [group for group in _instances(statement.origins) if group[0] not in asked]
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
        "reads": [_told(each, seen, words) for each in by_kind["reads"]],
        "writes": [
            _write(each, seen, words) for each in log.statements if each.parsed.kind in ("insert", "update", "delete")
        ],
        "transactions": [{"seq": each.seq, "what": each.text.split()[0].lower()} for each in by_kind["transactions"]],
        "incomplete": [words(each) for each in state.doubts],
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


def _told(each: Statement, seen: Seen, words: Callable[[str], str]) -> dict[str, Any]:
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
        **_told(each, seen, words),
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
