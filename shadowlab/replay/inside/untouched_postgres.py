"""Let psycopg ask before each statement whether it may run; psycopg2, written in C, before it connects."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .put import put
from .untouched import UntouchedDatabase

_STATEMENTS = (
    "_execute_gen", "_executemany_gen_pipeline", "_executemany_gen_no_pipeline", "_stream_send_gen", "_start_copy_gen",
)  # fmt: skip


def install(psycopg: Any, untouched: UntouchedDatabase) -> None:
    """Wrap what every cursor of psycopg 3, sync and async, sends its statements through."""
    from psycopg._connection_base import BaseConnection
    from psycopg._cursor_base import BaseCursor
    from psycopg._server_cursor_base import ServerCursorMixin

    for owner, names in ((BaseCursor, _STATEMENTS), (ServerCursorMixin, ("_declare_gen",))):
        for name in names:
            put(owner, **{name: _asking(getattr(owner, name), psycopg.OperationalError, untouched)})
    put(BaseConnection, _connect_gen=_connecting(BaseConnection.__dict__["_connect_gen"].__func__, untouched))


def install_psycopg2(psycopg2: Any, untouched: UntouchedDatabase) -> None:
    """Refuse the connection: no statement of it could be heard."""
    connect = psycopg2.connect

    def connected(*args: Any, **named: Any) -> Any:
        if why := untouched.unheard("a connection of psycopg2"):
            raise psycopg2.OperationalError(why)
        return connect(*args, **named)

    put(psycopg2, connect=connected)


def _asking(original: Callable[..., Any], error: type[Exception], untouched: UntouchedDatabase) -> Callable[..., Any]:
    def generator(self: Any, query: Any, *args: Any, **named: Any) -> Any:
        why = untouched.refusal(_text(self._conn, query))
        if why is not None:
            raise error(why)
        return original(self, query, *args, **named)

    return generator


def _connecting(original: Callable[..., Any], untouched: UntouchedDatabase) -> Any:
    """There may be no server: then the request asked for more than was recorded, too."""

    def generator(cls: Any, *args: Any, **named: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from original(cls, *args, **named))
        except Exception:
            if untouched.refusing:
                untouched.refused("a connection to PostgreSQL")
            raise

    return classmethod(generator)


def _text(connection: Any, query: Any) -> str:
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return str(query.as_string(connection)) if hasattr(query, "as_string") else str(query)
