"""A request that asked nothing of its database is recorded as such and replayed; what asks all the same is refused."""

import importlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import orders
import postgres
import pytest
import shadowlab_recorder
from recorded import SCHEMA, kept

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.records import Replay
from shadowlab.replay import Runner, recording, spelling
from shadowlab.replay.fixture import Fixture, parse
from shadowlab.replay.inside import untouched_postgres
from shadowlab.replay.inside.statements import harmless, summary
from shadowlab.replay.inside.untouched import UntouchedDatabase

FASTAPI = """\
import os, sqlite3
from fastapi import Depends, FastAPI

app = FastAPI()


def database():
    db = sqlite3.connect(os.environ["SHOP_DB"])
    db.execute("PRAGMA foreign_keys = ON")
    try:
        yield db
    finally:
        db.close()


@app.post("/price/{cents}")
def price(cents: int, db=Depends(database)):
    return {"euros": cents / (cents - cents)}
"""
FLASK = """\
import os, sqlite3
from flask import Flask, g

app = Flask(__name__)


@app.before_request
def connect():
    g.db = sqlite3.connect(os.environ["SHOP_DB"])


@app.post("/price/<int:cents>")
def price(cents):
    return {"euros": cents / (cents - cents)}
"""
FUNCTION = """\
import os, sqlite3


def run(event):
    db = sqlite3.connect(os.environ["SHOP_DB"])
    return event["cents"] / (event["cents"] - event["cents"])
"""
POSTGRES = """\
import os
import sqlalchemy as sa
from fastapi import Depends, FastAPI

engine = sa.create_engine(os.environ["SHOP_DB"], pool_pre_ping=True)
app = FastAPI()


def database():
    with engine.connect() as db:
        yield db


@app.post("/price/{cents}")
def price(cents: int, db=Depends(database)):
    return {"euros": cents / (cents - cents)}
"""
KINDS = {"asgi": (FASTAPI, "app:app"), "wsgi": (FLASK, "app:app"), "function": (FUNCTION, "app:run")}
ASKS = 'db.execute("SELECT cents FROM prices").fetchone() or (cents - cents + 1)'


def toml(kind: str, entrypoint: str) -> str:
    return f'[service]\nname = "shop"\nentrypoint = "{entrypoint}"\nkind = "{kind}"\nframes = ["/srv/shop/"]\n'


def source_of(folder: Path, kind: str, code: str) -> Any:
    entrypoint = "app:run" if kind == "function" else "app:app"
    return orders.repository(folder, {"shadowlab.toml": toml(kind, entrypoint), "app.py": code})


def recorded(kind: str = "asgi", **other: Any) -> dict[str, Any]:
    """As the recorder writes it of a request that fails before it asks anything."""
    request = {"method": "POST", "path": "/price/9", "headers": [], "body": None, "body_encoding": "none"}
    if kind == "function":
        request = {"method": "CALL", "path": "app:run", "body": {"cents": 9}, "body_encoding": "json"}
    return {"schema": "shadowlab.recording/v1", "id": "1" * 32, "service": "shop", "kind": kind,
            "time": "2026-05-04T10:00:00Z", "request": request, "db_environment": "SHOP_DB",
            "environment": {"read": ["SHOP_DB"], "unset": [], "values": {}},
            "error": {"type": "ZeroDivisionError", "message": "division by zero"},
            "database": {"dialect": "sqlite", "untouched": True}, **other}  # fmt: skip


def fixture(kind: str = "asgi", **other: Any) -> Fixture:
    return parse(recorded(kind, **other), where="a test")


def replayed(folder: Path, code: str, one: Fixture, *, patch: str | None = None) -> Replay:
    case = open_case(folder / "case")
    kept = recording.keep(case, one)
    return replay.replay(case, [kept.id], source=source_of(folder / "tree", one.kind, code), revision="HEAD")


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_asks_nothing_of_its_database_is_replayed(tmp_path: Path, kind: str) -> None:
    done = replayed(tmp_path, KINDS[kind][0], fixture(kind))
    assert done.outcome == "reproduced", done.runs[0].divergence
    database = next(effect for effect in done.effects if effect.seam == "database")
    assert "nothing was asked of it" in database.how


def test_an_older_recording_that_does_not_say_so_is_unavailable(tmp_path: Path) -> None:
    done = replayed(tmp_path, FASTAPI, fixture(database=None))
    assert done.outcome == "unavailable"
    assert "the database behind SHOP_DB" in done.missing[0]


