"""Calls through aiohttp run again from the tape."""

from pathlib import Path

import pytest
import replayed_jobs as jobs
from replayed_jobs import served

from shadowlab import errors, replay

pytestmark = pytest.mark.usefixtures("served")
__all__ = ["served"]

CODE = """\
import asyncio
import os

import aiohttp


async def run(event):
    peer, seen = os.environ["PEER"], []
    async with aiohttp.ClientSession(peer, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get("/json", params={"of": "tea"}) as answer:
            seen.append([await answer.json(), answer.status, answer.reason, answer.content_type])
        async with session.post("/echo", json={"a": 1}) as answer:
            seen.append([(await answer.read()).decode(), answer.ok])
        both = await asyncio.gather(session.get("/plain"), session.get("/moved"))
        seen.append([await both[0].text(), await both[1].text(), [str(each.status) for each in both[1].history]])
        for path in ("/broken", "/hangup"):
            try:
                async with session.get(path, raise_for_status=True) as answer:
                    seen.append(await answer.text())
            except aiohttp.ClientError as error:
                seen.append([type(error).__name__, getattr(error, "status", None), isinstance(error, OSError)])
        try:
            await session.get("http://127.0.0.1:9/closed")
        except aiohttp.ClientConnectorError as error:
            seen.append([str(error), error.host])
        async with session.get("/plain") as answer:
            pass
    return {"seen": seen, "sum": 1 + event["more"]}
"""


@pytest.mark.slow
def test_answers_redirects_cookies_and_errors_are_those_of_production(tmp_path: Path) -> None:
    case, source, (came, failed) = jobs.recorded(tmp_path, CODE, {"more": 1}, {"more": None})
    assert (came["sum"], type(failed)) == (2, TypeError), came
    assert came["seen"][2] == ["grüner Tee", "cup=green", ["302"]]
    assert [each[0] for each in came["seen"][3:5]] == ["ClientResponseError", "ServerDisconnectedError"]
    done = jobs.again(case, source)
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects
    assert done.attempts == 4
    assert {each.outcome_digest for each in (done, jobs.again(case, source))} == {done.outcome_digest}


def test_a_call_that_was_not_recorded_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    case, _, _ = jobs.recorded(tmp_path, CODE, {"more": None})
    done = jobs.again(case, jobs.changed(tmp_path, CODE.replace('"/echo"', '"/order"')))
    told = str(done.runs[0].divergence)
    assert done.outcome == "diverged"
    assert "nothing was recorded for POST http://127.0.0.1:" in told
    assert "/order; nearest: POST http://127.0.0.1:" in told
    assert "/echo (path differ)" in told


def test_a_call_that_took_too_long_is_late_again(tmp_path: Path) -> None:
    code = """\
import os
import aiohttp


async def run(event):
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
        try:
            await session.get(os.environ["PEER"] + "/never")
        except TimeoutError as late:
            raise LookupError(type(late).__name__) from late
"""
    case, source, (came,) = jobs.recorded(tmp_path, code, {})
    assert isinstance(came, LookupError)
    done = jobs.again(case, source)
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects


def test_a_written_test_is_refused_in_words(tmp_path: Path) -> None:
    case, source, _ = jobs.recorded(tmp_path, CODE, {"more": None})
    with pytest.raises(errors.RecordingError, match="makes calls through aiohttp"):
        replay.to_pytest(case, jobs.again(case, source), source, out=tmp_path / "out")
