"""What a request does in a database, as it is noted while the request runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shadowlab_recorder.later import later
from shadowlab_recorder.room import Room
from shadowlab_recorder.sql import Parsed, Query

ROWS_LIMIT = 1000
"""Rows kept of one statement."""
STATEMENTS_LIMIT = 500
"""Statements kept of one request."""

Row = dict[str, Any]


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
