"""A replay of a service on PostgreSQL as plain pytest: it brings the database that the request found."""

import json
import subprocess
import sys
from pathlib import Path

import orders
import pytest
from test_replay_databases import ROWS, TOML, recorded
from test_replay_pytest import pytest_in

from shadowlab import replay
from shadowlab.case import open_case
from shadowlab.incidents import build_source, bundled
from shadowlab.replay import recording

DIVIDED = """\
import os, psycopg


def run(event):
    with psycopg.connect(host=os.environ["DB_HOST"], dbname=os.environ["DB_NAME"]) as db:
        rate, at = db.execute("SELECT v, now() FROM rates WHERE name = %s", (event["name"],)).fetchone()
        (number,) = db.execute("INSERT INTO rates (name, v) VALUES ('usd', 2) RETURNING id").fetchone()
    assert (str(rate), number) == ("1.2500", 41), (rate, number)
    raise LookupError(f"{at:%Y-%m-%d %H:%M:%S.%f}")
"""


def written(folder: Path) -> Path:
    """The test of a function that fails after it has read and written rows; its tree."""
    source = orders.repository(folder / "tree", {"shadowlab.toml": TOML, "main.py": DIVIDED})
    told = {"environment": {"read": ["DB_HOST", "DB_NAME", "PGSSLMODE"], "values": {}}, "db_environment": None}
    case = open_case(folder / "case")
    kept = recording.keep(case, recorded(ROWS, **told))
    done = replay.replay(case, [kept.id], source=source, revision="HEAD")
    replay.to_pytest(case, done, source, out=source.path)
    return source.path


@pytest.mark.slow
def test_the_written_test_brings_the_recorded_rows_and_the_recorded_time(tmp_path: Path) -> None:
    told = pytest_in(written(tmp_path))
    assert "LookupError: 2026-05-04 10:00:00.123456" in told.stdout, told.stdout


@pytest.mark.slow
def test_without_postgresql_the_written_test_says_what_to_install(tmp_path: Path) -> None:
    tree = written(tmp_path)
    (test,) = (tree / "tests/replay").glob("test_*.py")
    test.write_text(test.read_text().replace('"/usr/lib/postgresql"', f'"{tmp_path}"'))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    told = subprocess.run(words, cwd=tree, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert told.returncode == 1
    assert "PostgreSQL is not installed" in told.stdout
    assert "apt install postgresql" in told.stdout


@pytest.mark.slow
def test_the_incident_on_postgresql_becomes_a_test_that_is_red_before_the_fix_and_green_after(tmp_path: Path) -> None:
    folder = bundled("loyalty-overflow")
    case, source = open_case(tmp_path / "case"), build_source(folder, tmp_path / "source")
    replay.take_in(case, [folder / "recordings.jsonl.gz"])
    failed = [tape.id for tape in replay.listed(case) if tape.failed][:2]
    done = replay.replay(case, failed, source=source, revision="HEAD", times=4)
    test, *beside = replay.to_pytest(case, done, source, out=source.path)
    assert [json.loads(place.read_text())["id"] for place in beside] == failed
    for words in (["check", "--select", "E,F,I,B,UP,SIM,PT"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length", "120", str(test)]
        assert subprocess.run(line, capture_output=True).returncode == 0
    red = pytest_in(source.path)
    assert (red.returncode, "2 failed" in red.stdout) == (1, True), red.stdout
    assert "NumericValueOutOfRange: integer out of range" in red.stdout
    store = source.path / "loyalty/store.py"
    store.write_text(store.read_text().replace("%s * rate_bp", "%s::bigint * rate_bp"))
    green = pytest_in(source.path)
    assert green.returncode == 0, green.stdout
