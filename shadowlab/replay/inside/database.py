"""SQLite under the virtual clock and the seeded streams, and what a request changed in it."""

from __future__ import annotations

import _sqlite3
import contextlib
import functools
import hashlib
import os
import sqlite3
from collections.abc import Callable
from typing import Any

from .chance import Chance
from .clock import Clock
from .put import put
from .untouched import UntouchedDatabase
from .untouched_sqlite import asking

NAME = "replay.sqlite"
PLACE = f"/proc/self/cwd/{NAME}"
"""Where each child's own copy lies: the kernel finds it anew in every process, though it was named before the fork."""
_CONNECTION, _CURSOR = sqlite3.Connection, sqlite3.Cursor
_DATES = ("datetime", "date", "time", "julianday", "unixepoch")
_CURRENT = {"current_timestamp": "datetime", "current_date": "date", "current_time": "time"}


class Database:
    """Overrides SQLite's own clock and randomness on every connection that Python opens."""

    def __init__(
        self, clock: Clock, chance: Chance, untouched: UntouchedDatabase, note: Callable[[str, str], None]
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._untouched = untouched
        self._note = note
        self._plain: sqlite3.Connection | None = None
        self._connect = sqlite3.connect
        self.opened = 0
        self.anywhere = False
        """Whether the recorded database is found at every path where there is none: nobody said where it lies."""
        self._led: dict[str, None] = {}

    def install(self) -> None:
        """Take the place of `sqlite3.connect` and of its classes; must come before the service is imported."""
        connection, cursor = asking(self._untouched, self._place, self._override)

        def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args) <= 4:  # the fifth is a factory
                kwargs.setdefault("factory", connection)
            return self._connect(database, *args, **kwargs)

        for module in (_sqlite3, sqlite3, sqlite3.dbapi2):
            put(module, connect=connect, Connection=connection, Cursor=cursor)

    def _place(self, database: Any) -> Any:
        """Where the recorded database lies, for a file that is not there; all else as it was asked for."""
        if not self.anywhere or not isinstance(database, (str, bytes, os.PathLike)):
            return database
        name = os.fsdecode(database)
        path, _, query = name.removeprefix("file:").partition("?") if name.startswith("file:") else (name, "", "")
        if path in ("", ":memory:") or "mode=memory" in query or os.path.exists(path):
            return database
        self._led[os.path.abspath(path)] = None
        if len(self._led) > 1:
            names = " and ".join(os.path.basename(each) for each in self._led)
            self._note("database", f"{names} were read from the one database that was recorded")
        return f"file:{PLACE}?{query}" if name.startswith("file:") else PLACE

    def _override(self, connection: sqlite3.Connection) -> None:
        """Through SQLite's own methods: the service may have put others in their place."""
        self.opened += 1
        function = functools.partial(_CONNECTION.create_function, connection)
        for name in _DATES:
            function(name, -1, self._dated(name), deterministic=True)
        function("strftime", -1, self._formatted, deterministic=True)
        for name, dated in _CURRENT.items():
            function(name, 0, self._dated(dated))
        with contextlib.suppress(sqlite3.Error):  # a copy that is thrown away needs no disk to agree
            _CURSOR(connection).execute("PRAGMA synchronous=OFF")
        function("random", 0, lambda: int.from_bytes(self._chance.draw(8), "big", signed=True))
        function("randomblob", 1, lambda size: self._chance.draw(max(int(size), 1)))

    def _dated(self, name: str) -> Any:
        def function(*args: Any) -> Any:
            return self._ask(name, self._fixed(args or ("now",), 0))

        return function

    def _formatted(self, *args: Any) -> Any:
        return self._ask("strftime", self._fixed(args if len(args) > 1 else (*args, "now"), 1))

    def _fixed(self, args: tuple[Any, ...], at: int) -> tuple[Any, ...]:
        if len(args) > at and isinstance(args[at], str) and args[at].lower() == "now":
            now = self._clock.wall_ns // 10**6
            text = self._ask("strftime", ("%Y-%m-%d %H:%M:%S", now // 1000, "unixepoch"))
            return (*args[:at], f"{text}.{now % 1000:03d}", *args[at + 1 :])
        return args

    def _ask(self, name: str, args: tuple[Any, ...]) -> Any:
        """SQLite's own answer, from a connection without overrides."""
        if self._plain is None:
            self._plain = self._connect(":memory:", check_same_thread=False)
        marks = ", ".join("?" * len(args))
        return self._plain.execute(f"SELECT {name}({marks})", args).fetchone()[0]

    def copy(self, database: str, place: str) -> None:
        """Write a database as it is now, what lies in its journal included, to another file."""
        with contextlib.closing(self._connect(database)) as here, contextlib.closing(self._connect(place)) as there:
            here.backup(there)

    def put_back(self, before: str, place: str) -> None:
        """Make a database what it was before, for connections that are open to it as well."""
        with contextlib.closing(self._connect(f"file:{before}?mode=ro&immutable=1", uri=True)) as there:
            try:
                with contextlib.closing(self._connect(place, timeout=0.0)) as here:
                    there.backup(here, progress=_unlocked)
            except sqlite3.Error:  # somebody left it locked: whoever opens it from now on finds another file
                for end in ("", "-wal", "-shm", "-journal"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{place}{end}")
                with contextlib.closing(self._connect(place)) as here:
                    there.backup(here)

    def change(self, before: str, after: str) -> dict[str, Any]:
        """What differs between two database files: `{shape: {table: [added, removed]}, sha256}`; values stay here."""
        if not os.path.exists(after):
            return {"shape": {}, "sha256": "", "unknown": "the database is gone"}
        connection = self._connect(f"file:{after}?mode=ro", uri=True, timeout=1.0)
        try:
            connection.text_factory = bytes
            connection.execute("ATTACH DATABASE ? AS before", (f"file:{before}?mode=ro&immutable=1",))
            return _compared(connection)
        except sqlite3.Error as exc:
            return {"shape": {}, "sha256": "", "unknown": str(exc)}
        finally:
            connection.close()


def _unlocked(status: int, remaining: int, total: int) -> None:
    """End a backup that would wait for ever for whoever holds the lock."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("database is locked")


def _compared(connection: sqlite3.Connection) -> dict[str, Any]:
    query = "SELECT name, sql FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    now = dict(connection.execute(query.format("main")).fetchall())
    then = dict(connection.execute(query.format("before")).fetchall())
    shape: dict[str, list[int]] = {}
    digest = hashlib.sha256()
    for table in sorted({*now, *then}):
        added, removed = _rows(connection, table, now, then)
        if added or removed or now.get(table) != then.get(table):
            shape[table.decode(errors="replace")] = [len(added), len(removed)]
            digest.update(repr((table, now.get(table), added, removed)).encode())
    return {"shape": shape, "sha256": digest.hexdigest() if shape else ""}


def _rows(connection: sqlite3.Connection, table: bytes, now: dict[bytes, Any], then: dict[bytes, Any]) -> Any:
    quoted = '"' + table.decode(errors="replace").replace('"', '""') + '"'
    sides = [f"SELECT * FROM {schema}.{quoted}" for schema, has in (("main", now), ("before", then)) if table in has]
    if len(sides) == 2 and now[table] == then[table]:
        here, there = (connection.execute(f"{a} EXCEPT {b}").fetchall() for a, b in (sides, sides[::-1]))
        return sorted(here, key=repr), sorted(there, key=repr)
    rows = [sorted(connection.execute(side).fetchall(), key=repr) for side in sides]
    if len(sides) == 2:
        return rows[0], rows[1]
    return (rows[0], []) if table in now else ([], rows[0])