ASKED = (
    'db.execute("SELECT cents FROM prices").fetchone()',
    'db.execute("CREATE TABLE IF NOT EXISTS prices (cents INTEGER)")',
    'db.executescript("DROP TABLE prices; SELECT 1")',
    'db.executemany("INSERT INTO prices VALUES (?)", [(1,)])',
    'db.cursor().execute("UPDATE prices SET cents = 4")',
    'db.cursor(lambda db: sqlite3.Cursor(db)).execute("DELETE FROM prices")',
    'sqlite3.Cursor(db).execute("SELECT * FROM taxes")',
    'sqlite3.connect(os.environ["SHOP_DB"], factory=lambda *a, **b: sqlite3.Connection(*a, **b)).execute("REINDEX a")',
    'sqlite3.dbapi2.Connection(os.environ["SHOP_DB"]).execute("SELECT * FROM rates")',
    '__import__("_sqlite3").connect(os.environ["SHOP_DB"]).execute("SELECT * FROM fees")',
    'db("SELECT * FROM stock")',
    'sqlite3.connect(":memory:").execute("ATTACH ? AS shop", (os.environ["SHOP_DB"],))',
    """sqlite3.connect(":memory:").executescript("SELECT 1; ATTACH 'shop.sqlite' AS shop")""",
    'sqlite3.connect(":memory:").backup(db)',
    'db.execute("PRAGMA user_version").fetchone()',
    "list(db.iterdump())",
    "db.serialize()",
)


def test_whatever_asks_now_is_refused_though_no_answer_is_taken_for_an_answer(tmp_path: Path) -> None:
    tried = "".join(f"    with contextlib.suppress(sqlite3.Error):\n        {ask}\n" for ask in ASKED)
    code = f"import contextlib\n{FASTAPI}".replace("    return {", f"{tried}    return {{")
    source = source_of(tmp_path, "asgi", code)
    with Runner(source.path, source.service("HEAD")) as runner:
        (run,) = runner.run(fixture(), repeats=1, perturb=False)
    said = "nothing was asked of the database when it was recorded, now: "
    assert [each.removeprefix(said) for each in run.unrecorded] == [
        "SELECT prices", "CREATE prices", "DROP prices", "INSERT prices", "UPDATE prices", "DELETE prices",
        "SELECT taxes", "REINDEX", "SELECT rates", "SELECT fees", "SELECT stock", "ATTACH of a file",
        "ATTACH of a file", "backup", "PRAGMA", "SELECT sqlite_master", "serialize",
    ]  # fmt: skip


def test_a_fix_that_asks_the_database_diverges_and_is_not_green(tmp_path: Path) -> None:
    safe = "    found = None\n    try:\n        found = db.execute('SELECT cents FROM prices').fetchone()\n"
    code = FASTAPI.replace("    return {", f"{safe}    except sqlite3.Error:\n        return {{}}\n    return {{")
    done = replayed(tmp_path, code, fixture())
    assert done.outcome == "diverged"
    assert "now: SELECT prices" in str(done.runs[0].divergence)


def test_rows_that_were_asked_for_before_the_request_make_it_uncertified(tmp_path: Path) -> None:
    code = FASTAPI.replace(
        "app = FastAPI()",
        'with sqlite3.connect(os.environ["SHOP_DB"]) as db:\n    db.execute("CREATE TABLE IF NOT EXISTS rates (v)")\n'
        '    RATES = db.execute("SELECT v FROM rates").fetchall()\n\n\napp = FastAPI()',
    )
    done = replayed(tmp_path, code, fixture())
    assert done.outcome == "uncertified"
    assert "SELECT rates before the request" in next(e.how for e in done.effects if e.seam == "database")


def test_a_database_in_memory_is_the_services_own(tmp_path: Path) -> None:
    scratch = '    sqlite3.connect(":memory:").execute("CREATE TABLE a (b)")\n    return {'
    assert replayed(tmp_path, FASTAPI.replace("    return {", scratch), fixture()).outcome == "reproduced"


def test_a_function_whose_recording_is_silent_on_its_database_gets_no_empty_one(tmp_path: Path) -> None:
    silent = fixture("function", database=None)
    assert replayed(tmp_path / "a", FUNCTION, silent).outcome == "reproduced"
    asks = FUNCTION.replace("    return", '    db.execute("CREATE TABLE IF NOT EXISTS a (b)")\n    return')
    done = replayed(tmp_path / "b", asks, silent)
    assert done.outcome == "diverged"
    assert "now: CREATE a" in str(done.runs[0].divergence)


