"""What the recorder keeps of SQLite: the rows that were touched, as they were before, enough to build them again."""

import base64
import contextlib
import sqlite3

import pytest
import shadowlab_recorder
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import kept
from shadowlab_recorder import catalog_sqlite
from shadowlab_recorder.sql import parsed
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

SCHEMA = """
create table charges (id integer primary key, name text unique, amount real, note blob);
create index by_amount on charges (amount);
create table links (a integer, b integer, primary key (a, b));
insert into charges values (1, 'a', 1.5, x'00ff'), (2, 'b', 2, null), (3, 'c', 3, null), (4, 'd', 4, null);
insert into links values (1, 2), (1, 3), (4, 1);
"""


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    return shadowlab_recorder.configure(tmp_path / "recordings", share=1.0)


@pytest.fixture
def place(tmp_path):
    path = str(tmp_path / "shop.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.fixture
def database(recorder, tmp_path, place):
    """Runs something with a connection inside of a recorded call; gives what was kept of the database."""

    def run(work, path=place):
        @shadowlab_recorder.record
        def call():
            with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
                work(connection)

        call()
        return kept(recorder, tmp_path / "recordings")[-1]["database"]

    return run


def value(kept):
    """A recorded value as SQLite takes it."""
    return base64.b64decode(kept["base64"]) if isinstance(kept, dict) else kept


def rebuilt(told):
    """A database in memory with the touched state."""
    connection = sqlite3.connect(":memory:")
    for statement in told["schema"]:
        connection.execute(statement)
    for table, rows in told["rows"].items():
        for row in rows:
            marks = ", ".join("?" * len(row))
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(f'insert into "{table}" ({names}) values ({marks})', [value(v) for v in row.values()])
    return connection


def test_rows_that_were_read_are_kept_whole_and_bare(database):
    def work(connection):
        connection.row_factory = sqlite3.Row
        [row] = connection.execute("select * from charges where id = ?", (1,))
        assert dict(row) == {"id": 1, "name": "a", "amount": 1.5, "note": b"\x00\xff"}

    told = database(work)
    assert told["rows"] == {"charges": [{"id": 1, "name": "a", "amount": 1.5, "note": {"base64": "AP8="}}]}
    [read] = told["reads"]
    assert (read["statement"], read["parameters"], read["columns"][0]) == (
        "select * from charges where id = ?",
        [1],
        "id",
    )
    assert (told["dialect"], told["tables"]["charges"]["key"], told["incomplete"]) == ("sqlite", ["id"], [])


def test_rows_that_are_written_are_kept_as_they_were_before(database):
    def work(connection):
        connection.execute("update charges set amount = amount * 2 where amount > ? and id < ?", (1, 3))
        connection.execute("delete from charges where id = 3")
        connection.execute("insert into charges (name) values ('new')")
        assert len(connection.execute("select * from charges").fetchall()) == 4
        connection.commit()

    told = database(work)
    assert [(row["id"], row["amount"]) for row in told["rows"]["charges"]] == [(1, 1.5), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert [len(write["before"] or ()) for write in told["writes"]] == [2, 1, 0]
    assert (told["sequences"], told["transactions"][-1]["what"]) == ({"charges": 4}, "commit")


def test_rows_of_a_generator_are_taken_as_they_are_without_the_recorder(database, place):
    """However many there are; where it fails, those before are there."""

    def rows():
        yield from ((n,) for n in range(3000))
        raise LookupError("no more")

    def work(connection):
        with contextlib.suppress(LookupError):
            connection.executemany("insert into links values (?, 0)", rows())
        connection.commit()

    told = database(work)
    with contextlib.closing(sqlite3.connect(place)) as connection:
        assert connection.execute("select count(*) from links where b = 0").fetchone() == (3000,)
    assert "more statements than are kept of one request" in told["incomplete"]


def test_a_row_that_was_read_before_is_not_asked_for_again(database):
    def work(connection):
        connection.execute("select * from charges where name = 'b'").fetchall()
        connection.execute("update charges set amount = ? where id = ?", (7, 2))

    [write] = database(work)["writes"]
    assert (write["before"], write["known"]) == (None, True)


def test_counts_and_parts_of_rows_bring_the_rows_behind_them(database):
    def work(connection):
        assert connection.execute("select count(*) from charges where amount >= ?", (3,)).fetchone() == (2,)
        assert connection.execute("select name from charges where id = 1").fetchone() == ("a",)

    told = database(work)
    assert sorted(row["id"] for row in told["rows"]["charges"]) == [1, 3, 4]
    assert all(len(row) == 4 for row in told["rows"]["charges"])


def test_both_sides_of_a_join_are_kept(database):
    work = "select x.*, l.* from links as l join charges x on x.id = l.b where l.a = 1"
    told = database(lambda connection: connection.execute(work).fetchall())
    assert [row["id"] for row in told["rows"]["charges"]] == [2, 3]
    assert told["rows"]["links"] == [{"a": 1, "b": 2}, {"a": 1, "b": 3}]


def test_the_row_in_whose_way_an_insert_is_is_kept(database):
    told = database(lambda connection: connection.execute("insert into charges (name, amount) values (?, 1)", ("c",)))
    [write] = told["writes"]
    assert (write["error"]["code"], told["rows"]["charges"][0]["id"]) == ("SQLITE_CONSTRAINT_UNIQUE", 3)
    with pytest.raises(sqlite3.IntegrityError, match="name"):
        rebuilt(told).execute("insert into charges (name) values ('c')")


def test_what_is_not_known_is_said(database):
    def work(connection):
        connection.execute("select * from charges where id in (select b from links)").fetchall()
        connection.execute("with t as (select 1) select * from t").fetchall()
        connection.executescript("update charges set amount = 0")

    assert [words.partition(":")[0] for words in database(work)["incomplete"]] == [
        "a script of several statements",
        "rows of a subquery",
        "rows of a subquery",
    ]


def test_a_second_database_is_named(database, tmp_path):
    def work(connection):
        connection.execute("select * from charges").fetchall()
        sqlite3.connect(tmp_path / "other.db").execute("create table x (y)")

    assert "another database" in database(work)["incomplete"][0]


def test_outside_of_a_request_nothing_is_kept_and_rows_are_as_ever(recorder, place):
    with contextlib.closing(sqlite3.connect(place)) as connection:
        connection.row_factory = lambda cursor, row: row[0]
        assert connection.execute("select id from charges order by id").fetchmany(2) == [1, 2]
        cursor = connection.cursor()
        cursor.row_factory = None
        assert list(cursor.execute("select id from charges where id > ?", [3])) == [(4,)]
        assert connection.executemany("update charges set amount = ? where id = ?", [(1, 1), (2, 2)]).rowcount == 2


class Base(DeclarativeBase):
    pass


class Charge(Base):
    __tablename__ = "charges"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    amount: Mapped[float | None]


def test_a_connection_for_each_request_asks_for_the_schema_once(recorder, place, monkeypatch):
    monkeypatch.setattr(catalog_sqlite, "_CHECK_EVERY_S", 3600)
    asked = []

    @shadowlab_recorder.record
    def call():
        with contextlib.closing(sqlite3.connect(place)) as connection:
            connection.set_trace_callback(asked.append)
            connection.execute("select * from charges where id = 1").fetchall()

    for _ in range(3):
        call()
    assert [each for each in asked if "schema_version" in each] == ["PRAGMA schema_version"]


def test_a_table_that_another_connection_changes_is_described_anew(database, place, monkeypatch):
    monkeypatch.setattr(catalog_sqlite, "_CHECK_EVERY_S", 3600)

    def work(connection):
        connection.execute("select * from charges where id = 1").fetchall()

    assert "extra" not in database(work)["rows"]["charges"][0]
    with contextlib.closing(sqlite3.connect(place)) as connection:
        connection.execute("alter table charges add column extra text default 'x'")
    assert database(work)["rows"]["charges"][0]["extra"] == "x"


def test_sqlalchemy_is_kept_through_its_driver(recorder, tmp_path, place):
    engine = sa.create_engine(f"sqlite:///{place}")

    @shadowlab_recorder.record
    def work():
        with Session(engine) as session:
            one = session.get(Charge, 2)
            one.amount = 9.0
            session.add(Charge(name="new", amount=1.0))
            session.delete(session.scalars(sa.select(Charge).where(Charge.name == "c")).one())
            session.commit()

    work()
    told = kept(recorder, tmp_path / "recordings")[-1]["database"]
    assert sorted((row["id"], row["amount"]) for row in told["rows"]["charges"]) == [(2, 2.0), (3, 3.0)]
    assert [write["known"] for write in told["writes"] if write["statement"].startswith("UPDATE")] == [True]
    assert told["sequences"] == {"charges": 4}
    assert told["incomplete"] == []


numbers, names = st.integers(0, 6), st.sampled_from("abxyz")
steps = st.one_of(
    st.tuples(st.just("select * from charges where id = ?"), st.tuples(numbers)),
    st.tuples(st.just("select id, name from charges where amount >= ? order by id"), st.tuples(numbers)),
    st.tuples(st.just("select sum(amount), count(*) from charges where id < ?"), st.tuples(numbers)),
    st.tuples(st.just("update charges set amount = amount + ? where id >= ?"), st.tuples(numbers, numbers)),
    st.tuples(st.just("update charges set name = ? where id = ?"), st.tuples(names, numbers)),
    st.tuples(st.just("delete from charges where id = ?"), st.tuples(numbers)),
    st.tuples(st.just("insert into charges (name, amount) values (?, ?)"), st.tuples(names, numbers)),
    st.tuples(
        st.just("select l.*, c.* from links l left join charges c on c.id = l.b where l.a < ?"), st.tuples(numbers)
    ),
)


@settings(max_examples=40)
@given(st.lists(steps, max_size=8))
def test_the_same_statements_give_the_same_on_the_state_that_was_rebuilt(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("one")
    path = str(folder / "shop.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    recorder = shadowlab_recorder.configure(folder / "recordings", share=1.0)

    def answers(connection):
        found = []
        for statement, parameters in steps:
            try:
                found.append(connection.execute(statement, parameters).fetchall())
            except sqlite3.IntegrityError as error:
                found.append(str(error))
        return found

    @shadowlab_recorder.record
    def call():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            seen.extend(answers(connection))

    seen: list = []
    call()
    [one] = kept(recorder, folder / "recordings")
    told = one.get("database")
    assert told is None or told["incomplete"] == []
    inserted = [step for step in steps if step[0].startswith("insert")]
    if told is not None and not inserted:  # without the table's other rows a new id is another one
        assert answers(rebuilt(told)) == seen


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ('SELECT COUNT(*) AS "n" FROM "t" WHERE "t"."a" = %s', 'SELECT "t".* FROM "t" WHERE "t"."a" = %s'),
        ("select u.a from v as u where u.b = 'from x' limit 5", "SELECT u.* from v as u where u.b = 'from x' limit 5"),
        ("update t set a = $$ where $$ where id = :id returning *", "SELECT * FROM t where id = :id "),
        ("DELETE FROM s.t AS x WHERE x.a IN (?, ?)", "SELECT * FROM s.t AS x WHERE x.a IN (?, ?)"),
        ("update a set x = 1 from b where a.id = b.id", ""),
        ("select b.x from a join b on a.id = b.id", "SELECT a.* from a join b on a.id = b.id"),
        ("select a.x from a where a.y in (select z from b)", "SELECT a.* from a where a.y in (select z from b)"),
        ("with a as (select 1) select * from a", ""),
        ("-- update\nselect a /* from */ from t for update", "SELECT t.* from t "),
    ],
)
def test_the_rows_of_a_statement_are_asked_for_by_its_own_condition(statement, expected):
    found = parsed(statement)
    query = found.rows or next(iter(found.whole.values()), None)
    assert (query.text if query else "") == expected


def test_parameters_of_the_condition_are_told_apart_from_the_others():
    found = parsed("UPDATE t SET a = %s, b = '%s' || %s WHERE t.id = %s AND (v = %s)")
    assert (found.rows.marks, found.by_key, found.columns) == ((2, 3), {"id": 2, "v": 3}, {"a": 0})
    found = parsed("INSERT INTO t (a, b, c) VALUES (?, lower(?), ?) ON CONFLICT (a) DO NOTHING")
    assert (found.columns, found.conflict) == ({"a": 0, "c": 2}, True)


def test_a_statement_that_is_known_is_kept_as_it_was_the_first_time(database):
    def work(connection):
        connection.execute("select * from charges where id = ?", (2,)).fetchone()
        connection.execute("update charges set name = ? where id = ?", ("z", 2))
        connection.rollback()

    told = [{**database(work)} for _ in range(3)]
    for each in told:
        for statement in (*each["reads"], *each["writes"]):
            assert statement.pop("elapsed_ms") > 0
    assert told[0] == told[1] == told[2]
    assert [(each["known"], each["row_count"], each["seq"]) for each in told[2]["writes"]] == [(True, 1, 1)]
    assert told[2]["transactions"] == [{"seq": 2, "what": "rollback"}]


def test_a_known_write_that_breaks_keeps_the_row_in_its_way(database):
    def rename(to):
        def work(connection):
            connection.execute("select * from charges where id = ?", (2,)).fetchone()
            connection.execute("update charges set name = ? where id = ?", (to, 2))

        return work

    assert database(rename("z"))["writes"][0]["error"] is None
    told = database(rename("a"))
    assert told["writes"][0]["error"]["code"] == "SQLITE_CONSTRAINT_UNIQUE"
    assert {row["id"] for row in told["rows"]["charges"]} == {1, 2}


def test_a_known_write_to_a_row_that_was_not_read_asks_for_it(database):
    def work(read):
        def inner(connection):
            connection.execute("select * from charges where id = ?", (read,)).fetchone()
            connection.execute("update charges set amount = ? where id = ?", (9.0, 2))
            connection.rollback()

        return inner

    assert database(work(2))["writes"][0]["before"] is None
    assert [row["id"] for row in database(work(3))["writes"][0]["before"]] == [2]
