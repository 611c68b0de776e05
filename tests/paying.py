"""A real FastAPI service on loopback with a real SQLite file and a real peer behind httpx, to be recorded."""

import asyncio
import contextlib
import json
import os
import random
import socket
import sqlite3
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler

import fastapi
import httpx
import shadowlab_recorder
import uvicorn
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from recorded import kept, spans_and_provider


class Gateway(BaseHTTPRequestHandler):
    """The peer: echoes what it is sent, redirects, streams, or hangs up."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/moved":
            return self._answer(307, b"", ("location", "/here"))
        if self.path == "/hangup":
            return self.connection.shutdown(socket.SHUT_RDWR)
        return self._answer(200, b"x" * int(self.path.rpartition("=")[2]) if "size=" in self.path else b"here")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer(200, b'{"accepted":' + (body or b"null") + b"}", ("set-cookie", "lane=peer-cookie-4711; Path=/"))

    def _answer(self, status, body, *headers):
        self.send_response(status)
        for name, value in (*headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def payments(database, gateway):
    """A small service: POST /charges calls the gateway, writes a row, and trips over a surcharge."""
    app = fastapi.FastAPI()

    @app.post("/charges")
    async def charge(request: fastapi.Request, body: dict):
        os.environ.get("SURCHARGE_RATE")
        os.getenv("NOT_SET_ANYWHERE")
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                gateway + "/charge", json=body, headers={"authorization": "Bearer gw-secret-0815"}
            )
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("insert into charges (amount) values (?)", (str(body["amount"]),))
        result = {"gateway": answer.json(), "total": Decimal("1.50") if body.get("surcharge") else 1}
        return fastapi.Response(json.dumps(result), media_type="application/json")

    @app.get("/sync")
    def sync(path: str = "/here"):
        with httpx.Client(follow_redirects=True) as client:
            first = client.get(gateway + path)
            with client.stream(
                "POST", gateway + "/charge", content=iter([b"[1,", b"2]"]), headers={"content-length": "5"}
            ) as r:
                pieces = b"".join(r.iter_bytes())
        return {"first": first.text, "pieces": pieces.decode()}

    @app.get("/refused")
    async def refused():
        async with httpx.AsyncClient() as client:
            await client.get(gateway + "/hangup")

    @app.get("/dice")
    async def dice(pause: float = 0):
        first = random.randint(1, 10**9)
        await asyncio.sleep(pause)
        return {"drawn": [first, random.random(), random.choice("abcdefgh")]}

    @app.get("/status/{status}")
    async def answered(status: int):
        return fastapi.Response("as asked", status_code=status)

    @app.post("/echo")
    async def echo(request: fastapi.Request):
        body = await request.body()
        raise RuntimeError(f"cannot take {body[:60]!r} of {request.headers.get('authorization')}")

    return app


@contextlib.contextmanager
def serving(app):
    """The application behind a real uvicorn; yields a client of it, and the server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, limits=limits) as client:
        yield client, server
    server.should_exit = True
    thread.join(10)


def traced(app):
    """OpenTelemetry's own instrumentation around the app, and the spans it makes."""
    spans, provider = spans_and_provider()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return spans


async def called(app, *messages, method="GET", headers=()):
    """Runs one request through an application without a server; gives what it sent."""
    queue = list(messages) or [{"type": "http.request", "body": b"", "more_body": False}]
    sent = []

    async def receive():
        return queue.pop(0) if queue else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"",
        "headers": headers,
    }
    await app(scope, receive, send)
    return sent


@contextlib.contextmanager
def recording(folder, database, gateway):
    """A factory: the service recorded with these settings, served; gives client, recordings(), recorder."""
    with contextlib.ExitStack() as stack:

        def make(app=None, **settings):
            settings = {"service": "payments-api", "share": 0.0, "directory": folder} | settings
            app = shadowlab_recorder.record(app or payments(database, gateway), **settings)
            client, server = stack.enter_context(serving(app))

            def recordings():
                while server.server_state.tasks:  # a client has its answer before the request is over
                    time.sleep(0.001)
                return kept(app.recorder, folder)

            return client, recordings, app

        yield make
