"""The services that `recorder.py` measures: three shapes, each with one endpoint whose bare request costs 3 ms."""

import asyncio
import contextlib
import importlib
import io
import json
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler

ROWS = 500
COLUMNS = ("id", "customer", "amount", "state")


class Peer(BaseHTTPRequestHandler):
    """Whom the services ask."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: in two, the second waits 40 ms for the first to be acknowledged

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"accepted":true,"rate":"1.0842","lane":"a"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def table(database):
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("create table charges (id integer primary key, customer text, amount text, state text)")
        connection.executemany("insert into charges values (?, 'c-100', '19.99', 'new')", [(n,) for n in range(ROWS)])


burnt_ns = 0
"""Processor time that this process has burnt: the same work in every arrangement."""


def burnt(steps):
    global burnt_ns
    began, total = time.thread_time_ns(), 0
    for n in range(steps):
        total += n
    burnt_ns += time.thread_time_ns() - began
    return total % 7


def fastapi_service(database, peer, burn, *, asks):
    """POST /charges: with `asks` a select and an update through SQLAlchemy and a call through httpx; else neither."""
    sys.modules.setdefault("sniffio", None)  # httpcore looks for it four times in each call, and it takes 2 ms in vain
    import fastapi
    import httpx
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{database}")
    kinds = (sa.Integer, sa.Text, sa.Text, sa.Text)
    charges = sa.Table(
        "charges", sa.MetaData(), *(sa.Column(n, t, primary_key=n == "id") for n, t in zip(COLUMNS, kinds, strict=True))
    )
    app, client = fastapi.FastAPI(), httpx.AsyncClient()

    @app.post("/charges")
    async def charge(body: dict):
        rate = "1"
        if asks:
            with engine.begin() as connection:
                row = connection.execute(sa.select(charges).where(charges.c.id == body["id"])).one()
                rate = (await client.post(peer, json={"amount": body["amount"]})).json()["rate"]
                connection.execute(sa.update(charges).where(charges.c.id == row.id).values(state="charged"))
        total = burnt(burn)
        if body["fails"]:
            raise ValueError("refused")
        return {"rate": rate, "total": total}

    @app.post("/large")
    async def large(request: fastapi.Request):
        body = await request.body()
        await asyncio.sleep(0.3)
        return fastapi.Response(body)

    @app.post("/flood")
    async def flood():
        raise ValueError("each fails")

    return app


def flask_service(database, peer, burn):
    """POST /charges: a select and an update through sqlite3, a call through requests."""
    import flask
    import requests

    app, session = flask.Flask("charges"), requests.Session()

    @app.post("/charges")
    def charge():
        body = flask.request.get_json()
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            row = connection.execute("select * from charges where id = ?", (body["id"],)).fetchone()
            rate = session.post(peer, json={"amount": body["amount"]}).json()["rate"]
            connection.execute("update charges set state = 'charged' where id = ?", (row[0],))
        total = burnt(burn)
        if body["fails"]:
            raise ValueError("refused")
        return {"rate": rate, "total": total}

    return app


def load(shape):
    """Imports what this service will need."""
    sys.modules.setdefault("sniffio", None)
    names = ("flask", "requests") if shape.startswith("Flask") else ("fastapi", "httpx", "sqlalchemy.dialects.sqlite")
    for name in names:
        importlib.import_module(name)


SHAPES = {
    "FastAPI, SQLAlchemy, httpx": lambda *given: fastapi_service(*given, asks=True),
    "Flask, sqlite3, requests": flask_service,
    "FastAPI alone": lambda *given: fastapi_service(*given, asks=False),
}


def asked(shape, app, loop):
    """A function that sends one request through the application, as a server would, and waits for its end."""
    if shape.startswith("Flask"):
        return lambda path, body: ask_wsgi(app, path, body)
    return lambda path, body: loop.run_until_complete(ask_asgi(app, path, body))


async def ask_asgi(app, path, body):
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return inbox.pop() if inbox else {"type": "http.disconnect"}

    async def send(message):
        pass

    names = {"content-type": "application/json", "host": "shop", "user-agent": "load", "accept": "*/*"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in names.items()],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("shop", 80),
        "client": ("10.0.0.9", 40000),
    }
    with contextlib.suppress(ValueError):
        await app(scope, receive, send)


def ask_wsgi(app, path, body):
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "shop",
        "HTTP_USER_AGENT": "load",
        "HTTP_ACCEPT": "*/*",
        "SERVER_NAME": "shop",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    answer = app(environ, lambda *_: None)
    for _ in answer:
        pass
    if hasattr(answer, "close"):
        answer.close()


def charge(draws, fails):
    body = {"id": draws.randrange(ROWS), "amount": "19.99", "note": "a usual request", "fails": draws.random() < fails}
    return json.dumps(body).encode()
