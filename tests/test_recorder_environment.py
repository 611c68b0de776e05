"""What a request draws and reads of the process around it: randomness, variables, flags."""

import contextlib
import json
import os
import random
import threading
from decimal import Decimal

import fastapi
import pytest
from paying import payments, traced
from recorded import server_spans


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


def test_a_listing_shows_each_change_and_cannot_change_anything(recorded, monkeypatch):
    recorded()
    listed = os.environ.copy()
    monkeypatch.setenv("LISTED_ONCE", "before")
    assert dict(os.environ.items()) == listed | {"LISTED_ONCE": "before"}
    os.environb[b"LISTED_ONCE"] = b"after"  # behind its back
    assert ("LISTED_ONCE", "after") in os.environ.items()
    os.environ.copy()["LISTED_ONCE"] = "only here"
    assert os.environ.copy()["LISTED_ONCE"] == "after"
    monkeypatch.delenv("LISTED_ONCE")
    assert "after" not in str(os.environ._listed)
    assert dict(os.environ.items()) == listed


def test_flags_that_cannot_be_read_or_written_do_not_lose_the_recording(recorded, caplog):
    client, recordings, app = recorded(flags=lambda: {"limit": Decimal(3), "on": True})
    client.get("/status/500")
    assert recordings()[0]["flags"] == {"limit": "Decimal('3')", "on": True}
    client2, recordings2, _ = recorded(flags=lambda: 1 / 0, directory=app.recorder.settings.directory)
    client2.get("/status/500")
    assert recordings2()[1]["flags"] == {}
    assert "ZeroDivisionError" in caplog.text
