"""Commands of Redis run again from the tape, as the client that made them had its replies."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import replayed_jobs as jobs

from shadowlab import errors, replay
from shadowlab.replay import recording

CODE = """\
import os

import redis


def run(event):
    client = redis.Redis(unix_socket_path=os.environ["PEER"])
    text = redis.Redis(unix_socket_path=os.environ["PEER"], decode_responses=True)
    client.flushall()
    seen = [client.set("tea", 3), client.get("tea"), text.get("tea"), client.get("nothing"), client.incr("tea", 2**60)]
    client.set("raw", bytes(range(250, 256)))
    client.hset("green", mapping={"grams": 50, "price": "2.50"})
    client.zadd("best", {"sencha": 1.5, "assam": 10})
    seen += [client.get("raw"), client.hgetall("green"), text.hgetall("green")]
    seen.append(client.zrange("best", 0, -1, withscores=True))
    seen += [sorted(client.smembers("none")), type(client.smembers("none")), client.sadd("kinds", "a", "b")]
    entry = client.xadd("orders", {"item": "tea"}, id="7-1")
    seen += [entry, client.xrange("orders"), client.scan(match="kin*")[1]]
    with client.pipeline() as batch:
        seen.append(batch.incr("made").lpush("raw", "x").get("green").execute(raise_on_error=False))
    seen[-1] = [each if isinstance(each, int) else type(each).__name__ for each in seen[-1]]
    with client.pipeline() as batch:
        batch.watch("made")
        made = int(batch.get("made"))
        batch.multi()
        seen.append(batch.set("made", made + 1).execute())
    for wrong in (lambda: client.lpush("tea", 1), lambda: client.pipeline().lpush("tea", 1).execute()):
        try:
            wrong()
        except redis.ResponseError as error:
            seen.append(str(error))
    return {"seen": repr(seen), "sum": 1 + event["more"]}
"""
ASYNC = """\
import asyncio
import os

import redis.asyncio as redis


async def run(event):
    client = redis.Redis(unix_socket_path=os.environ["PEER"])
    one, other = await asyncio.gather(client.incr("one"), client.get("no"))
    async with client.pipeline() as batch:
        await batch.watch("one")
        made = await batch.get("one")
        batch.multi()
        seen = [one, other, made, await batch.incr("one").get("one").execute()]
    try:
        await client.lpush("one", 1)
    except redis.ResponseError as error:
        seen.append(str(error))
    await client.aclose()
    return {"seen": repr(seen), "sum": 1 + event["more"]}
"""


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Redis of Debian's package at a socket, without persistence."""
    program = shutil.which("redis-server")
    assert program, "redis-server is not installed: apt-get install redis-server"
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        words = [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        started = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        client = redis.Redis(unix_socket_path=path, retry=None)
        while started.poll() is None:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        assert started.poll() is None
        monkeypatch.setenv("PEER", path)
        yield
        started.terminate()
        started.wait()


@pytest.mark.slow
@pytest.mark.parametrize("code", [CODE, ASYNC])
def test_replies_pipelines_and_errors_are_those_of_production(tmp_path: Path, code: str) -> None:
    case, source, (came, failed) = jobs.recorded(tmp_path, code, {"more": 1}, {"more": None})
    assert (came["sum"], type(failed)) == (2, TypeError), came
    assert "WRONGTYPE" in came["seen"]
    done = jobs.again(case, source)
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects
    assert done.attempts == 4
    assert {each.outcome_digest for each in (done, jobs.again(case, source))} == {done.outcome_digest}


@pytest.mark.slow
def test_another_key_was_not_recorded_and_is_refused_with_the_nearest_commands(tmp_path: Path) -> None:
    code = """\
import os
import redis


def run(event):
    client = redis.Redis(unix_socket_path=os.environ["PEER"])
    client.set("stock:7", event["left"])
    return client.get("stock:7") + 1
"""
    case, source, _ = jobs.recorded(tmp_path, code, {"left": 3})
    done = jobs.again(case, jobs.changed(tmp_path, code.replace('get("stock:7")', 'get("stock:9")')))
    told = str(done.runs[0].divergence)
    assert done.outcome == "diverged"
    assert "nothing was recorded for GET redis:///" in told
    assert "(key differ)" in told
    with pytest.raises(errors.RecordingError, match="sends commands to Redis"):
        replay.to_pytest(case, jobs.again(case, source), source, out=tmp_path / "out")


@pytest.mark.slow
def test_a_reply_that_json_does_not_hold_is_said(tmp_path: Path) -> None:
    code = """\
import os
import redis


def run(event):
    return 1 / len(redis.Redis(unix_socket_path=os.environ["PEER"]).lastsave().second)
"""
    case, _, _ = jobs.recorded(tmp_path, code, {})
    [one] = replay.listed(case)
    assert tuple(recording.load(case, one.id).truncated) == ("outbound (a reply to LASTSAVE through redis-py)",)
