"""Services whose database the recording holds as rows: SQLite without a server, PostgreSQL with one."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import orders
import psycopg
import pytest

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.gates import sequence
from shadowlab.records import Replay
from shadowlab.replay import Runner, postgres, recording
from shadowlab.replay.fixture import Fixture, parse

TOML = '[service]\nname = "rates"\nentrypoint = "main:run"\nkind = "function"\n'
POSTGRES = """\
import os, psycopg


def run(event):
    with psycopg.connect(os.environ["RATES_URL"]) as db:
        rate, at = db.execute("SELECT v, now() FROM rates WHERE name = %s", (event["name"],)).fetchone()
        new = db.execute("INSERT INTO rates (name, v) VALUES ('usd', 2) RETURNING id, at").fetchone()
        db.execute("DELETE FROM rates WHERE name = 'old'")
    if event.get("random"):
        with psycopg.connect(os.environ["RATES_URL"]) as db:
            db.execute("INSERT INTO rates (name, v) VALUES ('chance', random())")
    return [str(rate), at.isoformat(), new[0], new[1].isoformat()]
"""
HOSTILE = """\
import os, socket, psycopg


def run(event):
    told = []
    for kind in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        for type in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                socket.socket(kind, type).close()
                told.append(f"{kind.name} {type.name}")
            except OSError:
                pass
    with psycopg.connect(host="/run/somewhere/else", dbname="replay", user="shadowlab") as db:
        told.append(db.execute("SELECT current_database()").fetchone()[0])
        for act in ("COPY (SELECT 1) TO PROGRAM 'id'", "SELECT pg_read_file('/etc/passwd')", "CREATE ROLE a SUPERUSER"):
            try:
                db.execute(act)
                told.append(act)
            except psycopg.Error:
                db.rollback()
    for user, database in (("owner", "postgres"), ("shadowlab", "postgres"), ("shadowlab", "template1")):
        try:
            psycopg.connect(host="/tmp", dbname=database, user=user).close()
            told.append(f"{user} in {database}")
        except psycopg.OperationalError:
            pass
    return told
"""
SQLITE = """\
import os, sqlite3


def run(event):
    with sqlite3.connect(os.environ["RATES_URL"]) as db:
        new = db.execute("INSERT INTO rates (name, v) VALUES ('usd', 2)").lastrowid
        return [*db.execute("SELECT v, hex(logo) FROM rates WHERE name = 'eur'").fetchone(), new]
"""
ROWS: dict[str, Any] = {
    "dialect": "postgresql",
    "schema": ["CREATE TABLE public.rates (id serial PRIMARY KEY, name text NOT NULL, v numeric(10, 4),"
               " at timestamptz DEFAULT now(), twice numeric GENERATED ALWAYS AS (v * 2) STORED)"],
    "rows": {"public.rates": [{"id": "7", "name": "eur", "v": "1.2500", "at": "2026-01-01 00:00:00+00", "twice": "2.5"},
                              {"id": "8", "name": "old", "v": None}]},
    "sequences": {"public.rates_id_seq": 40},
}  # fmt: skip


def recorded(database: dict[str, Any], event: dict[str, Any] | None = None, **other: Any) -> Fixture:
    document = {"kind": "function", "time": "2026-05-04T10:00:00.123456Z", "db_environment": "RATES_URL",
                "request": {"method": "CALL", "path": "main:run", "body": event or {"name": "eur"}},
                "database": database, **other}  # fmt: skip
    return parse(document, where="a test")


def replayed(folder: Path, code: str, fixture: Fixture, *, sandbox: str = "embedded") -> Replay:
    source = orders.repository(folder / "tree", {"shadowlab.toml": TOML, "main.py": code})
    case = open_case(folder / "case")
    kept = recording.keep(case, fixture)
    return replay.replay(case, [kept.id], source=source, revision="HEAD", sandbox=sandbox)


def test_recorded_rows_of_sqlite_become_a_database(tmp_path: Path) -> None:
    schema = ["CREATE TABLE rates (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, v REAL, logo BLOB)"]
    rows = {"rates": [{"id": 3, "name": "eur", "v": 1.25, "logo": {"base64": "AQI="}}]}
    database = {"dialect": "sqlite", "schema": schema, "rows": rows, "sequences": {"rates": 9},
                "incomplete": ["a view"]}  # fmt: skip
    done = replayed(tmp_path, SQLITE, recorded(database))
    assert done.outcome == "reproduced"
    assert "not known of the database: a view" in done.notes[0]
    content = replay.snapshot(open_case(tmp_path / "case"), recorded(database))
    source = orders.repository(tmp_path / "again", {"shadowlab.toml": TOML, "main.py": SQLITE})
    with Runner(source.path, source.service("HEAD"), snapshots=lambda _: content) as runner:
        (run,) = runner.run(recorded(database), repeats=1, perturb=False)
    assert (run.body, run.database) == (b'[1.25, "0102", 10]', {"rates": (1, 0)})


LOCKING = """\
    HELD.append(sqlite3.connect(os.environ["RATES_URL"], isolation_level=None))
    HELD[-1].execute("BEGIN IMMEDIATE")
