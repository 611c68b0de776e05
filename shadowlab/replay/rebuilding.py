"""Make a SQLite database of the rows that a recording holds, when it holds no image of one."""

from __future__ import annotations

import base64
import sqlite3
from typing import Any

from shadowlab import errors
from shadowlab.replay.fixture import Fixture

_MAY = {
    sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_REINDEX, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_FUNCTION,
}  # fmt: skip
_MOST_STEPS = 20_000_000


def rebuilt(fixture: Fixture) -> bytes | None:
    """The touched part of the database as a file; None when no rows of SQLite were recorded.

    Schema and rows come from the recording and are hostile: nothing but tables, indexes and rows is made, in memory.
    Raises `RecordingError` when they do not fit each other.
    """
    recorded = fixture.database
    if recorded is None or recorded.dialect != "sqlite" or not recorded.schema:
        return None
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA trusted_schema = OFF")
    db.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _MAY else sqlite3.SQLITE_DENY)
    db.set_progress_handler(lambda: 1, _MOST_STEPS)
    try:
        for statement in recorded.schema:
            db.execute(statement)
        for table, rows in recorded.rows.items():
            for row in rows:
                names, marks = ", ".join(map(_quoted, row)), ", ".join("?" * len(row))
                db.execute(
                    f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", [_value(v) for v in row.values()]
                )
        for table, last in recorded.sequences.items():
            _count_on(db, table, last)
        db.set_authorizer(None)
        return bytes(db.serialize())
    except (sqlite3.Error, ValueError, TypeError, KeyError) as exc:
        raise errors.RecordingError(
            f"the recorded rows of {fixture.id[:8]} cannot be put back: {str(exc)[:200]}",
            hint="`incomplete` in the recording says what of the database was not known",
        ) from exc
    finally:
        db.close()


def _count_on(db: sqlite3.Connection, table: str, last: Any) -> None:
    """Let AUTOINCREMENT go on from where it was; other tables count from their rows."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        db.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, int(last)))


def _value(value: Any) -> Any:
    """A recorded value as SQLite had it."""
    if isinstance(value, dict):
        if "base64" in value:
            return base64.b64decode(value["base64"])
        return int(value["integer"]) if "integer" in value else float(value["real"])
    return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
