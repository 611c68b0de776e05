"""Say that a request asked a database through a driver that is not listened to: asyncpg."""

from __future__ import annotations

import functools
from typing import Any

from shadowlab_recorder.tape import current

_CONNECTION = ("execute", "executemany", "_execute", "_executemany", "_copy_in", "_copy_out", "prepare", "cursor")
_STATEMENT = ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany", "cursor")


def watch_connections(module: Any) -> None:
    """Marks the requests that use a connection of `asyncpg.connection`."""
    _mark(module.Connection, _CONNECTION)


def watch_statements(module: Any) -> None:
    """Marks those that use a statement of `asyncpg.prepared_stmt`, which may have been prepared before."""
    _mark(module.PreparedStatement, _STATEMENT)


def _mark(kind: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if hasattr(kind, name):
            setattr(kind, name, _marking(getattr(kind, name)))


def _marking(method: Any) -> Any:
    @functools.wraps(method)
    def marked(*args: Any, **named: Any) -> Any:
        tape = current()
        if tape is not None:
            tape.unseen.add("database (asyncpg)")
        return method(*args, **named)

    return marked
