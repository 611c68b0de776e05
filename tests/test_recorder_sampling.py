"""Which requests are kept: those that fail or are slow, the drawn share of the others, all of a mirror."""

import asyncio
import random

import pytest
import shadowlab_recorder
from paying import called


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


def test_a_request_whose_client_went_away_is_no_control(tmp_path):
    async def cancelled(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    app = shadowlab_recorder.record(cancelled, directory=tmp_path, share=1.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(called(app))
    assert app.recorder.flush()
    assert list(tmp_path.glob("*.json")) == []
