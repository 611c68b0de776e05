"""A replay as plain pytest: red before the fix and green after, without shadowlab."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import orders
import pytest

from shadowlab import errors, replay
from shadowlab.case import Case, open_case
from shadowlab.records import Replay
from shadowlab.source import Source


def replayed(folder: Path) -> tuple[Case, Source, Replay]:
    case = open_case(folder / "case")
    source = orders.repository(folder / "shop")
    replay.take_in(case, [orders.written(folder / "tapes", orders.document(1))])
    done = replay.replay(case, [f"{1:032x}"], source=source, revision="HEAD", suspect="a1b2c3d4e5f60718")
    return case, source, done


def pytest_in(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the folder's tests where shadowlab cannot be imported."""
    (folder / "conftest.py").write_text("import sys\n\nsys.modules['shadowlab'] = None\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, env=os.environ | variables)


def test_a_replay_becomes_plain_pytest_that_is_red_before_the_fix_and_green_after(tmp_path: Path) -> None:
    case, source, done = replayed(tmp_path)
    test, *beside = replay.to_pytest(case, done, source, out=source.path)
    assert test == source.path / "tests/replay/test_a1b2c3d4e5f60718.py"
    assert [path.suffix for path in beside] == [".json", ".xz"]
    red = pytest_in(source.path)
    assert red.returncode == 1
    assert f"TypeError: {orders.DECIMAL}" in red.stdout
    replay.apply(source.path, orders.FIX)
    green = pytest_in(source.path)
    assert (green.returncode, "1 passed" in green.stdout) == (0, True), green.stdout
    assert "freeze_time" in test.read_text()
    assert "import shadowlab" not in test.read_text()


def test_a_written_test_that_somebody_edited_stays_as_it_is(tmp_path: Path) -> None:
    case, source, done = replayed(tmp_path)
    test, *_ = replay.to_pytest(case, done, source, out=tmp_path / "out")
    head, _, rest = test.read_text().partition("\n")
    older = rest + "\n\n# As an older shadowlab wrote it.\n"
    test.write_text(f"{head.rpartition(' ')[0]} {hashlib.sha256(older.encode()).hexdigest()}\n{older}")
    replay.to_pytest(case, done, source, out=tmp_path / "out")
    assert test.read_text() == f"{head}\n{rest}"
    test.write_text(f"{head}\n{rest}\n\n# Ours by now.\n")
    with pytest.raises(errors.RecordingError, match="is not as it was written"):
        replay.to_pytest(case, done, source, out=tmp_path / "out")
    assert test.read_text().endswith("# Ours by now.\n")


def test_rows_of_a_file_that_nobody_named_become_the_written_test_s_own_copy(tmp_path: Path) -> None:
    place = tmp_path / "production" / "shop.db"
    code = (
        "import sqlite3\nfrom flask import Flask, request\n\napp = Flask(__name__)\n\n\n@app.post('/orders')\n"
        f"def order():\n    with sqlite3.connect({str(place)!r}) as db:\n"
        "        price, = db.execute('SELECT price FROM items WHERE name = ?', (request.json['item'],)).fetchone()\n"
        "    return {'each': price / request.json['n']}\n"
    )
    toml = '[service]\nname = "orders"\nentrypoint = "app:app"\nkind = "wsgi"\n'
    source = orders.repository(tmp_path / "shop", {"shadowlab.toml": toml, "app.py": code})
    rows = {"dialect": "sqlite", "schema": ["CREATE TABLE items (name TEXT PRIMARY KEY, price REAL)"],
            "rows": {"items": [{"name": "tea", "price": 9.5}]}}  # fmt: skip
    error = {"type": "ZeroDivisionError", "message": "float division by zero", "frames": []}
    request = {**orders.document()["request"], "body": {"item": "tea", "n": 0}}
    told = orders.document(1, db_snapshot=None, db_environment=None, database=rows, kind="wsgi", outbound=[],
                           request=request, error=error, response=None,
                           environment={"read": [], "values": {}})  # fmt: skip
    case = open_case(tmp_path / "case")
    replay.take_in(case, [orders.written(tmp_path / "tapes", told)])
    done = replay.replay(case, [f"{1:032x}"], source=source, revision="HEAD")
    assert done.error is not None
    assert done.error.type == "ZeroDivisionError"
    replay.to_pytest(case, done, source, out=source.path)
    place.parent.mkdir()
    place.write_bytes(b"somebody's own")
    assert "ZeroDivisionError: float division by zero" in pytest_in(source.path).stdout
    (source.path / "app.py").write_text(code.replace("request.json['n']}", "(request.json['n'] or 1)}"))
    green = pytest_in(source.path)
    assert (green.returncode, "1 passed" in green.stdout) == (0, True), green.stdout
    assert place.read_bytes() == b"somebody's own"


def test_a_written_test_lives_in_the_recorded_time_zone_and_leaves_it_again(tmp_path: Path) -> None:
    files = {
        "shadowlab.toml": '[service]\nname = "jobs"\nentrypoint = "job:run"\nkind = "function"\n',
        "job.py": "import datetime\n\n\ndef run(event):\n    hour = datetime.datetime.now().hour\n"
        "    raise ValueError(f'{hour} here, {datetime.datetime.fromtimestamp(0).hour} then')\n",
    }
    source = orders.repository(tmp_path / "jobs", files)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"time": "2026-01-05T22:30:00Z", "versions": {"time_zone": "Asia/Tokyo"},
                                 "error": {"type": "ValueError", "message": "7 here, 9 then"},
                                 "request": {"method": "CALL", "path": "job:run", "body": {}}}))  # fmt: skip
    case = open_case(tmp_path / "case")
    replay.take_in(case, [event])
    (kept,) = case.recordings.glob("*.json")
    done = replay.replay(case, [kept.stem], source=source, revision="HEAD")
    assert done.error is not None
    assert done.error.message == "7 here, 9 then"
    test, *_ = replay.to_pytest(case, done, source, out=source.path)
    test.with_name("test_zone.py").write_text(
        "import time\n\n\ndef test_the_zone_is_the_old_one():\n    assert time.timezone == 18000\n"
    )
    run = pytest_in(source.path, TZ="EST5")
    assert "ValueError: 7 here, 9 then" in run.stdout, run.stdout
    assert "1 failed, 1 passed" in run.stdout


