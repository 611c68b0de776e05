"""The least that a recorder in Python costs: wrappers at its places, which keep a reference and do nothing else."""

import contextvars
import sqlite3

held = contextvars.ContextVar("held", default=None)


def floored(app, shape):
    """The application with such wrappers around it, around its client's transport and around its cursors."""
    _sqlite()
    if shape.startswith("Flask"):
        _urllib3()
        return _wsgi(app)
    _httpx()
    return _asgi(app)


def _asgi(app):
    async def asgi(scope, receive, send):
        kept = []

        async def tee_receive():
            message = await receive()
            kept.append(message)
            return message

        def tee_send(message):
            kept.append(message)
            return send(message)

        token = held.set(kept)
        try:
            await app(scope, tee_receive, tee_send)
        finally:
            held.reset(token)

    return asgi


def _wsgi(app):
    def wsgi(environ, start_response):
        kept = []

        def started(status, headers, *exc_info):
            kept.append((status, headers))
            return start_response(status, headers, *exc_info)

        token = held.set(kept)
        try:
            return app(environ, started)
        finally:
            held.reset(token)

    return wsgi


def _httpx():
    import httpx

    handle = httpx.AsyncHTTPTransport.handle_async_request

    async def handle_async_request(self, request):
        response = await handle(self, request)
        kept = held.get()
        if kept is not None:
            kept.append((request, response))
        return response

    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request


def _urllib3():
    import urllib3

    make_request = urllib3.HTTPConnectionPool._make_request

    def _make_request(self, *args, **kwargs):
        response = make_request(self, *args, **kwargs)
        kept = held.get()
        if kept is not None:
            kept.append((args, response))
        return response

    urllib3.HTTPConnectionPool._make_request = _make_request


def _sqlite():
    connect, execute, fetchone = sqlite3.connect, sqlite3.Cursor.execute, sqlite3.Cursor.fetchone
    cursor_of = sqlite3.Connection.cursor

    class Cursor(sqlite3.Cursor):
        def execute(self, *args):
            kept = held.get()
            if kept is not None:
                kept.append(args)
            return execute(self, *args)

        def fetchone(self):
            row, kept = fetchone(self), held.get()
            if kept is not None:
                kept.append(row)
            return row

    class Connection(sqlite3.Connection):
        def cursor(self, factory=Cursor):
            return cursor_of(self, factory)

        def execute(self, *args):
            return self.cursor().execute(*args)

    def connected(*args, **kwargs):
        return connect(*args, **{"factory": Connection, **kwargs})

    sqlite3.connect = sqlite3.dbapi2.connect = connected