"""


@pytest.mark.parametrize("locked", ["", LOCKING])
def test_in_a_sequence_the_process_remembers_and_the_database_is_put_back(tmp_path: Path, locked: str) -> None:
    database = {"dialect": "sqlite", "schema": ["CREATE TABLE rates (id INTEGER PRIMARY KEY, name TEXT, v REAL, logo)"],
                "rows": {"rates": [{"id": 3, "name": "eur", "v": 1.25, "logo": "a"}]}}  # fmt: skip
    code = SQLITE.replace("def run(event):\n", "HELD = []\nCALLS = []\n\n\ndef run(event):\n    CALLS.append(event)\n")
    code = code.replace("        return [*", "        found = [*").replace("new]", "new, len(CALLS)]")
    source = orders.repository(
        tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": f"{code}    db.close()\n{locked}    return found\n"}
    )
    content = replay.snapshot(open_case(tmp_path / "case"), recorded(database))
    with Runner(source.path, source.service("HEAD"), snapshots=lambda _: content) as runner:
        runs = runner.sequence([recorded(database)] * 3)
    assert [run.body for run in runs] == [b'[1.25, "61", 4, %d]' % n for n in (1, 2, 3)]
    assert [run.database for run in runs] == [{"rates": (1, 0)}] * 3


def test_a_sequence_that_ends_the_process_says_so_of_what_is_left(tmp_path: Path) -> None:
    code = "import os\nCALLS = []\n\ndef run(event):\n    CALLS.append(1)\n    return os._exit(1) if CALLS[1:] else 1\n"
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": code})
    event = {"kind": "function", "time": "2026-05-04T10:00:00Z", "request": {"method": "CALL", "path": "main:run"}}
    with Runner(source.path, source.service("HEAD")) as runner:
        runs = runner.sequence([parse(event, where="a test")] * 3)
    assert [(run.state, run.reason) for run in runs] == [("finished", ""), *[("crashed", "the process died")] * 2]


@pytest.mark.parametrize("place", ["/var/lib/rates/rates.sqlite", "rates.db", "file:/srv/rates.db?mode=rw"])
def test_rows_are_found_where_the_service_has_its_file_when_nobody_said_where(tmp_path: Path, place: str) -> None:
    database = {"dialect": "sqlite", "schema": ["CREATE TABLE rates (id INTEGER PRIMARY KEY, name TEXT, v REAL, logo)"],
                "rows": {"rates": [{"id": 3, "name": "eur", "v": 1.25, "logo": "a"}]}}  # fmt: skip
    code = SQLITE.replace('os.environ["RATES_URL"]', f"{place!r}, uri={place.startswith('file:')}")
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": code})
    fixture = recorded(database, db_environment=None)
    content = replay.snapshot(open_case(tmp_path / "case"), fixture)
    with Runner(source.path, source.service("HEAD"), snapshots=lambda _: content) as runner:
        (run,) = runner.run(fixture, repeats=1, perturb=False)
    assert (run.body, run.database) == (b'[1.25, "61", 4]', {"rates": (1, 0)})


def test_two_files_that_nobody_named_are_not_taken_for_one(tmp_path: Path) -> None:
    database = {"dialect": "sqlite", "schema": ["CREATE TABLE rates (id INTEGER PRIMARY KEY, name TEXT, v REAL, logo)"],
                "rows": {"rates": [{"id": 3, "name": "eur", "v": 1.25, "logo": "a"}]}}  # fmt: skip
    one = SQLITE.replace('os.environ["RATES_URL"]', '"/srv/shop/rates.db"')
    both = one.replace(
        "    return ", '    sqlite3.connect("/srv/bank/rates.sqlite").execute("SELECT v FROM rates")\n    return ', 1
    )
    again = one.replace(
        "    return ", '    sqlite3.connect("file:/srv/shop/../shop/rates.db", uri=True)\n    return ', 1
    )
    assert replayed(tmp_path / "a", again, recorded(database, db_environment=None)).outcome == "reproduced"
    done = replayed(tmp_path / "b", both, recorded(database, db_environment=None))
    assert done.outcome == "uncertified"
    (how,) = [effect.how for effect in done.effects if effect.seam == "database"]
    assert how == "rates.db and rates.sqlite were read from the one database that was recorded"


@pytest.mark.parametrize(
    "statement",
    ["ATTACH DATABASE '/tmp/x.sqlite' AS x", "PRAGMA writable_schema = ON", "CREATE VIRTUAL TABLE v USING x"],
)
def test_a_recorded_schema_makes_tables_and_nothing_else(tmp_path: Path, statement: str) -> None:
    with pytest.raises(errors.RecordingError, match="cannot be put back"):
        replayed(tmp_path, SQLITE, recorded({"dialect": "sqlite", "schema": [statement]}))


def test_without_postgresql_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadowlab.replay.postgres_server.INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.SandboxError, match="PostgreSQL is not installed"):
        postgres.Postgres()


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["embedded", "bwrap", "unconfined"])
def test_postgresql_is_replayed_from_its_recorded_rows(tmp_path: Path, sandbox: str) -> None:
    done = replayed(tmp_path, POSTGRES, recorded(ROWS), sandbox=sandbox)
    assert done.outcome == "reproduced", done.runs[0].divergence
    database = next(effect for effect in done.effects if effect.seam == "database")
    assert "its clock stands at the recorded time" in database.how
    if sandbox != "unconfined":
        assert any(line == "network: none but the replay's own PostgreSQL" for line in done.enforced)


@pytest.mark.slow
def test_a_recorded_statement_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadowlab.replay.postgres._LONGEST_S", 2.0)
    state = {"dialect": "postgresql", "schema": ["SELECT pg_sleep(600)"]}
    with pytest.raises(errors.RecordingError, match="cannot be put back"):
        replayed(tmp_path, POSTGRES, recorded(state))


@pytest.mark.slow
def test_each_run_of_postgresql_finds_the_state_of_the_request(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": POSTGRES})
    with Runner(source.path, source.service("HEAD")) as runner:
        runs = runner.run(recorded(ROWS), repeats=3)
    time = "2026-05-04T10:00:00.123456+00:00"
    assert {run.body.decode() for run in runs} == {f'["1.2500", "{time}", 41, "{time}"]'}
    assert [run.database for run in runs] == [{"public.rates": (1, 1)}] * 4
    assert len({run.digest for run in runs}) == 1


COUNTING = """\
import os, psycopg

