"""The recorder, around a real FastAPI service on loopback with a real SQLite file and a real peer behind httpx."""

import asyncio
import base64
import contextlib
import hashlib
import importlib.resources
import json
import lzma
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastapi
import httpx
import jsonschema
import pytest
import shadowlab_recorder
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from shadowlab_recorder import fixture
from shadowlab_recorder.redaction import Redacted, Redaction
from shadowlab_recorder.snapshot import _backup
from shadowlab_recorder.tape import Body, Tape
from shadowlab_recorder.writer import Writer

from shadowlab.replay.fixture import parse

SCHEMA = json.loads(importlib.resources.files("shadowlab_recorder").joinpath("recording.schema.json").read_text())


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


@pytest.fixture(scope="module")
def gateway():
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "payments.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table charges (id integer primary key, amount text)")
    return path


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


@pytest.fixture
def recorded(tmp_path, database, gateway):
    """A factory: the service recorded with these settings, served; gives client, recordings(), recorder."""
    with contextlib.ExitStack() as stack:

        def make(app=None, **settings):
            folder = tmp_path / "recordings"
            settings = {"service": "payments-api", "share": 0.0, "directory": folder} | settings
            app = shadowlab_recorder.record(app or payments(database, gateway), **settings)
            client, server = stack.enter_context(serving(app))

            def recordings():
                while server.server_state.tasks:  # a client has its answer before the request is over
                    time.sleep(0.001)
                assert app.recorder.flush()
                return sorted(map(read, folder.glob("*.json")), key=lambda each: each["time"])

            return client, recordings, app

        yield make


def read(path):
    document = json.loads(path.read_bytes())
    jsonschema.validate(document, SCHEMA)
    assert document["id"] == path.stem
    return document


def rows(folder, recording):
    """What the charges table of a recording's snapshot holds."""
    image = lzma.decompress((folder / recording["db_snapshot"]).read_bytes())
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        return connection.execute("select amount from charges").fetchall()


