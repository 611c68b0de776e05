"""The database as it was before the request: SQLite's file."""

import contextlib
import lzma
import os
import sqlite3

import psycopg
import pytest
import shadowlab_recorder
from shadowlab_recorder.snapshot import _backup


def rows(folder, recording):
    """What the charges table of a recording's snapshot holds."""
    image = lzma.decompress((folder / recording["db_snapshot"]).read_bytes())
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        return connection.execute("select amount from charges").fetchall()


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


class TimedOut(BaseException):
    """As a timeout of gevent, which reaches what runs wherever it waits."""


class Waiting:
    """A connection on which the statement that starts so is not answered in time."""

    def __init__(self, statement):
        self.statement = statement

    def execute(self, statement):
        if statement.startswith(self.statement):
            raise TimedOut

    def close(self):
        pass


def test_a_request_that_runs_out_of_time_gives_its_place_for_a_connection_back(monkeypatch):
    def late(*_, **__):
        raise TimedOut

    snapshot = shadowlab_recorder.PostgresSnapshot("", connections=1)
    monkeypatch.setattr(psycopg, "connect", late)
    with pytest.raises(TimedOut):
        snapshot.take()
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: Waiting("BEGIN"))
    with pytest.raises(TimedOut):
        snapshot.take()
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: Waiting("ROLLBACK"))
    with pytest.raises(TimedOut):
        snapshot.take().release()
    assert snapshot.take() is not None