CALLS = []


def run(environ, start_response):
    with psycopg.connect(os.environ["RATES_URL"]) as db:
        db.execute("INSERT INTO rates (name, v) VALUES ('usd', 2)")
    CALLS.append(1 + ("1" if len(CALLS) >= MANY else 2))
    start_response("201 Created", [])
    return [b"made"]
"""


@pytest.mark.slow
def test_a_cure_that_counts_is_seen_where_the_rows_are_in_postgresql(tmp_path: Path) -> None:
    request = {"method": "POST", "path": "/rates"}
    fixture = recorded(ROWS, kind="wsgi", request=request)
    runners, runs = [], []
    with contextlib.ExitStack() as stack:
        for many in ("0", "2", "99"):
            files = {"shadowlab.toml": TOML.replace("function", "wsgi"), "main.py": COUNTING.replace("MANY", many)}
            tree = orders.repository(tmp_path / many, files)
            runners.append(stack.enter_context(Runner(tree.path, tree.service("HEAD"))))
            runs += runners[-1].run(fixture, repeats=1, perturb=False)
        broken, counting, cured = (
            sequence.cured(runners[0], each, [(fixture, runs[0], run)], ())
            for each, run in zip(runners, runs, strict=True)
        )
    assert (counting.verdict, cured.verdict, cured.compared) == ("fail", "pass", 6), runs
    assert "after 2 requests in one process, though not alone: 500 TypeError" in counting.why[0]
    assert broken.compared == 0


DRAWING = """\
import os, psycopg