def test_the_written_test_is_tidy(tmp_path: Path) -> None:
    case, source, done = replayed(tmp_path)
    test, *_ = replay.to_pytest(case, done, source, out=tmp_path / "out")
    for words in (["check", "--select", "E,F,I,B,UP,SIM,PT"], ["format", "--check"]):
        checked = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length", "120", str(test)], capture_output=True
        )
        assert checked.returncode == 0, checked.stdout


def test_a_hostile_recording_cannot_write_code_into_the_test(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    source = orders.repository(tmp_path / "shop")
    path = '/x"""\nimport os; os.mkdir("pwned")\n"""@ENTRYPOINT@'
    request = {**orders.document(1)["request"], "path": path}
    replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1, request=request))])
    done = replay.replay(case, [f"{1:032x}"], source=source, revision="HEAD")
    test, *_ = replay.to_pytest(case, done, source, out=tmp_path / "out")
    compile(test.read_text(), str(test), "exec")
    assert "\nimport os" not in test.read_text()


def test_an_event_becomes_a_recording_and_a_test(tmp_path: Path) -> None:
    files = {
        "shadowlab.toml": '[service]\nname = "jobs"\nentrypoint = "job:run"\n',
        "job.py": "def run(event):\n    return {'share': event['part'] / event['whole']}\n",
    }
    source, case = orders.repository(tmp_path / "jobs", files), open_case(tmp_path / "case")
    (tmp_path / "event.json").write_text(json.dumps({"part": 1, "whole": 0}))
    made = replay.from_event(case, tmp_path / "event.json", source=source)
    assert (made.kind, made.summary) == ("function", "CALL job:run -> no response")
    done = replay.replay(case, [made.id], source=source, revision="HEAD")
    assert (done.outcome, done.reproduced) == ("reproduced", 2)
    assert done.error is not None
    assert (done.error.type, done.error.message) == ("ZeroDivisionError", "division by zero")
    replay.to_pytest(case, done, source, out=source.path)
    assert "ZeroDivisionError" in pytest_in(source.path).stdout


def test_an_event_finds_its_database_by_its_name(tmp_path: Path) -> None:
    code = (
        "import os, sqlite3\n\n\ndef run(event):\n    with sqlite3.connect(event['db_snapshot']) as db:\n"
        "        db.execute('INSERT INTO orders (item) VALUES (1)')\n"
        "        return [db.execute('SELECT name FROM items').fetchone()[0], os.environ['JOBS_DB'][-14:]]\n"
    )
    toml = '[service]\nname = "jobs"\nentrypoint = "job:run"\nenvironment = ["KEY", "JOBS_DB"]\n'
    source = orders.repository(tmp_path / "jobs", {"shadowlab.toml": toml, "job.py": code})
    case = open_case(tmp_path / "case")
    orders.database(tmp_path / "snap.sqlite")
    (tmp_path / "event.json").write_text(json.dumps({"request": {}, "db_snapshot": "snap.sqlite"}))
    made = replay.load(case, replay.from_event(case, tmp_path / "event.json", source=source).id)
    with replay.Runner(source.path, source.service("HEAD"), snapshots=lambda f: replay.snapshot(case, f)) as runner:
        run = runner.run(made, repeats=1, perturb=False)[0]
    assert json.loads(run.body) == ["tea", "/replay.sqlite"]
    assert run.database == {"orders": (1, 0)}


def test_a_function_s_session_answers_from_the_fixtures(tmp_path: Path) -> None:
    files = {
        "shadowlab.toml": '[service]\nname = "jobs"\nentrypoint = "job:run"\n',
        "job.py": (
            "import random, time\n\n\ndef run(event, session):\n"
            "    rate = session.get('http://rates/eur', params={'day': 'mon'}).json()['rate']\n"
            "    return {'sum': event['n'] * rate, 'at': time.time(), 'luck': random.random()}\n"
        ),
    }
    source, case = orders.repository(tmp_path / "jobs", files), open_case(tmp_path / "case")
    (tmp_path / "event.json").write_text('{"n": 3}')
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls/rate.json").write_text(json.dumps({"url": "http://rates/eur?day=mon", "body": {"rate": 2}}))
    made = replay.from_event(case, tmp_path / "event.json", source=source, fixtures=tmp_path / "calls")
    with replay.Runner(source.path, source.service("HEAD")) as runner:
        run = runner.run(replay.load(case, made.id), repeats=1, perturb=False)[0]
    assert json.loads(run.body) == {"sum": 6, "at": 1735689600.0, "luck": 0.6177528569514706}
