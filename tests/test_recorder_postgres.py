"""What the recorder keeps of PostgreSQL through psycopg, sync and async, against a real server of the test's own."""

import asyncio

import postgres
import psycopg
import pytest
import shadowlab_recorder
import sqlalchemy as sa
from psycopg.rows import dict_row
from recorded import kept
from sqlalchemy.ext.asyncio import create_async_engine

pytestmark = pytest.mark.slow

SCHEMA = """
create type mood as enum ('ok', 'it''s bad');
create table customers (id serial primary key, name text not null unique, born date);
create table charges (
    id int generated always as identity primary key, customer int not null references customers,
    amount numeric(10, 2) default 1.5 check (amount > 0), mood mood, at timestamptz default now(),
    extra jsonb, raw bytea
);
create index by_amount on charges (amount);
insert into customers (name, born) values ('ann', '1990-02-03'), ('bob', null), ('cid', '2000-01-01');
insert into charges (customer, amount, mood, extra, raw)
    values (1, 10, 'ok', '{"a": [1, 2]}', '\\x00ff'), (2, 20, 'it''s bad', null, null), (2, 30, null, null, null);
"""


@pytest.fixture(scope="module")
def server():
    with postgres.serving() as conninfo:
        yield conninfo


@pytest.fixture
def place(server):
    """A database with the schema, and a second one for what is rebuilt."""
    with psycopg.connect(server, autocommit=True) as connection:
        for name in ("case", "again"):
            connection.execute(f'drop database if exists "{name}" with (force)')
            connection.execute(f'create database "{name}"')
    conninfo = server.replace("dbname=shop", "dbname=case")
    with psycopg.connect(conninfo) as connection:
        connection.execute(SCHEMA)
    shadowlab_recorder.database_psycopg._catalog.clear()
    shadowlab_recorder.database_psycopg._known.clear()
    return conninfo


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Records one call; gives what was kept of the database."""

    def run(work, **settings):
        monkeypatch.setattr("shadowlab_recorder.front._default", None)
        recorder = shadowlab_recorder.configure(tmp_path / "recordings", share=1.0, **settings)
        try:
            made = shadowlab_recorder.record(work)()
            if asyncio.iscoroutine(made):
                asyncio.run(made)
        except psycopg.Error:
            pass
        return kept(recorder, tmp_path / "recordings")[-1]["database"]

    return run


def rebuilt(told, conninfo):
    """A connection to a database with the touched state."""
    connection = psycopg.connect(conninfo.replace("dbname=case", "dbname=again"))
    connection.execute("set session_replication_role = replica")
    for statement in told["schema"]:
        connection.execute(statement)
    for table, rows in told["rows"].items():
        name = ".".join(f'"{part}"' for part in table.split("."))
        for row in rows:
            columns = ", ".join(f'"{column}"' for column in row)
            marks = ", ".join(["%s"] * len(row))
            statement = f"insert into {name} ({columns}) overriding system value values ({marks})"
            connection.execute(statement, list(row.values()))
    for sequence, value in told["sequences"].items():
        connection.execute("select setval(%s, %s, %s)", (sequence, max(value, 1), value > 0))
    connection.execute("set session_replication_role = default")
    return connection


def work(connection):
    """What a service might do; answers are what it saw."""
    seen = []
    connection.row_factory = dict_row
    ask = connection.execute
    joined = "select c.*, u.name from charges c join customers u on u.id = c.customer where c.id = %s"
    seen += ask(joined, (1,)).fetchall()
    seen += ask("select count(*), sum(amount) from charges where customer = %s and amount < 25", (2,)).fetchall()
    seen += ask("select name from customers where name like 'b%' order by id limit 3").fetchall()
    ask("update charges set amount = %s where id = %s", (11, 1))
    ask("update charges set amount = amount * 2 where customer = %(who)s", {"who": 2})
    seen += ask("insert into charges (customer, amount) values (%s, %s) returning id, amount", (1, 5)).fetchall()
    seen += ask("delete from customers where name = 'cid' returning born").fetchall()
    seen += ask("select id, amount from charges order by id").fetchall()
    connection.commit()
    return seen


def test_the_same_work_gives_the_same_on_the_state_that_was_rebuilt(recorded, place):
    seen = []

    def call():
        with psycopg.connect(place) as connection:
            seen.extend(work(connection))

    told = recorded(call)
    assert (told["dialect"], told["incomplete"]) == ("postgresql", [])
    assert told["sequences"] == {"public.charges_id_seq": 3}
    assert "CREATE TYPE mood AS ENUM ('ok', 'it''s bad')" in told["schema"]
    assert told["rows"]["public.charges"][0]["extra"] == '{"a": [1, 2]}'
    assert [write["known"] for write in told["writes"]] == [True, False, False, False]
    with rebuilt(told, place) as again:
        assert work(again) == seen


def test_an_update_of_a_row_that_was_read_asks_nothing_more(recorded, place):
    def call():
        with psycopg.connect(place) as connection:
            connection.execute("select * from charges where customer = 1").fetchall()
            connection.execute("update charges set amount = %s where id = %s", (11, 1))

    [write] = recorded(call)["writes"]
    assert (write["before"], write["known"], write["table"]) == (None, True, "public.charges")


def test_async_connections_are_kept_in_the_same_way(recorded, place):
    async def call():
        async with await psycopg.AsyncConnection.connect(place) as connection:
            await connection.execute("select id from charges where amount > 15")
            await connection.execute("delete from charges where id = 2")
            async with connection.cursor() as cursor:
                await cursor.executemany("update charges set amount = %s where id = %s", [(1, 1), (2, 3)])
            await connection.execute("select nothing from charges")

    told = recorded(call)
    assert [row["id"] for row in told["rows"]["public.charges"]] == ["2", "3", "1"]
    assert told["writes"][0]["row_count"] == 1
    assert told["reads"][-1]["error"]["code"] == "42703"
    assert told["incomplete"] == []


def test_the_row_behind_a_unique_violation_is_kept_although_the_transaction_is_lost(recorded, place):
    def call():
        with psycopg.connect(place) as connection:
            connection.execute("insert into customers (name) values (%s)", ("cid",))

    told = recorded(call)
    assert told["rows"]["public.customers"] == [{"id": "3", "name": "cid", "born": "2000-01-01"}]
    assert told["writes"][0]["error"]["type"] == "psycopg.errors.UniqueViolation"
    with rebuilt(told, place) as again, pytest.raises(psycopg.errors.UniqueViolation):
        again.execute("insert into customers (name) values ('cid')")


def test_a_query_of_ours_that_fails_leaves_the_services_transaction_as_it_was(recorded, place):
    seen = []

    def call():
        with psycopg.connect(place.replace("user=shop", "user=limited")) as connection:
            connection.execute("update charges set amount = 9 where id = 1 and amount < 100")
            seen.append(connection.execute("select amount from charges where id = 1").fetchone())

    with psycopg.connect(place) as connection:
        connection.execute("drop role if exists limited")
        connection.execute("create role limited login")
        connection.execute("grant select (id, amount), update (amount) on charges to limited")
    told = recorded(call)
    assert [float(row[0]) for row in seen] == [9.0]
    assert any("before" in words for words in told["incomplete"])
    with psycopg.connect(place) as connection:
        connection.execute("revoke all on charges from limited")
        connection.execute("drop role limited")


def test_what_is_not_kept_is_said(recorded, place):
    def call():
        with psycopg.connect(place) as connection:
            connection.execute("select * from charges where customer in (select id from customers)")
            with connection.cursor(name="server") as cursor:
                cursor.execute("select * from charges").fetchall()
            with connection.cursor() as cursor:
                assert len(list(cursor.stream("select * from charges"))) == 3
                with cursor.copy("copy customers to stdout") as copy:
                    assert len(list(copy)) == 3

    said = [words.partition(":")[0] for words in recorded(call)["incomplete"]]
    assert said == [f"rows of a {what}" for what in ("cursor of the server", "stream of rows", "COPY", "subquery")]


def test_sqlalchemy_is_kept_sync_and_async(recorded, place):
    address = "postgresql+psycopg://shop@/case?host=" + place.split()[0].partition("=")[2]
    columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    table = sa.Table("customers", sa.MetaData(), *columns)

    def sync():
        engine = sa.create_engine(address)
        with engine.begin() as connection:
            connection.execute(sa.update(table).where(table.c.name == "ann").values(name="anna"))
            connection.execute(sa.insert(table), [{"name": "dee"}, {"name": "eve"}])

    async def run():
        engine = create_async_engine(address)
        async with engine.begin() as connection:
            rows = (await connection.execute(sa.select(table).order_by(table.c.id))).all()
            assert len(rows) == 5
        await engine.dispose()

    told = recorded(sync)
    assert told["rows"]["public.customers"] == [{"id": "1", "name": "ann", "born": "1990-02-03"}]
    told = recorded(run)
    assert {row["name"] for row in told["rows"]["public.customers"]} == {"bob", "cid", "anna", "dee", "eve"}


def test_a_snapshot_of_the_server_shows_whole_tables_as_they_were_before(recorded, place):
    snapshot = shadowlab_recorder.PostgresSnapshot(place, environment="DATABASE_URL", tables=("customers",))

    def call():
        with psycopg.connect(place) as connection:
            connection.execute("delete from charges where id = 1")
        with psycopg.connect(place) as other:
            other.execute("insert into customers (name) values ('new')")

    told = recorded(call, snapshot=snapshot)
    assert sorted(told["complete"]) == ["public.charges", "public.customers"]
    assert [row["id"] for row in told["rows"]["public.charges"]] == ["1", "2", "3"]
    assert [row["name"] for row in told["rows"]["public.customers"]] == ["ann", "bob", "cid"]
    assert told["incomplete"] == []
    assert len(snapshot._free) == 1


def test_a_snapshot_whose_connections_are_all_taken_is_not_there(place):
    snapshot = shadowlab_recorder.PostgresSnapshot(place, connections=1)
    first = snapshot.take()
    assert snapshot.take() is None
    first.release()
    first.release()
    assert snapshot.take() is not None


def test_a_snapshot_that_waits_is_refused_where_a_loop_would_wait(tmp_path, place):
    async def app(scope, receive, send):
        pass

    with pytest.raises(ValueError, match="event loop"):
        shadowlab_recorder.record(app, directory=tmp_path, snapshot=shadowlab_recorder.PostgresSnapshot(place))
