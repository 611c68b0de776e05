"""Kill it, fill its disk: what was acknowledged is there, and the case opens."""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import otlp
import pytest
from sending import Running, fetch, receiving_apart

import shadowlab as sl
from shadowlab import live
from shadowlab.audit import verify
from shadowlab.case import open_case
from shadowlab.telemetry.receiver import place


def _names(path: Path) -> set[str]:
    return {row["name"] for row in sl.open(path).sql("SELECT name FROM spans").rows()}


def _send(running: Running, name: str) -> bool:
    body = json.dumps(otlp.traces([otlp.span(1 + abs(hash(name)) % 10**9, name=name)])).encode()
    try:
        return running.post("/v1/traces", body)[0] == 200
    except OSError:
        return False


def _acknowledged_until_killed(path: Path, seconds: float) -> set[str]:
    """Four clients send as fast as they can; after `seconds` the receiver is gone."""
    kept: set[str] = set()
    with receiving_apart(path) as running:
        over = threading.Event()

        def client(number: int) -> None:
            for count in range(100_000):
                name = f"{time.monotonic_ns()}-{number}-{count}"
                if over.is_set() or not _send(running, name):
                    return
                kept.add(name)

        with ThreadPoolExecutor(4) as pool:
            for number in range(4):
                pool.submit(client, number)
            time.sleep(seconds)
            running.process.send_signal(signal.SIGKILL)
            over.set()
    return kept


def test_killed_while_it_receives_it_loses_nothing_that_it_acknowledged(tmp_path):
    path = tmp_path / "case"
    kept = _acknowledged_until_killed(path, 2.3)
    assert len(kept) > 20
    inv = sl.open(path)
    live.take_in_log(inv.case)
    assert kept <= _names(path)
    assert inv.ledger[-1]["verb"] == "recover"
    assert str(verify.verify(inv.case).verdict) == "pass"


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing(tmp_path):
    path = tmp_path / "case"
    kept: set[str] = set()
    for step in range(12):
        kept |= _acknowledged_until_killed(path, 0.9 + 0.17 * step)
    live.take_in_log(sl.open(path).case)
    assert kept <= _names(path)
    rows = sl.open(path).sql("SELECT count(*) AS n, count(DISTINCT row_id) AS d FROM spans").rows()[0]
    assert rows["n"] == rows["d"]


_KILLED_BEFORE_THE_LOG_IS_DROPPED = """
import os, sys
from pathlib import Path
from shadowlab.case import open_case
from shadowlab.telemetry import receiver
from shadowlab.telemetry.receiver import drain

Path.unlink = lambda self, missing_ok=False: os.kill(os.getpid(), 9)
receiver.recover(open_case(sys.argv[1]))
"""


def test_killed_between_the_segment_and_the_log_it_keeps_every_row_once(tmp_path):
    path = tmp_path / "case"
    with receiving_apart(path) as running, open_case(path).writing("keep it from draining"):
        for number in range(10):
            assert _send(running, f"GET /{number}")
        running.process.kill()
    died = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_THE_LOG_IS_DROPPED, str(path)], check=False)
    assert died.returncode == -9
    assert list((path / "telemetry").glob("0*.duckdb"))
    assert list((path / "telemetry" / "incoming").glob(".0*"))
    live.take_in_log(sl.open(path).case)
    assert sl.open(path).sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 10}]


def _files(path: Path) -> dict[str, tuple[int, int]]:
    seen = ((place, place.stat()) for place in path.rglob("*") if place.is_file())
    return {str(place): (stat.st_mtime_ns, stat.st_size) for place, stat in seen}


def test_what_a_killed_receiver_acknowledged_is_seen_at_once_and_nothing_is_written(tmp_path):
    path = tmp_path / "case"
    mail = otlp.span(1, trace="b" * 32, name="GET /mail", user__email="ann@example.org")
    sl.open(path).ingest(otlp.lines(tmp_path / "a.jsonl", otlp.traces([mail])))
    with receiving_apart(path) as running, open_case(path).writing("keep it from draining"):
        body = otlp.traces([otlp.span(2, name="GET /late", user__email="ann@example.org"), mail])
        assert running.post("/v1/traces", json.dumps(body).encode())[0] == 200
        running.process.kill()
        running.process.wait()
    before = _files(path)
    inv = sl.open(path)
    told = inv.sql("SELECT name, attributes['user.email'] AS e FROM spans ORDER BY name").rows()
    assert [row["name"] for row in told] == ["GET /late", "GET /mail"]
    assert len({row["e"] for row in told}) == 1
    assert inv.trace(otlp.TRACE).spans[0].name == "GET /late"
    assert inv.show().document["spans"] == 2
    assert len(inv.contrast("name = 'GET /late'").rows()) > 0
    assert _files(path) == before
    live.take_in_log(inv.case)
    assert inv.sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 2}]