def traced(app):
    """OpenTelemetry's own instrumentation around the app, and the spans it makes."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return spans


def server_spans(spans):
    found = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return {f"{span.context.span_id:016x}": span.attributes.get("shadowlab.recording.id") for span in found}


def test_a_failing_request_is_written_down_with_its_answer(recorded):
    client, recordings, _ = recorded(service_version="2.1.0", commit="ab" * 20, flags=lambda: {"surcharges": True})
    assert client.post("/charges?dry=0", json={"amount": 19.99, "surcharge": True}).status_code == 500
    [one] = recordings()
    assert (one["service"], one["kind"], one["commit"]) == ("payments-api", "asgi", "ab" * 20)
    assert (one["service_version"], one["flags"], one["trace_id"]) == ("2.1.0", {"surcharges": True}, None)
    request = one["request"]
    assert (request["method"], request["path"], request["query"]) == ("POST", "/charges", "dry=0")
    assert request["body"] == {"amount": 19.99, "surcharge": True}
    assert ["content-type", "application/json"] in request["headers"]
    assert (one["response"]["status"], one["response"]["body"]) == (500, "Internal Server Error")
    assert one["versions"]["packages"]["fastapi"] == fastapi.__version__
    assert (one["control"], one["truncated"]) == (False, [])


def test_the_exception_is_kept_with_its_frames_outermost_first(recorded):
    client, recordings, _ = recorded()
    client.post("/charges", json={"amount": 1, "surcharge": True})
    error = recordings()[0]["error"]
    assert (error["type"], error["message"]) == ("TypeError", "Object of type Decimal is not JSON serializable")
    assert [frame["function"] for frame in error["frames"] if frame["file"] == __file__] == ["charge"]
    assert error["frames"][-1]["function"] == "default"


def test_names_of_variables_are_kept_and_values_of_the_listed_ones_only(recorded, monkeypatch):
    monkeypatch.setenv("SURCHARGE_RATE", "0.03")
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    client, recordings, _ = recorded(environment=("SURCHARGE_RATE",))
    client.post("/charges", json={"amount": 1, "surcharge": True})
    environment = recordings()[0]["environment"]
    assert environment["values"] == {"SURCHARGE_RATE": "0.03"}
    assert {"SURCHARGE_RATE", "NOT_SET_ANYWHERE"} <= set(environment["read"])
    assert {"NOT_SET_ANYWHERE"} <= set(environment["unset"])
    assert "SURCHARGE_RATE" not in environment["unset"]


def test_the_recorders_own_frames_are_left_out(recorded):
    client, recordings, _ = recorded()
    client.post("/charges", json={"amount": 1, "surcharge": True})
    [one] = recordings()
    assert not [frame for frame in one["error"]["frames"] if "shadowlab_recorder" in frame["file"]]


def test_requests_that_pass_or_are_refused_are_not_written(recorded, tmp_path):
    client, recordings, app = recorded()
    assert client.post("/charges", json={"amount": 1}).status_code == 200
    assert client.post("/charges", json=[]).status_code == 422
    assert client.get("/status/404").status_code == 404
    assert recordings() == []
    assert app.recorder.counts == {"written": 0, "dropped": 0, "failed": 0, "limited": 0}


def test_an_answer_of_503_is_written_although_nothing_was_raised(recorded):
    client, recordings, _ = recorded()
    client.get("/status/503")
    [one] = recordings()
    assert (one["response"]["status"], one["response"]["body"], one["error"]) == (503, "as asked", None)


def test_slow_requests_are_written(recorded):
    client, recordings, _ = recorded(slow_ms=150)
    client.get("/dice")
    client.get("/dice?pause=0.2")
    assert [each["request"]["query"] for each in recordings()] == ["pause=0.2"]


def test_the_outbound_call_and_its_answer_are_kept_and_still_reach_the_caller(recorded, gateway):
    client, recordings, _ = recorded(mirror=True)
    assert client.post("/charges", json={"amount": 5}).json()["gateway"] == {"accepted": {"amount": 5}}
    [call] = recordings()[0]["outbound"]
    assert (call["seq"], call["client"], call["method"], call["url"]) == (0, "httpx", "POST", gateway + "/charge")
    assert call["request_body"] == {"amount": 5}
    assert call["request_body_sha256"] == hashlib.sha256(b'{"amount":5}').hexdigest()
    assert (call["status"], call["body"], call["error"]) == (200, {"accepted": {"amount": 5}}, None)
    assert call["elapsed_ms"] > 0


def test_sync_calls_redirects_and_streams_are_kept_in_order(recorded, gateway):
    client, recordings, _ = recorded(mirror=True)
    assert client.get("/sync?path=/moved").json() == {"first": "here", "pieces": '{"accepted":[1,2]}'}
    one = recordings()[0]
    assert [(call["url"].removeprefix(gateway), call["status"]) for call in one["outbound"]] == [
        ("/moved", 307),
        ("/here", 200),
        ("/charge", 200),
    ]
    assert one["outbound"][2]["request_body"] == [1, 2]
    assert one["outbound"][2]["body"] == {"accepted": [1, 2]}
    assert one["truncated"] == []


def test_outbound_calls_are_kept_once_beside_opentelemetrys_own_instrumentation(recorded):
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    client, recordings, _ = recorded(mirror=True)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        client.post("/charges", json={"amount": 5})
        assert [call["status"] for call in recordings()[0]["outbound"]] == [200]
    finally:
        HTTPXClientInstrumentor().uninstrument()
    assert [span.kind for span in spans.get_finished_spans()].count(SpanKind.CLIENT) >= 1


def test_an_outbound_call_that_breaks_is_kept_with_its_error(recorded):
    client, recordings, _ = recorded()
    assert client.get("/refused").status_code == 500
    [one] = recordings()
    [call] = one["outbound"]
    assert (call["status"], call["error"]["type"]) == (None, "httpx.RemoteProtocolError")
    assert one["error"]["type"] == "httpx.RemoteProtocolError"


def test_the_snapshot_is_the_database_before_the_request(recorded, database, tmp_path):
    client, recordings, _ = recorded(snapshot=shadowlab_recorder.SqliteSnapshot(database, environment="PAYMENTS_DB"))
    client.post("/charges", json={"amount": 1})
    client.post("/charges", json={"amount": 2, "surcharge": True})
    client.post("/charges", json={"amount": 3, "surcharge": True})
    first, second = recordings()
    assert first["db_environment"] == "PAYMENTS_DB"
    assert rows(tmp_path / "recordings", first) == [("1",)]
    assert rows(tmp_path / "recordings", second) == [("1",), ("2",)]


def test_requests_that_saw_the_same_database_share_one_blob(recorded, database, tmp_path):
    client, recordings, _ = recorded(snapshot=shadowlab_recorder.SqliteSnapshot(database))
    for _ in range(3):
        client.get("/status/500")
    assert len({each["db_snapshot"] for each in recordings()}) == 1
    assert len(list((tmp_path / "recordings" / "blobs").iterdir())) == 1


def test_a_database_in_wal_mode_gives_an_image_that_opens_alone(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("insert into charges (amount) values ('7')")
        connection.commit()
        image = shadowlab_recorder.SqliteSnapshot(f"sqlite:///{database}").take()
    with contextlib.closing(sqlite3.connect(":memory:")) as copy:
        copy.deserialize(image.data)
        assert copy.execute("select amount from charges").fetchall() == [("7",)]


def test_a_database_that_is_absent_too_large_or_replaced_is_noticed(database, tmp_path):
    assert shadowlab_recorder.SqliteSnapshot(tmp_path / "none.db").take() is None
    assert shadowlab_recorder.SqliteSnapshot(database, limit=100).take() is None
    snapshot = shadowlab_recorder.SqliteSnapshot(database)
    before = snapshot.take()
    assert snapshot.take() is before
    os.replace(_other(tmp_path), database)
    assert snapshot.take().sha256 != before.sha256


def _other(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("create table charges (id integer primary key, amount text, note text)")
    return tmp_path / "other.db"


def test_a_snapshot_that_could_not_be_had_is_named(recorded, tmp_path):
    client, recordings, _ = recorded(snapshot=shadowlab_recorder.SqliteSnapshot(tmp_path / "none.db", environment="DB"))
    client.get("/status/500")
    [one] = recordings()
    assert (one["db_snapshot"], one["truncated"]) == (None, ["db_snapshot"])


def test_a_snapshot_hook_that_raises_costs_the_snapshot_only(recorded):
    class Broken:
        environment = "DB"

        def take(self):
            raise RuntimeError("no database today")

    client, recordings, _ = recorded(snapshot=Broken())
    assert client.get("/status/500").text == "as asked"
    assert recordings()[0]["truncated"] == ["db_snapshot"]


def test_python_310_takes_the_same_image_through_a_file(database):

    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert _backup(connection)[100:] == connection.serialize()[100:]


def test_the_seeded_share_of_passing_requests_comes_as_controls_with_a_snapshot(recorded, database):
    client, recordings, _ = recorded(share=0.3, seed=7, snapshot=shadowlab_recorder.SqliteSnapshot(database))
    for n in range(20):
        client.get(f"/status/{500 if n == 3 else 200}?n={n}")
    draws = random.Random(7)
    chosen = [n for n in range(20) if draws.random() < 0.3]
    assert [each["request"]["query"] for each in recordings() if each["control"]] == [
        f"n={n}" for n in chosen if n != 3
    ]
    assert all(each["db_snapshot"] for each in recordings())
    assert [each["control"] for each in recordings() if each["request"]["query"] == "n=3"] == [False]


def test_a_mirror_keeps_every_request_and_the_database_of_failures_and_controls_only(recorded, database):
    snapshot = shadowlab_recorder.SqliteSnapshot(database, environment="PAYMENTS_DB")
    client, recordings, _ = recorded(mirror=True, snapshot=snapshot)
    for status in (200, 422, 500):
        client.get(f"/status/{status}")
    kept = recordings()
    assert [each["response"]["status"] for each in kept] == [200, 422, 500]
    assert [each["db_snapshot"] is not None for each in kept] == [False, False, True]
    assert [each["truncated"] for each in kept] == [[], [], []]


def test_the_server_span_and_the_recording_name_each_other_with_the_instrumentation_inside(recorded, database, gateway):
    app = payments(database, gateway)
    spans = traced(app)
    client, recordings, _ = recorded(app)
    client.post("/charges", json={"amount": 1})
    client.post("/charges", json={"amount": 2, "surcharge": True})
    [one] = recordings()
    found = server_spans(spans)
    assert len(found) == 2
    assert found[one["span_id"]] == one["id"]
    assert list(found.values()).count(None) == 1


def test_instrumenting_the_recorded_application_reaches_the_inner_one(recorded, database, gateway, tmp_path):
    app = shadowlab_recorder.record(payments(database, gateway), directory=tmp_path / "recordings", share=0)
    spans = traced(app)
    with serving(app) as (client, _):
        client.get("/status/500")
    assert app.recorder.flush()
    [one] = map(read, (tmp_path / "recordings").glob("*.json"))
    assert server_spans(spans) == {one["span_id"]: one["id"]}


@pytest.mark.parametrize("instrumented", ["outside", "inside"])
def test_a_plain_asgi_application_is_linked_in_both_arrangements(tmp_path, instrumented):
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))

    async def plain(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    if instrumented == "inside":
        app = recorder = shadowlab_recorder.record(
            OpenTelemetryMiddleware(plain, tracer_provider=provider), directory=tmp_path
        )
    else:
        recorder = shadowlab_recorder.record(plain, directory=tmp_path)
        app = OpenTelemetryMiddleware(recorder, tracer_provider=provider)
    asyncio.run(_called(app))
    assert recorder.recorder.flush()
    [one] = map(read, tmp_path.glob("*.json"))
    assert server_spans(spans) == {one["span_id"]: one["id"]}


async def _called(app, *messages, method="GET", headers=()):
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


def test_an_exception_after_the_answer_began_still_reaches_the_span(recorded, database, gateway):
    app = payments(database, gateway)
    spans = traced(app)

    @app.get("/halfway")
    async def halfway():
        async def pieces():
            yield b"first"
            raise ValueError("the rest is gone")

        return fastapi.responses.StreamingResponse(pieces())

    client, recordings, _ = recorded(app)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/halfway")
    [one] = recordings()
    assert (one["error"]["type"], one["response"]["status"], one["response"]["body"]) == ("ValueError", 200, "first")
    assert server_spans(spans) == {one["span_id"]: one["id"]}


def test_an_exception_goes_on_to_the_server_unchanged_and_without_a_response(tmp_path):
    async def broken(scope, receive, send):
        raise KeyError("sku-7")

    app = shadowlab_recorder.record(broken, directory=tmp_path)
    with pytest.raises(KeyError, match="sku-7"):
        asyncio.run(_called(app))
    assert app.recorder.flush()
    [one] = map(read, tmp_path.glob("*.json"))
    assert (one["response"], one["error"]["type"], one["request"]["path"]) == (None, "KeyError", "/a%20b")


def test_a_request_whose_client_went_away_is_no_control(tmp_path):
    async def cancelled(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    app = shadowlab_recorder.record(cancelled, directory=tmp_path, share=1.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_called(app))
    assert app.recorder.flush()
    assert list(tmp_path.glob("*.json")) == []


SECRETS = {
    "authorization": "Bearer tok-7f3c9a1e55",
    "proxy-authorization": "Basic dXNlcjpwYXNzd29yZDE=",
    "cookie": "theme=dark; sid=c00kie-value-1",
    "x-api-key": "key-9d8c7b6a55",
    "x-csrf-token": "csrf-1122334455",
    "x-client-secret": "cs-5566778899",
    "x-db-password": "hunter2-hunter2",
    "x-session-id": "sess-0a0b0c0d01",
    "x-company-thing": "co-44556677",
    "x-upstream": "Bearer other-998877665",
}


def test_no_planted_secret_is_in_any_file(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:pg-pass-1234@db/pay")
    monkeypatch.setenv("STRIPE_SECRET", "sk_live_777777777")
    client, recordings, _ = recorded(environment=("DATABASE_URL", "STRIPE_SECRET"), redact=("x-company-*",))
    client.post("/echo?page=2&access_token=query-tok-123456", content=SECRETS["authorization"], headers=SECRETS)
    client.post("/charges", json={"amount": 1, "surcharge": True})
    first, second = recordings()
    written = b"".join(path.read_bytes() for path in (tmp_path / "recordings").rglob("*") if path.is_file()).decode()
    values = [value.split(" ", 1)[-1] for value in SECRETS.values()]
    values += [
        "c00kie-value-1",
        "pg-pass-1234",
        "sk_live_777777777",
        "query-tok-123456",
        "gw-secret-0815",
        "peer-cookie-4711",
    ]
    assert [value for value in values if value in written] == []
    assert first["request"]["query"].startswith("page=2&access_token=[redacted:")
    assert first["environment"]["values"]["DATABASE_URL"] == "postgresql://db/pay"
    assert first["redaction"]["header x-company-*"] == 1
    assert second["redaction"] == {
        "header authorization": 1,
        "header set-cookie": 1,
        "name *secret*": 1,
        "url userinfo": 1,
    }


def test_equal_secrets_have_equal_tokens_under_one_key_and_other_tokens_under_another():
    mine, theirs = Redaction(key=b"mine"), Redaction(key=b"theirs")
    assert mine.token("a") == Redaction(key=b"mine").token("a")
    assert len({mine.token("a"), mine.token("b"), theirs.token("a")}) == 3


def test_a_removed_word_that_is_no_secret_by_its_looks_stays_in_the_body():
    clean = Redacted(Redaction(key=b"k"))
    clean.learn([(b"x-session-mode", b"production")])
    assert clean.body(b'{"stage":"production"}') == b'{"stage":"production"}'


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
)
def test_a_body_comes_back_byte_for_byte_whatever_it_is(body):
    kept = json.loads(json.dumps(fixture.encoded(body), allow_nan=False))
    match kept["body_encoding"]:
        case "json":
            assert json.dumps(kept["body"], separators=(",", ":"), ensure_ascii=False).encode() == body
        case "utf-8":
            assert kept["body"].encode() == body
        case "base64":
            assert base64.b64decode(kept["body"]) == body
        case "none":
            assert body == b""


@pytest.mark.parametrize(
    "text", ["10.0", "1e-7", "12345678901234567890", "NaN", '{"a": 1}', '{"a":1,"a":2}', '"\\ud800"']
)
def test_json_that_other_readers_would_not_write_back_stays_text(text):
    assert fixture.encoded(text.encode()) == {"body": text, "body_encoding": "utf-8"}


def test_a_body_beyond_the_limit_is_cut_and_the_recording_says_so(recorded):
    client, recordings, _ = recorded(body_limit=100)
    client.post("/echo", content=b"y" * 5000)
    client.post("/echo", content=b"y" * 100)
    long, short = recordings()
    assert (long["request"]["body"], long["truncated"]) == ("y" * 100, ["request.body"])
    assert short["truncated"] == []


def test_a_body_that_the_service_did_not_read_counts_as_cut(tmp_path):
    async def deaf(scope, receive, send):
        raise RuntimeError("not listening")

    app = shadowlab_recorder.record(deaf, directory=tmp_path)
    with pytest.raises(RuntimeError):
        asyncio.run(_called(app, method="POST", headers=[(b"content-length", b"12")]))
    assert app.recorder.flush()
    assert read(next(tmp_path.glob("*.json")))["truncated"] == ["request.body"]


def test_a_large_answer_of_a_peer_is_cut_in_the_recording_and_whole_for_the_caller(recorded):
    client, recordings, _ = recorded(mirror=True)
    assert len(client.get("/sync?path=/of?size=90000").json()["first"]) == 90_000
    assert recordings()[0]["truncated"] == ["response.body", "outbound[0].body"]


@pytest.fixture
def own_random(monkeypatch):
    """`random` as it was, after the test."""
    for place, name in (
        (random, "random"),
        (random, "getrandbits"),
        (random._inst, "random"),
        (random._inst, "getrandbits"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))


def test_a_seeded_request_draws_what_its_recording_says(recorded, own_random, database, gateway):
    app = payments(database, gateway)
    spans = traced(app)
    client, recordings, _ = recorded(app, seed_random=True, mirror=True)
    with contextlib.ExitStack() as stack:
        threads = [threading.Thread(target=client.get, args=(f"/dice?pause=0.{n}",)) for n in range(1, 4)]
        stack.callback(lambda: [thread.join() for thread in threads])
        [thread.start() for thread in threads]
    for each in recordings():
        again = random.Random(each["rand_seed"])
        drawn = [again.randint(1, 10**9), again.random(), again.choice("abcdefgh")]
        assert each["response"]["body"] == {"drawn": drawn} or json.loads(each["response"]["body"]) == {"drawn": drawn}
    assert len({each["rand_seed"] for each in recordings()}) == 3
    assert len(server_spans(spans)) == 3


def test_listing_all_variables_is_not_reading_them(recorded, database, gateway):
    app = payments(database, gateway)

    @app.get("/list")
    async def listing():
        assert dict(os.environ.items())["PATH"] == os.environ.copy()["PATH"] in os.environ.values()
        return fastapi.Response(status_code=500 + ("HOME" not in os.environ))

    client, recordings, _ = recorded(app)
    client.get("/list")
    read_names = recordings()[0]["environment"]["read"]
    assert "HOME" in read_names
    assert "PATH" not in read_names


def test_flags_that_cannot_be_read_or_written_do_not_lose_the_recording(recorded, caplog):
    client, recordings, app = recorded(flags=lambda: {"limit": Decimal(3), "on": True})
    client.get("/status/500")
    assert recordings()[0]["flags"] == {"limit": "Decimal('3')", "on": True}
    client2, recordings2, _ = recorded(flags=lambda: 1 / 0, directory=app.recorder.settings.directory)
    client2.get("/status/500")
    assert recordings2()[1]["flags"] == {}
    assert "ZeroDivisionError" in caplog.text


def test_a_folder_that_cannot_be_written_is_counted_and_the_service_goes_on(recorded, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    client, recordings, app = recorded(directory=tmp_path / "file" / "recordings")
    assert [client.get("/status/500").status_code for _ in range(3)] == [500, 500, 500]
    recordings()
    assert app.recorder.counts == {"written": 0, "dropped": 0, "failed": 3, "limited": 0}
    assert "recordings so far: 1 (NotADirectoryError" in caplog.text


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path):
    gate = threading.Event()

    def build(tape, blob):
        gate.wait(20)
        return {"id": tape.id}

    writer = Writer(tmp_path, build, queue_length=2, queue_bytes=1 << 20)
    tapes = [Tape("asgi", "GET", "/", "", [], Body(10), Body(10), control=False) for _ in range(6)]
    began = time.monotonic()
    taken = [writer.put(tape) for tape in tapes]
    assert time.monotonic() - began < 1
    gate.set()
    assert writer.flush()
    assert taken.count(False) == writer.counts["dropped"] >= 3
    assert writer.counts["written"] == taken.count(True) == len(list(tmp_path.glob("*.json")))


def test_writers_in_several_processes_share_a_folder_without_tearing_a_file(tmp_path, database):
    script = (
        "import sys, asyncio, shadowlab_recorder as r\n"
        "async def app(scope, receive, send): raise RuntimeError(scope['path'])\n"
        "app = r.record(app, directory=sys.argv[1], per_minute=99, snapshot=r.SqliteSnapshot(sys.argv[2]))\n"
        "async def once(n):\n"
        "    try: await app({'type': 'http', 'method': 'GET', 'path': f'/{n}', 'headers': []}, None, None)\n"
        "    except RuntimeError: pass\n"
        "for n in range(40): asyncio.run(once(n))\n"  # no flush: leaving the process is enough
    )
    folder = tmp_path / "shared"
    runs = [subprocess.Popen([sys.executable, "-c", script, folder, database]) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert len(list(map(read, folder.glob("*.json")))) == 80
    assert [path.suffix for path in (folder / "blobs").iterdir()] == [".xz"]
    assert not list(folder.rglob(".*"))


def test_a_forked_worker_writes_with_a_thread_of_its_own(tmp_path, database):
    script = (
        "import sys, os, asyncio, shadowlab_recorder as r\n"
        "async def app(scope, receive, send): raise RuntimeError(scope['path'])\n"
        "app = r.record(app, directory=sys.argv[1], snapshot=r.SqliteSnapshot(sys.argv[2]))\n"
        "async def once():\n"
        "    try: await app({'type': 'http', 'method': 'GET', 'path': f'/{os.getpid()}', 'headers': []}, None, None)\n"
        "    except RuntimeError: pass\n"
        "asyncio.run(once())\n"
        "assert app.recorder.flush()\n"
        "child = os.fork()\n"
        "asyncio.run(once())\n"
        "assert app.recorder.flush()\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "forked", database], check=True, timeout=60)
    kept = list(map(read, (tmp_path / "forked").glob("*.json")))
    assert len(kept) == 3
    assert len({each["request"]["path"] for each in kept}) == 2
    assert all(each["db_snapshot"] for each in kept)


def test_websockets_and_lifespan_pass_through(tmp_path):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    recorded = shadowlab_recorder.record(app, directory=tmp_path, mirror=True)
    for kind in ("lifespan", "websocket"):
        asyncio.run(recorded({"type": kind}, None, None))
    assert seen == ["lifespan", "websocket"]
    assert recorded.recorder.counts["written"] == 0


def test_wrong_settings_are_refused_when_the_service_starts(tmp_path):
    with pytest.raises(ValueError, match="share is 5"):
        shadowlab_recorder.record(lambda: None, directory=tmp_path, share=5)
    with pytest.raises(ValueError, match="'A-B'"):
        shadowlab_recorder.record(lambda: None, directory=tmp_path, environment=("A-B",))
    with pytest.raises(TypeError, match="needs an application or a function, not int"):
        shadowlab_recorder.record(3, directory=tmp_path)


def test_the_package_brings_nothing_but_opentelemetrys_api():
    script = "import sys, shadowlab_recorder; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"httpx", "shadowlab", "fastapi", "starlette", "sqlalchemy"} & set(found.stdout.split())


def test_shadowlab_reads_what_the_recorder_writes(recorded, database):
    client, recordings, _ = recorded(snapshot=shadowlab_recorder.SqliteSnapshot(database, environment="PAYMENTS_DB"))
    client.post("/charges", json={"amount": 19.99, "surcharge": True})
    [one] = recordings()
    read_back = parse(one, where="here")
    assert read_back.summary == "POST /charges -> 500 TypeError"
    assert (read_back.missing, read_back.failed) == ((), True)
    assert read_back.request.content == b'{"amount":19.99,"surcharge":true}'
    assert read_back.outbound[0].request_body_sha256 == hashlib.sha256(read_back.request.content).hexdigest()


def test_the_usual_recording_stays_below_10_kb(recorded):
    client, recordings, _ = recorded()
    client.post("/charges", json={"amount": 19.99, "surcharge": True})
    [one] = recordings()
    packages = one["versions"]["packages"]
    one["versions"]["packages"] = dict(list(packages.items())[:60])  # this process has loaded what all tests need
    assert len(json.dumps(one, separators=(",", ":"))) < 10_000
