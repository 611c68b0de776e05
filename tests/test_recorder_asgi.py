"""ASGI: what is written of a request that fails, and that nothing else of it changes."""

import asyncio
import hashlib
import json
import subprocess
import sys

import fastapi
import paying
import pytest
import shadowlab_recorder
from paying import called
from recorded import read

from shadowlab.replay.fixture import parse


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
    assert [frame["function"] for frame in error["frames"] if frame["file"] == paying.__file__] == ["charge"]
    assert error["frames"][-1]["function"] == "default"


def test_the_recorders_own_frames_are_left_out(recorded):
    client, recordings, _ = recorded()
    client.post("/charges", json={"amount": 1, "surcharge": True})
    [one] = recordings()
    assert not [frame for frame in one["error"]["frames"] if "shadowlab_recorder" in frame["file"]]


def test_an_exception_goes_on_to_the_server_unchanged_and_without_a_response(tmp_path):
    async def broken(scope, receive, send):
        raise KeyError("sku-7")

    app = shadowlab_recorder.record(broken, directory=tmp_path)
    with pytest.raises(KeyError, match="sku-7"):
        asyncio.run(called(app))
    assert app.recorder.flush()
    [one] = map(read, tmp_path.glob("*.json"))
    assert (one["response"], one["error"]["type"], one["request"]["path"]) == (None, "KeyError", "/a%20b")


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