def test_a_function_that_cannot_reach_its_postgresql_says_that_it_asked(tmp_path: Path) -> None:
    code = (
        "import os, psycopg\n\n\ndef run(event):\n    try:\n        psycopg.connect(os.environ['SHOP_DB'])\n"
        "    except psycopg.Error:\n        pass\n    return 1 / 0\n"
    )
    place = {"read": ["SHOP_DB"], "unset": [], "values": {"SHOP_DB": "postgresql://shop@127.0.0.1:1/shop"}}
    done = replayed(tmp_path, code, fixture("function", database=None, environment=place))
    assert done.outcome == "diverged"
    assert "now: a connection to PostgreSQL" in str(done.runs[0].divergence)


def test_a_ping_alone_is_no_question(tmp_path: Path) -> None:
    ping = {"seq": 0, "statement": "SELECT 1", "rows": [[1]], "columns": ["1"]}
    one = fixture(database={"dialect": "sqlite", "reads": [ping]})
    assert (one.untouched, one.missing) == (True, ())
    assert replayed(tmp_path, FASTAPI.replace("PRAGMA foreign_keys = ON", "SELECT 1"), one).outcome == "reproduced"


@pytest.mark.parametrize(
    "told",
    [
        {"reads": [{"seq": 0, "statement": "SELECT cents FROM prices"}]},
        {"writes": [{"seq": 0, "statement": "DELETE FROM prices"}]},
        {"rows": {"prices": [{"cents": 1}]}},
        {"incomplete": ["rows behind: SELECT 1"]},
    ],
)
def test_a_recording_that_says_untouched_and_tells_of_statements_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(errors.RecordingError, match="says that nothing was asked of it, and tells what was"):
        fixture(database={"dialect": "sqlite", "untouched": True, **told})


def test_a_mark_that_somebody_wrote_by_hand_shows_as_a_divergence(tmp_path: Path) -> None:
    code = FASTAPI.replace("    return {", '    db.execute("SELECT cents FROM prices")\n    return {')
    done = replayed(tmp_path, code, fixture(error={"type": "sqlite3.OperationalError", "message": "no such table"}))
    assert done.outcome == "diverged"


def test_a_snapshot_answers_though_nothing_was_asked() -> None:
    one = fixture(db_snapshot=f"blobs/{'a' * 64}.sqlite.xz")
    assert not one.untouched
    assert not one.missing


def test_the_mark_is_spelled_only_where_it_is_true() -> None:
    said = json.loads(spelling.spelling(fixture()))["database"]
    silent = json.loads(spelling.spelling(fixture(database={"dialect": "sqlite"})))["database"]
    assert said["untouched"] is True
    assert "untouched" not in silent


@pytest.mark.parametrize(
    "statement",
    [
        "", "SELECT 1", " select 1 ; ", "-- ping\nSELECT 1 AS alive", "/* by=shop */ SELECT 1 /* a */",
        "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK TO SAVEPOINT a", "SET search_path = shop",
        "SHOW transaction isolation level",
        "SELECT/* one */1", "COMMIT /* a; b */ -- c", "SET a = $$b$$", "/* 'x' */ SET a = 'b' /* c='d' */",
        "select pg_catalog.version()", "SELECT set_config('TimeZone', $1, false)", "PRAGMA journal_mode=WAL",
    ],
)  # fmt: skip
def test_what_pools_and_drivers_say_by_themselves_asks_nothing(statement: str) -> None:
    assert harmless(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM a", "SELECT 1; DELETE FROM a", "BEGIN; DELETE FROM a", "SELECT nextval('a')",
        "WITH a AS (SELECT 1)", "SELECT 1 /* */ FROM a /* */", "SET a = '--'; DELETE FROM a", "PRAGMA table_info(a)",
        "SELECT '/*' FROM a /* */", "/* /* */ COMMIT */ DELETE FROM a", "SET a = '/*'; DELETE FROM a -- */",
        "COMMIT -- /*\n; DELETE FROM a -- */", "SET a = $$/*$$; DELETE FROM a -- */", "SAVEPOINT [/*]; VACUUM -- */",
        "SET a = E'\\'/*'; DELETE FROM a -- */", "SAVEPOINT `/*`; DELETE FROM a -- */", 'SAVEPOINT "/*"; VACUUM -- */',
        "SELECT 1 UNION SELECT b FROM a", "EXPLAIN SELECT 1", "SELECT set_config('a', (SELECT b FROM c), false)",
    ],
)  # fmt: skip
def test_all_else_asks(statement: str) -> None:
    assert not harmless(statement)