def run(event):
    told = []
    for _ in range(2):
        with psycopg.connect(os.environ["RATES_URL"], autocommit=True) as db:
            told += db.execute("SELECT random(), pg_catalog.random(), gen_random_uuid()::text").fetchone()
            told += db.execute("INSERT INTO draws DEFAULT VALUES RETURNING id::text, v").fetchone()
            db.execute("BEGIN READ ONLY")
            told += db.execute("SELECT random()").fetchone()
            db.execute("COMMIT")
    with psycopg.connect(os.environ["RATES_URL"]) as db:
        told += db.execute("SELECT setseed(0.5)::text, random(), random()").fetchone()[1:]
        told += db.execute("SELECT shadowlab_setseed(0.5)::text, shadowlab_random(), shadowlab_random()").fetchone()[1:]
    return told
"""
DRAWS: dict[str, Any] = {
    "dialect": "postgresql",
    "schema": ["CREATE TABLE public.draws (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), v float8 DEFAULT random())"],
    "rows": {"public.draws": []},
}


@pytest.mark.slow
def test_what_the_server_draws_itself_is_held(tmp_path: Path) -> None:
    fixture = recorded(DRAWS, rand_seed=7)
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": DRAWING})
    with Runner(source.path, source.service("HEAD")) as runner:
        runs = runner.run(fixture, repeats=2)
        (other,) = runner.run(fixture, repeats=1, perturb=False, hooks=replay.Hooks(seed=8))
    assert len({run.digest for run in runs}) == 1, runs[0].error
    told = json.loads(runs[0].body)
    *drawn, first, second, servers, own = told
    assert (first, second) == (servers, own)  # after a seed of the service's own come the server's own numbers
    assert len(set(drawn)) == len(drawn) - 1  # each connection counts anew in what it only reads
    assert {uuid.UUID(each).version for each in told if isinstance(each, str)} == {4}
    assert not set(json.loads(other.body)[:-4]) & set(drawn)


@pytest.mark.slow
def test_what_a_server_counts_over_all_its_databases_is_not_reproduced(tmp_path: Path) -> None:
    code = POSTGRES.replace("('chance', random())", "('count', txid_current())")
    done = replayed(tmp_path, code, recorded(ROWS, {"name": "eur", "random": True}))
    assert done.outcome == "uncertified"
    assert "a repeat differs in database" in str(done.runs[0].divergence)


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["embedded", "bwrap"])
def test_behind_the_door_there_is_only_the_replay_s_own_database(tmp_path: Path, sandbox: str) -> None:
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": HOSTILE})
    with Runner(source.path, source.service("HEAD"), sandbox=sandbox) as runner:
        (run,) = runner.run(recorded(ROWS), repeats=1, perturb=False)
    assert run.body.decode() == '["AF_UNIX SOCK_STREAM", "replay"]', run.error


@pytest.mark.slow
def test_an_event_loop_waits_for_postgresql_and_for_nothing_else(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, psycopg\n\n\nasync def run(event):\n"
        '    async with await psycopg.AsyncConnection.connect(os.environ["RATES_URL"]) as db:\n'
        "        await asyncio.sleep(3600)\n"
        '        return [str(v) for v, in await (await db.execute("SELECT v FROM rates ORDER BY id")).fetchall()]\n'
    )
    done = replayed(tmp_path, code, recorded(ROWS))
    assert (done.outcome, done.error) == ("reproduced", None), done.runs[0].divergence


TABLES = [f"CREATE TABLE public.{name} (id int PRIMARY KEY, v numeric)" for name in ("rates", "shops", "moves")]
SHARING = """\
import os, psycopg


