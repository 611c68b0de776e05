"""What a tape keeps by reference is not changed by what the service does with it afterwards."""

import asyncio
import contextlib
import os
import pickle
import sqlite3
import urllib.request

import httpx
import pytest
import shadowlab_recorder
import urllib3
from paying import called
from recorded import kept


@pytest.fixture
def once(tmp_path):
    """Runs a function as a recorded one, and gives its recording."""

    def run(function):
        recorder = shadowlab_recorder.configure(tmp_path, mirror=True)
        recorded = shadowlab_recorder.record(function)
        recorded()
        return kept(recorder, tmp_path)[0]

    yield run
    shadowlab_recorder.front._default = None


def test_headers_and_bodies_that_an_asgi_service_changes_later_are_kept_as_they_went(tmp_path):
    async def app(scope, receive, send):
        scope["headers"].append((b"x-own", b"added"))
        scope["path"], scope["raw_path"] = "/elsewhere", b"/elsewhere"
        await receive()
        headers, body = [(b"x-told", b"first")], bytearray(b"went")
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        headers.clear()
        await send({"type": "http.response.body", "body": body})
        body[:] = b"late"

    recorded = shadowlab_recorder.record(app, directory=tmp_path)
    asyncio.run(called(recorded, headers=[(b"x-asked", b"yes")]))
    [one] = kept(recorded.recorder, tmp_path)
    assert (one["request"]["path"], one["request"]["headers"]) == ("/a%20b", [["x-asked", "yes"]])
    assert (one["response"]["headers"], one["response"]["body"]) == ([["x-told", "first"]], "went")


def test_an_environ_that_a_wsgi_service_changes_is_kept_as_it_came(tmp_path):
    def app(environ, start_response):
        environ |= {"PATH_INFO": "/elsewhere", "HTTP_X_ASKED": "no", "QUERY_STRING": ""}
        headers = [("x-told", "first")]
        start_response("500 No", headers)
        headers.clear()
        return [b"went"]

    recorded = shadowlab_recorder.record(app, directory=tmp_path)
    environ = {"PATH_INFO": "/here", "QUERY_STRING": "a=b", "HTTP_X_ASKED": "yes", "wsgi.input": None}
    recorded({"REQUEST_METHOD": "GET", **environ}, lambda *_: None)
    [one] = kept(recorded.recorder, tmp_path)
    assert (one["request"]["path"], one["request"]["query"]) == ("/here", "a=b")
    assert (one["request"]["headers"], one["response"]["headers"]) == ([["x-asked", "yes"]], [["x-told", "first"]])


def test_headers_of_an_answer_that_the_service_changes_are_kept_as_they_came(peer, once):
    def ask():
        with httpx.Client() as client:
            answer = client.get(peer, headers={"x-asked": "yes"})
            answer.headers["x-told"] = answer.request.headers["x-asked"] = "changed"
        answer = urllib3.PoolManager().request("GET", peer)
        answer.headers["x-told"] = "changed"

    for call in once(ask)["outbound"]:
        assert ["x-told", "first"] in call["headers"]
        assert "changed" not in str(call)


def test_an_answer_is_kept_however_it_is_read(peer, once):
    def ask():
        with httpx.Client() as client:
            assert client.get(peer).content == b"plain"
            with client.stream("GET", peer) as answer:
                assert b"".join(answer.iter_raw(2)) == b"plain"
            with client.stream("GET", peer) as answer:
                assert answer.read() == answer.read() == b"plain"
            assert client.get(f"{peer}/gzip").content == b"pressed"
        pool = urllib3.PoolManager()
        assert pool.request("GET", peer).data == b"plain"
        with contextlib.closing(pool.request("GET", peer, preload_content=False)) as answer:
            assert [answer.read(2), answer.read(2), answer.read()] == [b"pl", b"ai", b"n"]
        with contextlib.closing(pool.request("GET", peer, preload_content=False)) as answer:
            assert b"".join(answer.stream(2)) == b"plain"

    one = once(ask)
    assert one["truncated"] == []
    assert [call["body"] for call in one["outbound"]] == ["plain"] * 3 + [one["outbound"][3]["body"]] + ["plain"] * 3
    assert one["outbound"][3]["body_encoding"] == "base64"  # as it is on the wire


def test_an_answer_that_was_recorded_can_still_be_pickled(peer, once):
    def ask():
        with httpx.Client() as client:
            assert pickle.loads(pickle.dumps(client.get(peer))).text == "plain"

    assert once(ask)["error"] is None


def test_rows_and_parameters_that_the_service_changes_are_kept_as_they_were(tmp_path, once):
    def work():
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as db:
            db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
            given = [7, "tea"]
            db.execute("INSERT INTO items VALUES (?, ?)", given)
            given[:] = [8, "salt"]
            db.execute("SELECT * FROM items").fetchall().clear()

    database = once(work)["database"]
    assert database["writes"][0]["parameters"] == [7, "tea"]
    assert database["reads"][-1]["rows"] == [[7, "tea"]]


def test_the_environment_reads_as_it_always_did(monkeypatch, once):
    monkeypatch.setenv("SHOP_RATE", "3")
    monkeypatch.delenv("SHOP_NAME", raising=False)

    def read():
        assert (os.environ["SHOP_RATE"], os.getenv("SHOP_RATE"), os.environ.get("SHOP_NAME", 5)) == ("3", "3", 5)
        assert "SHOP_RATE" in os.environ
        assert "SHOP_NAME" not in os.environ
        assert dict(os.environ.items())["SHOP_RATE"] == os.environ.copy()["SHOP_RATE"] in os.environ.values()
        urllib.request.getproxies()
        with pytest.raises(KeyError, match="SHOP_NAME"):
            os.environ["SHOP_NAME"]
        with pytest.raises(TypeError):
            os.environ[3]
        os.environ["SHOP_NAME"] = "now"
        assert os.environ.pop("SHOP_NAME") == "now"

    environment = once(read)["environment"]
    assert {"SHOP_RATE", "SHOP_NAME"} <= set(environment["read"])
    assert "SHOP_RATE" not in environment["unset"]
