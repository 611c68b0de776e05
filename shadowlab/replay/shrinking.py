"""Delta debugging over lists, JSON values and the rows of a database, with any oracle.

Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002; over trees, containers
first, then leaves (Misherghi and Su, "HDD: Hierarchical Delta Debugging", ICSE 2006).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_SIMPLEST: tuple[tuple[type, Any], ...] = ((bool, False), (int, 0), (float, 0), (str, ""), (list, []), (dict, {}))
LARGEST_DATABASE = 2 << 20
"""Bytes: each candidate is a copy, and there may be hundreds."""
_DEEPEST = 100
"""Containers in containers that are taken apart."""


def fewer(parts: Sequence[T], holds: Callable[[list[T]], bool]) -> list[T]:
    """As few of `parts` as `holds` allows, in their order: large pieces are tried first, then ever smaller ones."""
    left, size = list(parts), len(parts)
    while size:
        at = 0
        while at < len(left):
            rest = left[:at] + left[at + size :]
            if holds(rest):
                left = rest
            else:
                at += size
        size //= 2
    return left


def parsed(text: str | bytes) -> Any:
    """A JSON value to be made smaller; raises `ValueError` for what is none, or nests too deep to be taken apart."""
    try:
        value = json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for one in level for part in _parts(one)]
    if level:
        raise ValueError("nested too deep")
    return value


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def smaller(value: Any, holds: Callable[[Any], bool]) -> Any:
    """The simplest JSON value that `holds` allows: containers top-down, then leaves."""
    simplest = next((simple for kind, simple in _SIMPLEST if isinstance(value, kind)), None)
    if value == simplest or value is None:
        return value
    if holds(simplest):
        return simplest
    if isinstance(value, dict):
        keys = fewer(list(value), lambda left: holds({key: value[key] for key in left}))
        kept = {key: value[key] for key in keys}
        for key in keys:
            kept[key] = smaller(kept[key], _within(kept, key, holds))
        return kept
    if isinstance(value, list):
        items = fewer(value, holds)
        for n in range(len(items)):
            items[n] = smaller(items[n], _within(items, n, holds))
        return items
    return value


def _within(whole: Any, place: Any, holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """What a list or mapping has to hold, asked of the part in one place of it."""

    def with_part(part: Any) -> bool:
        changed = whole.copy()
        changed[place] = part
        return holds(changed)

    return with_part


def fewer_rows(database: bytes, holds: Callable[[bytes], bool]) -> bytes:
    """The database with as few rows as `holds` allows: first whole tables are emptied, then rows go."""
    return _only(database, fewer_of_each(_rows(database), lambda left: holds(_only(database, left))))


def fewer_of_each(rows: Mapping[str, Sequence[T]], holds: Callable[[dict[str, list[T]]], bool]) -> dict[str, list[T]]:
    """As few rows by table as `holds` allows: first whole tables are emptied, which are then left out, then rows go."""
    whole = {table: list(each) for table, each in rows.items() if each}
    tables = fewer(list(whole), lambda left: holds({table: whole[table] for table in left}))
    kept = {table: whole[table] for table in tables}
    for table in tables:
        kept[table] = fewer(kept[table], _within(kept, table, holds))
    return kept


def row_count(database: bytes) -> int:
    """Rows in all tables."""
    return sum(len(rows) for rows in _rows(database).values())


def _rows(database: bytes) -> dict[str, list[int]]:
    """Row ids by table; tables without row ids, and virtual ones, stay as they are."""
    found = {}
    db = _opened(database)
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
                       " AND sql LIKE 'CREATE TABLE%'").fetchall()  # fmt: skip
    for (name,) in names:
        try:
            found[name] = [row for (row,) in db.execute(f"SELECT rowid FROM {_quoted(name)} ORDER BY rowid")]
        except sqlite3.OperationalError:  # WITHOUT ROWID
            continue
    db.close()
    return {name: rows for name, rows in found.items() if rows}


def _only(database: bytes, wanted: dict[str, list[int]]) -> bytes:
    """The database with these rows of the tables that `_rows` names, and with no room left for others."""
    db = _opened(database)
    # What the service does when a row goes must not happen here, and must be there afterwards.
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {_quoted(name)}")
    for table, rows in _rows(database).items():
        gone = set(rows) - set(wanted.get(table, ()))
        db.executemany(f"DELETE FROM {_quoted(table)} WHERE rowid = ?", [(row,) for row in sorted(gone)])
    for _, text in triggers:
        db.execute(text)
    db.commit()
    db.execute("VACUUM")
    content = bytes(db.serialize())
    db.close()
    return content


def _opened(database: bytes) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.deserialize(database)
    db.execute("PRAGMA trusted_schema = OFF")
    return db


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
