"""Say that a request asked a database through a driver whose statements and rows are not kept."""

from __future__ import annotations

import functools
from typing import Any

from shadowlab_recorder.tape import current

_CURSOR = ("cursor", "query", "cmd_query")
_ASYNCPG = ("execute", "executemany", "_execute", "_executemany", "_copy_in", "_copy_out", "prepare", "cursor")
_PLACES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "asyncpg.connection": ("asyncpg", ("Connection",), _ASYNCPG),
    "asyncpg.prepared_stmt": (
        "asyncpg",
        ("PreparedStatement",),  # which may have been prepared before
        ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany", "cursor"),
    ),
    "pymysql.connections": ("pymysql", ("Connection",), _CURSOR),
    "aiomysql.connection": ("aiomysql", ("Connection",), _CURSOR),
    "MySQLdb.connections": ("mysqlclient", ("Connection",), _CURSOR),
    "mysql.connector.connection": ("mysql.connector", ("MySQLConnection",), _CURSOR),
    "mysql.connector.connection_cext": ("mysql.connector", ("CMySQLConnection",), _CURSOR),
    "oracledb.connection": ("oracledb", ("Connection", "AsyncConnection"), _CURSOR),
}
"""By module: the driver's name, its classes, and the methods through which a statement begins."""
MODULES = tuple(_PLACES)
somewhere: set[str] = set()
"""Drivers that this process has opened a connection with, and of which nobody can tell which request uses it."""


def watch(module: Any) -> None:
    """Marks the requests that use a connection of this module, one of `MODULES`."""
    driver, kinds, names = _PLACES[module.__name__]
    for kind in kinds:
        for name in names:
            if hasattr(getattr(module, kind, None), name):
                setattr(getattr(module, kind), name, _marking(getattr(getattr(module, kind), name), driver))


def watch_psycopg2(module: Any) -> None:
    """Marks the requests that ask a connection of psycopg2, written in C, for a cursor: it is given a class of ours."""
    connect = module.connect

    @functools.wraps(connect)
    def listened(dsn: Any = None, connection_factory: Any = None, *args: Any, **named: Any) -> Any:
        base = module.extensions.connection if connection_factory is None else connection_factory
        return connect(dsn, _listening(base) if isinstance(base, type) else base, *args, **named)

    module.connect = listened


def watch_pyodbc(module: Any) -> None:
    """pyodbc, written in C, lets nobody in: once it has a connection, every recording says that it may be missed."""
    connect = module.connect

    @functools.wraps(connect)
    def listened(*args: Any, **named: Any) -> Any:
        somewhere.add("database (pyodbc)")
        return connect(*args, **named)

    module.connect = listened


@functools.lru_cache(maxsize=64)
def _listening(base: Any) -> type:
    named = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), {**named, "cursor": _marking(base.cursor, "psycopg2")})


def _marking(method: Any, driver: str) -> Any:
    @functools.wraps(method)
    def marked(*args: Any, **named: Any) -> Any:
        tape = current()
        if tape is not None:
            tape.unseen.add(f"database ({driver})")
        return method(*args, **named)

    return marked