@pytest.mark.parametrize(
    ("statement", "own"),
    [
        ("SELECT v FROM rates", True), ("(SELECT v FROM rates) UNION (SELECT 1)", True), ("TABLE rates", True),
        ("SELECT pg_fee FROM rates", True), ("SELECT fee FROM pg_rates", True), ("SELECT nextval('a')", True),
        ("SELECT v FROM rates WHERE name IN (SELECT name FROM sqlite_master)", True),
        ("SELECT name FROM main.sqlite_master", False), ('SELECT 1 FROM "pg_catalog"."pg_class"', False),
        ("SELECT oid FROM pg_type t JOIN LATERAL unnest(ARRAY[1]) u ON true", False),
        ("CREATE TABLE rates (v)", False), ("PRAGMA table_info(rates)", False),
    ],
)  # fmt: skip
def test_rows_of_the_services_own_tables_count_before_the_request(statement: str, own: bool) -> None:
    database = UntouchedDatabase(pytest.fail)
    assert database.refusal(statement) is None
    assert bool(database.early) is own


def test_psycopg2_is_heard_of_when_it_connects_whenever_that_is() -> None:
    heard: list[str] = []
    database, module = (
        UntouchedDatabase(heard.append),
        SimpleNamespace(connect=lambda place: place, OperationalError=ValueError),
    )
    untouched_postgres.install_psycopg2(module, database)
    assert module.connect("early") == "early"
    assert list(database.early) == ["a connection of psycopg2"]
    with database.during(asked_nothing=True), pytest.raises(ValueError, match="now: a connection of psycopg2"):
        module.connect("late")
    assert len(heard) == 1


def test_a_file_that_a_database_in_memory_took_in_before_the_request_makes_it_uncertified(tmp_path: Path) -> None:
    taken = 'MEMORY = sqlite3.connect(":memory:")\nMEMORY.execute("ATTACH ? AS shop", (os.environ["SHOP_DB"],))\n'
    done = replayed(tmp_path, FASTAPI.replace("app = FastAPI()", f"{taken}app = FastAPI()"), fixture())
    assert done.outcome == "uncertified"
    assert "ATTACH of a file before the request" in next(e.how for e in done.effects if e.seam == "database")


MEMORY = """\
    class Cursor(sqlite3.Cursor): pass
    class Connection(sqlite3.Connection): pass
    asked = []
    memory = sqlite3.connect(":memory:", 5.0, 0, None, True, Connection)
    memory.set_authorizer(lambda action, *_: asked.append(action) or sqlite3.SQLITE_OK)
    memory.execute("ATTACH ':memory:' AS other")
    memory.cursor(Cursor).execute("CREATE TABLE other.a (b)")
    memory.backup(sqlite3.Connection(":memory:"))
    assert (type(memory), type(memory.cursor()), sqlite3.SQLITE_ATTACH in asked) == (Connection, sqlite3.Cursor, True)
    return {"""


def test_a_service_keeps_its_own_authorizer_and_kinds_of_connections(tmp_path: Path) -> None:
    done = replayed(tmp_path, FASTAPI.replace("    return {", MEMORY), fixture())
    assert done.outcome == "reproduced", done.runs[0].divergence


def test_what_was_asked_is_told_without_its_values() -> None:
    assert summary("SELECT a FROM shop.cards WHERE number = '4111'") == "SELECT shop.cards"
    assert summary("/* hello */ INSERT INTO \"cards\" VALUES ('4111')") == "INSERT cards"
    assert summary("VACUUM") == "VACUUM"


@pytest.fixture
def told_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the recorder keeps of the database when this work fails."""
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.sqlite"))

    def run(work: Any, **settings: Any) -> Any:
        monkeypatch.setattr("shadowlab_recorder.front._default", None)
        recorder = shadowlab_recorder.configure(tmp_path / "recordings", **{"database": "SHOP_DB", **settings})

        def failing() -> None:
            work()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            shadowlab_recorder.record(failing)()
        (document,) = kept(recorder, tmp_path / "recordings")
        return document.get("database")

    return run


def connected(*statements: str) -> Any:
    def work() -> None:
        with sqlite3.connect(":memory:") as db:
            for each in statements:
                db.execute(each)

    return work


@pytest.mark.parametrize("statements", [(), ("PRAGMA foreign_keys = ON",)])
def test_the_recorder_says_that_nothing_was_asked(told_by: Any, statements: tuple[str, ...]) -> None:
    database = told_by(connected(*statements))
    assert (database["dialect"], database["untouched"]) == ("sqlite", True)


@pytest.mark.parametrize("statement", ["SELECT 1", "CREATE TABLE a (b)"])
def test_the_recorder_does_not_say_so_of_a_statement(told_by: Any, statement: str) -> None:
    assert "untouched" not in told_by(connected(statement))


@pytest.mark.parametrize("place", ["mysql://shop/shop", "oracle+oracledb://shop", "mongodb://shop/shop"])
def test_the_recorder_does_not_speak_of_a_database_that_it_cannot_hear(
    told_by: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("SHOP_DB", place)
    assert told_by(lambda: None) is None


def test_the_recorder_says_nothing_where_no_database_was_named(told_by: Any) -> None:
    assert told_by(lambda: None, database=None) is None


def test_the_recorder_says_nothing_after_a_driver_that_it_cannot_hear(
    told_by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shadowlab_recorder.database_unseen.somewhere", {"database (pyodbc)"})
    assert told_by(lambda: None) is None


@pytest.mark.parametrize("place", ["postgresql+psycopg://shop@db/shop", "postgres://db/shop", "host=db dbname=shop"])
def test_the_recorder_knows_postgresql_by_its_address(
    told_by: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("SHOP_DB", place)
    database = told_by(lambda: importlib.import_module("psycopg"))
    assert (database["dialect"], database["untouched"]) == ("postgresql", True)
    assert place not in json.dumps(database)


APP = f"""\
import shadowlab_recorder
{FASTAPI}
app = shadowlab_recorder.record(app, directory="recordings", database="SHOP_DB", environment=("SHOP_DB",))
"""
POSTGRES_APP = APP.replace(FASTAPI, POSTGRES)
ASK = """\
import asyncio, httpx, sys, app


