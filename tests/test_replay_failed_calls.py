"""Recorded calls that never ended, or that no recorder wrote, fail as errors of the client's own."""

import http.client
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import redis
import replayed_jobs as jobs
import urllib3
from aiohttp.client_reqrep import ConnectionKey
from replayed_jobs import served

from shadowlab import errors, replay
from shadowlab.replay.inside import aiohttp_calls, http_calls, redis_calls, urllib3_calls
from shadowlab.replay.inside.clock import Clock
from shadowlab.replay.inside.tape import Tape

__all__ = ["served"]


def call(**told: Any) -> dict[str, Any]:
    return {"seq": 0, "method": "GET", "url": "http://peer/", "headers": [], **told}


@pytest.mark.parametrize(
    "limit", ["await asyncio.wait_for(asked, 0.2)", "async with asyncio.timeout(0.2): await asked"]
)
@pytest.mark.usefixtures("served")
def test_a_call_that_the_service_gave_up_is_given_up_again(tmp_path: Path, limit: str) -> None:
    code = f"""\
import asyncio
import os

import httpx


async def run(event):
    async with httpx.AsyncClient() as client:
        asked = client.get(os.environ["PEER"] + "/never")
        try:
            {limit}
        except TimeoutError as late:
            raise LookupError("gave up") from late
"""
    case, source, (came,) = jobs.recorded(tmp_path, code, {})
    assert isinstance(came, LookupError)
    done = jobs.again(case, source)
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects
    with pytest.raises(errors.RecordingError, match="gave up a call that had not ended"):
        replay.to_pytest(case, done, source, out=tmp_path / "out")


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns after nearly every bytecode."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_threads_that_ask_at_once_share_no_recorded_answer(often: None) -> None:
    tape, threads, times = Tape(Clock()), 8, 50
    tape.insert([call(seq=n, status=200) for n in range(threads * times)])
    came: list[int] = []

    def ask() -> None:
        for _ in range(times):
            found = tape.answer("GET", "http://peer/", b"")
            came.append(-1 if found is None else found["seq"])

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert sorted(came) == list(range(threads * times))


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ('["x"]', '["error"]'), ('["x"]', '["list",["error"]]'), ('{"a":1}', '["dict",3,4]'), ("[1]", "[{}]"),
        ("[[1]]", '["set",["list",null]]'), ("cut off", "null"), ('{"integer":"x"}', "null"), ("[" * 5000, "null"),
    ],
)  # fmt: skip
def test_a_reply_of_redis_that_no_recorder_wrote_is_a_lost_connection(body: str, shape: str) -> None:
    told = call(status=200, body=body, body_encoding="utf-8", headers=[["shadowlab-reply", shape]])
    commands = redis_calls.Commands(redis, Tape(Clock()), lambda ns: None)
    with pytest.raises(redis.ConnectionError, match="the recorded reply cannot be read"):
        commands.came(redis.Redis(), told)


@pytest.mark.parametrize("kind", [http.client.IncompleteRead, urllib3.exceptions.InvalidChunkLength])
def test_an_error_of_urllib3_that_tells_more_than_a_message_can_be_printed(kind: type[Exception]) -> None:
    told = {"type": f"{kind.__module__}.{kind.__qualname__}", "message": "it broke"}
    error = urllib3_calls._failure(urllib3.exceptions, None, None, "/", told)
    assert (type(error), str(error)) == (urllib3.exceptions.ProtocolError, "it broke")


def test_an_error_number_that_no_system_has_is_part_of_the_message() -> None:
    message = f"[Errno {'9' * 5000}] refused"
    told = {"type": "builtins.ConnectionRefusedError", "message": message}
    assert str(urllib3_calls._failure(urllib3.exceptions, None, None, "/", told)) == message


def test_a_socket_that_aiohttp_did_not_reach_is_named_again() -> None:
    key = ConnectionKey("localhost", 80, False, True, None, None, None)
    message = "Cannot connect to unix socket /run/stock.sock ssl:default [No such file or directory]"
    told = {"type": "aiohttp.client_exceptions.UnixClientConnectorError", "message": message}
    error = aiohttp_calls._failure(aiohttp, SimpleNamespace(connection_key=key), told)
    assert (type(error).__name__, str(error)) == ("UnixClientConnectorError", message)


@pytest.mark.parametrize(
    "url", ["http://peer:gone/x", "http://[::/x?key=secret", "http://who:secret@peer:99999/x", "x"]
)
def test_a_recorded_address_that_is_none_is_told_without_its_secrets(url: str) -> None:
    tape = Tape(Clock())
    tape.insert([call(url=url, status=200)])
    assert tape.answer("GET", "http://peer/", b"") is None
    told = " ".join((*tape.unused(), *tape.unrecorded))
    assert "x (" in told
    assert "secret" not in told


def test_a_body_that_is_read_while_it_is_sent_has_no_bytes() -> None:
    assert [http_calls._sent(body) for body in (io.BytesIO(b"tea"), iter([b"tea"]), None)] == [b"", b"", b""]
    assert [http_calls._sent(body) for body in ("tea", b"tea", bytearray(b"tea"))] == [b"tea"] * 3
