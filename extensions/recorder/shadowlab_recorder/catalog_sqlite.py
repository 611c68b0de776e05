"""What SQLite's catalog tells of the tables that a request touches, read once for each version of a schema."""

from __future__ import annotations

import itertools
import sqlite3
import time
from typing import Any

from shadowlab_recorder.database import Reading, Statement, Table

_CHECK_EVERY_S = 1.0
_MANY_CATALOGS, _MANY_READINGS = 64, 2048


class Catalog:
    """One version of a database's schema, as far as it was asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, Table | None] = {}
        self.readings: dict[str, Reading] = {}
        self.plain: dict[str, Reading] = {}
        """Those of selects that need nothing more, and of writes to one row by its key."""

    def table(self, connection: Any, name: str) -> Table | None:
        """The table of this name, None for what is no table."""
        name = name.rpartition(".")[2]
        if name not in self._tables:
            self._tables[name] = _described(sqlite3.Cursor(connection), name)
        return self._tables[name]

    def read(self, statement: Statement, cursor: Any) -> Reading:
        """What this select reads, which its cursor has just executed: it is in `readings` from now on."""
        if len(self.readings) > _MANY_READINGS:
            self.readings.clear()
        columns = tuple(each[0] for each in cursor.description or ())
        made = self.readings[statement.text] = self._worked_out(statement, columns, cursor.connection)
        if not (made.doubt or made.more or made.parsed.hidden):
            self.remember(statement.text, made)
        return made

    def remember(self, text: str, reading: Reading) -> None:
        """From now on nothing has to be worked out about this statement."""
        if len(self.plain) > _MANY_READINGS:
            self.plain.clear()
        self.plain[text] = reading

    def _worked_out(self, statement: Statement, columns: tuple[str, ...], connection: Any) -> Reading:
        """Where the columns of a select come from, which tables need a query of ours, and what is not known."""
        found = statement.parsed
        tables = [(alias, self.table(connection, name)) for name, alias in found.tables]
        aliases = {alias: table for alias, table in tables if table is not None}
        doubt = "" if len(aliases) == len(tables) else f"a table of: {statement.text[:120]}"
        origins: list[tuple[Table, str] | None] = []
        for item in found.items:
            alias, column = item or ("", "")
            fitting = [table for name, table in aliases.items() if name == alias or not alias]
            if column == "*":
                origins += [(table, name) for table in fitting for name in table.names]
            else:
                owners = [(table, n) for table in fitting for n in table.names if n.lower() == column.lower()]
                origins.append(owners[0] if len(owners) == 1 else None)
        if len(origins) != len(columns):
            origins = [None] * len(columns)
        selected = {alias: {o[1] for o in origins if o and o[0] is table} for alias, table in aliases.items()}
        more = []
        for alias, table in aliases.items():
            if not found.grouped and len(selected[alias]) == len(table.columns):
                continue
            if alias in found.whole:
                more.append((table, found.whole[alias]))
            elif not selected[alias] >= set(table.key):
                doubt = doubt or f"columns of a join: {statement.text[:120]}"
        return Reading(found, columns, tuple(origins), tuple(more), doubt)


_catalogs: dict[tuple[str, int], Catalog] = {}
_latest: dict[str, tuple[float, Catalog]] = {}
"""By a database's place, until when which catalog is taken to hold: services open many connections to one file."""
_NOTHING = (0.0, Catalog())
_alone = itertools.count()


def place_of(address: str) -> str:
    """What connections that see one schema share; a database in memory is its connection's own."""
    return f"{address} {next(_alone)}" if address in ("", ":memory:") or "mode=memory" in address else address


def catalog_of(connection: Any) -> Catalog:
    """The catalog of a connection that is listened to; whether its schema has changed is asked every second."""
    place, now = connection._shadowlab_place, time.perf_counter()
    until, found = _latest.get(place, (0.0, None))
    if found is None or now > until:
        version = sqlite3.Cursor(connection).execute("PRAGMA schema_version").fetchone()[0]
        if len(_catalogs) > _MANY_CATALOGS:
            _catalogs.clear()
            _latest.clear()
        found = _catalogs.setdefault((place, version), Catalog())
        _latest[place] = (now + _CHECK_EVERY_S, found)
    return found


def plain_reading(connection: Any, sql: str, now: float) -> Reading | None:
    """What was worked out about a statement, if all of it was; `now` by `time.perf_counter`."""
    until, catalog = _latest.get(connection._shadowlab_place, _NOTHING)
    return catalog.plain.get(sql) if now < until else None


def changes(connection: Any) -> None:
    """This connection may change the schema, which others see later if at all: from now on it has a catalog alone."""
    _latest.pop(connection._shadowlab_place, None)
    connection._shadowlab_place = f"{connection._shadowlab_address} {next(_alone)}"


def _described(cursor: sqlite3.Cursor, name: str) -> Table | None:
    found = cursor.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) AND sql IS NOT NULL"
        " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name",
        (name,),
    ).fetchall()
    if not found or found[0][0] != "table":
        return None
    real = found[0][1]
    quoted = '"' + real.replace('"', '""') + '"'
    columns = cursor.execute(f"PRAGMA table_info({quoted})").fetchall()
    key = tuple(each[1] for each in sorted(columns, key=lambda each: each[5]) if each[5])
    whole = len(key) == 1 and next(each[2].upper() for each in columns if each[5]) == "INTEGER"
    return Table(
        name=real,
        columns=tuple((each[1], each[2]) for each in columns),
        key=key,
        schema=tuple(each[2] for each in found),
        sequences=((key[0], real),) if whole else (),
    )
