"""What triage asks: the telemetry's views, and a private, in-memory DuckDB for what it puts together itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from shadowlab import interrupts

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY = "1GB"


class Rows(Protocol):
    """What a query gave."""

    def arrow(self) -> Any:
        """An Arrow table."""

    def rows(self) -> list[dict[str, Any]]:
        """A mapping each."""


class Store(Protocol):
    """The telemetry's views, read-only; `telemetry.store(case)` is one."""

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Run one statement over the views."""


_IDLE: dict[int, list[Any]] = {}
"""Connections that wait for the next workshop, by process: none may be used on both sides of a fork."""


@contextmanager
def workshop() -> Iterator[Any]:
    """A DuckDB connection of nobody else's, with nothing in it; what was made in it is gone when the block ends.

    To open one takes longer than most of what is done in it: a process keeps it, and takes back what was made.
    """
    idle = _IDLE.setdefault(os.getpid(), [])
    try:
        con = idle.pop()
    except IndexError:  # not asked for before: another thread may take the last one in between
        con = _opened()
    con.execute("BEGIN")
    try:
        with interrupts.stoppable(con):
            yield con
    finally:
        con.execute("ROLLBACK")
    if not idle:
        idle.append(con)


def _opened() -> Any:
    import duckdb

    con = duckdb.connect()
    con.execute(f"SET memory_limit = '{MEMORY}'")
    con.execute("SET enable_external_access = false")
    return con


def ask_alone(store: Any, segment: str | None, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Any:
    """What a query says of one segment, as an Arrow table; of all where the store knows none."""
    return (store.sql(query, params) if segment is None else store.sql_alone(segment, query, params)).arrow()


def keep(con: Any, name: str, table: Any, columns: str = "*", *, temporary: bool = False) -> None:
    """Make table `name` in `con` from an Arrow table; a temporary one is seen by this cursor alone."""
    con.register("incoming", table)
    con.execute(f"CREATE OR REPLACE {'TEMP ' * temporary}TABLE {name} AS SELECT {columns} FROM incoming")
    con.unregister("incoming")


def signature(parts: Sequence[object]) -> str:
    """Sixteen hexadecimal digits that stand for `parts`, anywhere and for ever."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def dicts(con: Any, query: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query over a scene, as mappings."""
    found = con.execute(query, list(params))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
