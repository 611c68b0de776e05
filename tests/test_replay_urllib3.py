"""Calls through urllib3 by itself run again from the tape, and requests above it in its own way."""

from pathlib import Path

import pytest
import replayed_jobs as jobs
from replayed_jobs import served

from shadowlab import errors, replay

pytestmark = pytest.mark.usefixtures("served")
__all__ = ["served"]

CODE = """\
import os

import requests
import urllib3


def run(event):
    peer, http = os.environ["PEER"], urllib3.PoolManager()
    seen = [http.request("GET", peer + "/json", fields={"of": "tea"}).json()]
    seen.append(http.request("POST", peer + "/echo", json={"a": 1}).data.decode())
    moved = http.request("GET", peer + "/moved")
    seen.append([moved.status, moved.geturl(), len(moved.retries.history), moved.reason])
    streamed = http.request("GET", peer + "/plain", preload_content=False)
    seen.append([b"".join(streamed.stream(4)).decode(), streamed.headers["Content-Type"]])
    streamed.release_conn()
    for told in ({"retries": 2}, {"retries": False}):
        for url in (peer + "/hangup", "http://127.0.0.1:9/closed"):
            try:
                http.request("GET", url, **told)
            except urllib3.exceptions.HTTPError as error:
                seen.append([type(error).__name__, str(error), type(getattr(error, "reason", None)).__name__])
    seen.append(http.request("GET", peer + "/broken").status)
    answer = requests.get(peer + "/moved")
    seen.append([answer.text, answer.url, [each.status_code for each in answer.history]])
    return {"seen": seen, "sum": 1 + event["more"]}
"""


@pytest.mark.slow
def test_answers_retries_redirects_and_errors_are_those_of_production(tmp_path: Path) -> None:
    case, source, (came, failed) = jobs.recorded(tmp_path, CODE, {"more": 1}, {"more": None})
    assert (came["sum"], type(failed)) == (2, TypeError), came
    assert [each[0] for each in came["seen"][4:8]] == [
        "MaxRetryError", "MaxRetryError", "ProtocolError", "NewConnectionError",
    ]  # fmt: skip
    done = jobs.again(case, source)
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects
    assert done.attempts == 4
    assert {each.outcome_digest for each in (done, jobs.again(case, source))} == {done.outcome_digest}


def test_a_call_that_was_not_recorded_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    case, source, _ = jobs.recorded(tmp_path, CODE, {"more": None})
    done = jobs.again(case, jobs.changed(tmp_path, CODE.replace('"/echo"', '"/order"')))
    told = str(done.runs[0].divergence)
    assert done.outcome == "diverged"
    assert "nothing was recorded for POST http://127.0.0.1:" in told
    assert "/order; nearest: POST http://127.0.0.1:" in told
    with pytest.raises(errors.RecordingError, match="makes calls through urllib3"):
        replay.to_pytest(case, jobs.again(case, source), source, out=tmp_path / "out")