def run(event):
    with psycopg.connect(os.environ["RATES_URL"]) as db:
        db.execute("DELETE FROM moves")
        return [str(1 / v) for v, in db.execute("SELECT v FROM rates JOIN shops USING (v) ORDER BY rates.id")]
"""


@pytest.mark.slow
def test_rows_of_postgresql_are_made_as_few_as_fail(tmp_path: Path) -> None:
    rows = {f"public.{name}": [{"id": str(n), "v": str(n % 7)} for n in range(1, 31)] for name in ("rates", "shops")}
    rows["public.moves"] = [{"id": str(n), "v": None} for n in range(60)]
    fixture = recorded({"dialect": "postgresql", "schema": TABLES, "rows": rows})
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": SHARING})
    case = open_case(tmp_path / "case")
    kept = recording.keep(case, fixture)
    small = replay.minimise(case, kept.id, source=source, revision="HEAD")
    part = next(part for part in small.parts if part.name == "database")
    assert (part.unit, part.before, part.after, small.spent) == ("row", 120, 2, False)
    left = replay.load(case, small.recording).database
    assert left is not None
    assert [row["v"] for each in left.rows.values() for row in each] == ["0", "0"]
    done = replay.replay(case, [small.recording], source=source, revision="HEAD")
    assert (done.outcome, done.error and done.error.type) == ("reproduced", "decimal.DivisionByZero")


LOYALTY = """\
import os, psycopg


def redeem(event):
    with psycopg.connect(os.environ["LOYALTY_URL"]) as db:
        (points,) = db.execute("SELECT points FROM cards WHERE name = %s FOR UPDATE", (event["name"],)).fetchone()
        db.execute("INSERT INTO moves (card, points) VALUES (%s, %s)", (event["name"], event["add"]))
        db.execute("UPDATE cards SET points = points + %s WHERE name = %s", (event["add"], event["name"]))
    return {"points": points + event["add"]}
"""
RECORDING = """\
import sys, main, psycopg, shadowlab_recorder

redeem = shadowlab_recorder.record(main.redeem, directory=sys.argv[1], share=1.0, database="LOYALTY_URL")
redeem({"name": "bob", "add": 7})
try:
    redeem({"name": "ann", "add": 700})
except psycopg.errors.NumericValueOutOfRange:
    pass
"""
STATE = """\
CREATE TABLE cards (name text PRIMARY KEY, points int NOT NULL);
CREATE TABLE moves (id serial PRIMARY KEY, card text REFERENCES cards, points int, at timestamptz DEFAULT now());
INSERT INTO cards VALUES ('ann', 2147483600), ('bob', 5);
"""


@pytest.mark.slow
def test_what_the_recorder_kept_of_postgresql_fails_again_in_the_same_way(tmp_path: Path) -> None:
    toml = TOML.replace("run", "redeem") + f'frames = ["{tmp_path}/tree/"]\n'
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": toml, "main.py": LOYALTY})
    with contextlib.closing(replay.postgres_server.Cluster()) as production:
        url = f"postgresql://shadowlab@/shop?host={production.address.parent}"
        production.administer("postgres", "CREATE ROLE shadowlab LOGIN", "CREATE DATABASE shop OWNER shadowlab")
        with psycopg.connect(url) as db:
            db.execute(STATE)
        environment = {**os.environ, "LOYALTY_URL": url, "PYTHONPATH": str(source.path)}
        words = [sys.executable, "-c", RECORDING, str(tmp_path / "tapes")]
        subprocess.run(words, env=environment, check=True, timeout=60)
    case = open_case(tmp_path / "case")
    assert not replay.take_in(case, [tmp_path / "tapes"]).refused
    well, failed = sorted(replay.listed(case), key=lambda tape: tape.failed)
    assert replay.replay(case, [well.id], source=source, revision="HEAD").outcome == "reproduced"
    done = replay.replay(case, [failed.id], source=source, revision="HEAD")
    assert (done.outcome, done.error and done.error.message) == ("reproduced", "integer out of range")
