"""Calls to others through requests, urllib3, aiohttp and Redis, as the recorder keeps them."""

import asyncio
import hashlib
import shutil
import subprocess
import time

import aiohttp
import pytest
import redis
import redis.asyncio
import requests
import shadowlab_recorder
import urllib3
from recorded import kept


def told(recording):
    return [
        (each["method"], each["url"].rpartition("/")[2], each["status"], each["body"]) for each in recording["outbound"]
    ]


def test_requests_is_kept_hop_by_hop_with_bodies_decoded(calls, peer):
    def work():
        assert requests.get(f"{peer}/moved").text == "plain"
        assert requests.post(f"{peer}/echo", json={"a": 1}).text == 'got {"a": 1}'
        assert requests.get(f"{peer}/gzip").text == "pressed"
        assert requests.get(f"{peer}/chunks").text == "onetwo"

    one = calls(work)
    assert told(one) == [
        ("GET", "moved", 302, None), ("GET", "plain", 200, "plain"), ("POST", "echo", 201, 'got {"a": 1}'),
        ("GET", "gzip", 200, "pressed"), ("GET", "chunks", 200, "onetwo"),
    ]  # fmt: skip
    post = one["outbound"][2]
    assert (post["client"], post["request_body"]) == ("requests", '{"a": 1}')
    assert post["request_body_sha256"] == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert "content-encoding" not in {name.lower() for name, _ in one["outbound"][3]["headers"]}
    assert one["truncated"] == []


def test_urllib3_is_kept_whole_streamed_and_broken(calls, peer):
    def work():
        pool = urllib3.PoolManager(retries=False)
        assert pool.request("GET", f"{peer}/plain").data == b"plain"
        streamed = pool.request("GET", f"{peer}/chunks", preload_content=False)
        assert b"".join(streamed.stream(2)) == b"onetwo"
        pool.request("GET", f"{peer}/hangup")

    def expected():
        with pytest.raises(urllib3.exceptions.ProtocolError):
            work()

    one = calls(expected)
    assert told(one) == [
        ("GET", "plain", 200, "plain"),
        ("GET", "chunks", 200, "onetwo"),
        ("GET", "hangup", None, None),
    ]
    assert [each["client"] for each in one["outbound"]] == ["urllib3"] * 3
    assert one["outbound"][2]["error"]["type"] in ("http.client.RemoteDisconnected", "urllib3.exceptions.ProtocolError")
    assert one["truncated"] == []


def test_a_url_within_a_query_leaves_the_host_where_it_was(calls, peer):
    one = calls(lambda: urllib3.PoolManager().request("GET", f"{peer}/plain?next=http://elsewhere/").data)
    assert one["outbound"][0]["url"] == f"{peer}/plain?next=http://elsewhere/"


def test_a_sent_stream_cannot_be_seen_and_is_said(calls, peer):
    one = calls(lambda: requests.post(f"{peer}/echo", data=open(__file__, "rb")).status_code)  # noqa: SIM115  # requests reads it
    assert one["truncated"] == ["outbound[0].request_body"]


def test_aiohttp_is_kept_hop_by_hop_read_or_left_unread(calls, peer):
    async def work():
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{peer}/moved") as response:
                assert await response.text() == "plain"
            async with session.post(f"{peer}/echo", json={"a": 1}) as response:
                assert await response.read() == b'got {"a": 1}'
            async with session.get(f"{peer}/gzip") as response:
                assert await response.text() == "pressed"
            async with session.get(f"{peer}/plain") as response:
                assert response.status == 200

    one = calls(work)
    assert told(one)[:4] == [
        ("GET", "moved", 302, None), ("GET", "plain", 200, "plain"), ("POST", "echo", 201, 'got {"a": 1}'),
        ("GET", "gzip", 200, "pressed"),
    ]  # fmt: skip
    assert (one["outbound"][2]["request_body"], one["outbound"][2]["client"]) == ('{"a": 1}', "aiohttp")
    assert one["truncated"] == []


def test_an_aiohttp_call_that_breaks_is_kept_with_its_error(calls, peer):
    async def work():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"{peer}/hangup")

    call = calls(work)["outbound"][-1]  # aiohttp tries once more
    assert (call["status"], call["error"]["type"].rpartition(".")[2]) == (None, "ServerDisconnectedError")


def test_outside_of_a_request_clients_work_as_ever(peer, calls):
    assert requests.get(f"{peer}/gzip").text == "pressed"
    assert calls(lambda: None)["outbound"] == []


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    """A Redis server from Debian's package, without persistence."""
    program = shutil.which("redis-server")
    assert program, "redis-server is not installed: apt-get install redis-server"
    folder = tmp_path_factory.mktemp("redis")
    port = 17379
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
    )
    client = redis.Redis(port=port)
    for _ in range(200):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    yield port
    server.terminate()
    server.wait(10)


@pytest.mark.slow
def test_redis_commands_pipelines_and_errors_are_kept(calls, redis_port):
    def work():
        client = redis.Redis(port=redis_port, decode_responses=True)
        client.set("stock:7", 3)
        assert client.get("stock:7") == "3"
        client.pipeline().incrby("stock:7", 2).hset("h", mapping={"a": 1}).execute()
        with pytest.raises(redis.ResponseError):
            client.lpush("stock:7", "x")

    one = calls(work)
    called = [(each["client"], each["method"], each["request_body"], each["body"]) for each in one["outbound"]]
    assert called[:3] == [
        ("redis", "SET", ["stock:7", 3], True), ("redis", "GET", ["stock:7"], "3"),
        ("redis", "PIPELINE", [["INCRBY", "stock:7", 2], ["HSET", "h", "a", 1]], [5, 1]),
    ]  # fmt: skip
    assert one["outbound"][3]["error"]["type"].endswith("ResponseError")
    assert (one["outbound"][0]["url"], one["truncated"]) == (f"redis://localhost:{redis_port}/0", [])


@pytest.mark.slow
def test_a_consumer_of_a_redis_stream_is_recorded_with_its_entry_and_commands(tmp_path, redis_port, monkeypatch):
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    recorder = shadowlab_recorder.configure(tmp_path, share=0.0)

    @shadowlab_recorder.record
    async def handle(client, stream, entry, fields):
        if await client.sadd("done", fields[b"order"]) == 0:
            return "seen before"
        return 10 / int(fields[b"quantity"])

    async def consume():
        client = redis.asyncio.Redis(port=redis_port)
        await client.xgroup_create("orders", "workers", mkstream=True)
        for number, quantity in enumerate((2, 0, 5)):
            await client.xadd("orders", {"order": f"o-{number}", "quantity": quantity, "message_id": f"m-{number}"})
        failed = []
        for stream, entries in await client.xreadgroup("workers", "one", {"orders": ">"}):
            for entry, fields in entries:
                try:
                    await handle(client, stream, entry, fields)
                    await client.xack(stream, "workers", entry)
                except ZeroDivisionError:
                    failed.append(entry.decode())
        await client.aclose()
        return failed

    failed = asyncio.run(consume())
    [one] = kept(recorder, tmp_path)
    message = one["message"]
    assert (message["system"], message["topic"], [message["offset"]]) == ("redis", "orders", failed)
    assert message["body"] == {"order": "o-1", "quantity": "0", "message_id": "m-1"}
    assert (message["idempotency_key"], one["error"]["type"]) == ("m-1", "ZeroDivisionError")
    [call] = one["outbound"]
    assert (call["method"], call["request_body"], call["body"]) == ("SADD", ["done", "o-1"], 1)