@pytest.mark.parametrize("where", [".", "records/.."])
def test_it_is_seen_from_within_the_case_too(tmp_path, monkeypatch, where):
    path = tmp_path / "case"
    with receiving_apart(path) as running, open_case(path).writing("keep it from draining"):
        assert _send(running, "GET /late")
        running.process.kill()
        running.process.wait()
    monkeypatch.chdir(path)
    assert _names(Path(where)) == {"GET /late"}
    assert sl.open(where).show().document["case"] == "case"


def test_a_receiver_at_work_is_known_by_its_lock(tmp_path):
    case = open_case(tmp_path / "case")
    assert not place.is_held(case)
    with place.held(case, "the test"):
        assert place.is_held(case)
    assert not place.is_held(case)


def test_the_next_ingest_takes_the_log_in(tmp_path):
    path = tmp_path / "case"
    with receiving_apart(path) as running, open_case(path).writing("keep it from draining"):
        assert _send(running, "GET /late")
        running.process.kill()
        running.process.wait()
    done = sl.open(path).ingest(otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1, name="GET /file")])))
    assert done.spans == 1
    assert _names(path) == {"GET /late", "GET /file"}
    assert [entry["verb"] for entry in sl.open(path).ledger] == ["recover", "ingest"]


def test_terminated_it_drains_says_what_it_gained_and_writes_the_ledger(tmp_path):
    path = tmp_path / "case"
    with receiving_apart(path, "--json") as running:
        assert _send(running, "GET /last")
        running.stop()
        out, _ = running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert json.loads(out)["spans"] == 1
    entry = sl.open(path).ledger[-1]
    assert (entry["verb"], list(entry["files"])) == (
        "receive",
        ["telemetry/000001-telemetry.duckdb", "telemetry/manifest.json"],
    )
    assert str(verify.verify(open_case(path)).verdict) == "pass"


def test_another_process_is_refused_with_the_holders_number(tmp_path):
    with receiving_apart(tmp_path / "case") as running:
        command = [sys.executable, "-m", "shadowlab", "receive", str(tmp_path / "case"), "--http", "127.0.0.1:0"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (second.returncode, second.stdout) == (2, "")
    assert f"is being received into by process {running.process.pid} " in second.stderr


def test_verbs_look_at_the_case_while_it_receives(tmp_path):
    path = tmp_path / "case"
    with receiving_apart(path) as running:
        for number in range(3):
            assert _send(running, f"GET /{number}")
            time.sleep(1.2)
        deadline = time.monotonic() + 30
        while len(_names(path)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _names(path) == {"GET /0", "GET /1", "GET /2"}
        running.stop()
        running.process.wait(60)
    assert str(verify.verify(open_case(path)).verdict) == "pass"


def _small_files() -> None:
    """No file may grow beyond 1.5 MB: what a full disk looks like to a process, without being root."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))


def test_where_nothing_more_fits_clients_are_told_to_come_again_and_kept_is_kept(tmp_path):
    path = tmp_path / "case"
    big = json.dumps(otlp.traces([otlp.span(n, name=f"GET /{n}", text="x" * 2000) for n in range(1, 1001)])).encode()
    with receiving_apart(path, before=_small_files) as running:
        status, _, headers = running.post("/v1/traces", big)
        assert (status, "Retry-After" in headers) == (503, True)
        assert json.loads(fetch(f"{running.http}/healthz")[1])["last_error"] == "the disk is full"
        assert fetch(f"{running.http}/healthz")[0] == 503
        assert _send(running, "GET /small")
        assert fetch(f"{running.http}/healthz")[0] == 200
        running.process.kill()
    live.take_in_log(sl.open(path).case)
    assert _names(path) == {"GET /small"}