async def ask():
    transport = httpx.ASGITransport(app.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return (await client.post("/price/9")).status_code


asyncio.run(ask())
assert asyncio.run(ask()) == 500
"""
"""Twice: an engine's first connection asks the server who it is."""


def lived(folder: Path, code: str, place: str) -> Path:
    """Recordings of a service that really ran, the last request's alone."""
    folder.mkdir()
    (folder / "app.py").write_text(code)
    (folder / "ask.py").write_text(ASK)
    environment = {"PATH": "/usr/bin:/bin", "SHOP_DB": place, "PYTHONPATH": ":".join([".", *sys.path])}
    subprocess.run([sys.executable, "ask.py"], cwd=folder, env=environment, check=True)
    documents = [json.loads(each.read_bytes()) for each in folder.glob("recordings/*.json")]
    first, last = sorted(documents, key=lambda each: each["time"])
    (folder / "recordings" / f"{first['id']}.json").unlink()
    jsonschema.validate(last, SCHEMA)
    return folder / "recordings"


def through_pytest(folder: Path, done: Replay, case: Any, source: Any) -> int:
    test, *_ = replay.to_pytest(case, done, source, out=source.path)
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)], cwd=source.path,
                         capture_output=True, text=True)  # fmt: skip
    assert "ZeroDivisionError" in ran.stdout or ran.returncode == 0, ran.stdout
    return ran.returncode


def lived_again(folder: Path, code: str, place: str) -> None:
    """Recorded, replayed, asked more than it was, and written as a test that is red, and green when it is mended."""
    case, written = open_case(folder / "case"), lived(folder / "live", code, place)
    (one,) = recording.take_in(case, [written]).recordings
    assert one.missing == ()
    assert recording.load(case, one.id).untouched
    source = source_of(folder / "tree", "asgi", code)
    done = replay.replay(case, [one.id], source=source, revision="HEAD")
    assert done.outcome == "reproduced", done.runs[0].divergence or [effect.how for effect in done.effects]
    assert through_pytest(folder, done, case, source) == 1
    place_of_app = source.path / "app.py"
    place_of_app.write_text(code.replace("cents / (cents - cents)", "cents / 100"))
    assert through_pytest(folder, done, case, source) == 0
    asked = '"SELECT cents FROM prices"'
    asks = f"sa.text({asked})" if "sa." in code else asked
    swallows = f"    try:\n        db.execute({asks})\n    except Exception:\n        pass\n    return {{"
    other = source_of(folder / "other", "asgi", code.replace("    return {", swallows))
    now = replay.replay(case, [one.id], source=other, revision="HEAD")
    assert now.outcome == "diverged"
    assert "now: SELECT prices" in str(now.runs[0].divergence)


def test_a_service_on_sqlite_lives_again_without_its_database(tmp_path: Path) -> None:
    lived_again(tmp_path, APP, str(tmp_path / "shop.sqlite"))


@pytest.mark.slow
@pytest.mark.parametrize("pings", [True, False])
def test_a_service_on_postgresql_lives_again_without_its_database(tmp_path: Path, pings: bool) -> None:
    with postgres.serving() as conninfo:
        parts = dict(each.split("=") for each in conninfo.split())
        place = f"postgresql+psycopg://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
        lived_again(tmp_path, POSTGRES_APP.replace("pool_pre_ping=True", f"pool_pre_ping={pings}"), place)
