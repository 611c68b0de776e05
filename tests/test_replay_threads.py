"""Threads in lock-step: a seed finds the order that fails, and it fails again every time."""

import gzip
import json
import shutil
from pathlib import Path

import orders
import pytest
from msgspec.structs import replace

import shadowlab as sl
from shadowlab.incidents import build_source, bundled
from shadowlab.replay import Runner, Search, take_in
from shadowlab.replay.fixture import Fixture, Schedule, parse

TOML = '[service]\nname = "it"\nentrypoint = "main:run"\nkind = "function"\n'
LOST = """\
import threading

left = 3


def buy(n):
    global left
    left = left - 1


def run(event):
    threads = [threading.Thread(target=buy, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if left != 1:
        raise RuntimeError(f"{left} left")
    return left
"""
LOCKED = LOST.replace("left = 3\n", "left = 3\nlock = threading.Lock()\n").replace(
    "    left = left - 1\n", "    with lock:\n        left = left - 1\n"
)
POOL = """\
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor

jobs, told = queue.Queue(), []
ready = threading.Condition()


def work(n):
    time.sleep(n / 10)
    with ready:
        told.append(n)
        ready.notify_all()
    jobs.put(n)


def run(event):
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(work, n) for n in (3, 1, 2)]
        with ready:
            ready.wait_for(lambda: len(told) == 3, timeout=9)
        late = threading.Event().wait(5)
    return [told, sorted(jobs.get() for _ in done), late, [each.done() for each in done]]
"""
DEADLOCK = """\
import threading

one, two = threading.Lock(), threading.Lock()


def move(first, second):
    with first:
        with second:
            pass


def run(event):
    threads = [threading.Thread(target=move, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "moved"
"""
WEB = """\
import threading
from fastapi import FastAPI

app = FastAPI()
seats = {"free": 1, "sold": 0}


def sell():
    if seats["free"]:
        seats["free"] -= 1
        seats["sold"] += 1


@app.get("/")
def buy():
    other = threading.Thread(target=sell)
    other.start()
    sell()
    other.join()
    assert seats["sold"] == 1, "sold twice"
    return seats
"""


def runner(folder: Path, code: str, toml: str = TOML) -> Runner:
    source = orders.repository(folder / "tree", {"shadowlab.toml": toml, "main.py": code})
    return Runner(source.path, source.service("HEAD"))


def asked(kind: str = "function") -> Fixture:
    request = {"method": "GET", "path": "/", "body": {}}
    return parse({"request": request, "kind": kind, "time": "2026-01-01T00:00:00Z"}, where="x")


def test_a_lost_update_is_found_and_fails_again_every_time(tmp_path: Path) -> None:
    with runner(tmp_path, LOST) as made:
        search = Search(made, asked()).run(200)
        assert search.found is not None
        assert search.first.body == b"1"
        again = made.run(search.found, repeats=4)
    assert {run.error.message if run.error else None for run in again} == {"2 left"}
    assert len({run.digest for run in again}) == 1
    assert not any(run.events for run in again)


def test_a_lock_holds_in_every_order(tmp_path: Path) -> None:
    with runner(tmp_path, LOCKED) as made:
        search = Search(made, asked()).run(60)
    assert (search.found, search.outcomes) == (None, {"returned": 61})


def test_two_locks_in_two_orders_are_a_deadlock_and_not_a_hang(tmp_path: Path) -> None:
    with runner(tmp_path, DEADLOCK) as made:
        search = Search(made, asked()).run(200)
    assert search.other is not None
    assert search.other.error is not None
    assert search.other.error.message == "the threads of this request wait for each other"


def test_jobs_of_a_pool_are_ordered_where_a_request_uses_one(tmp_path: Path) -> None:
    start, end = LOST.index("    threads = ["), LOST.index("    if left")
    pooled = (
        LOST[:start] + "    with ThreadPoolExecutor() as pool:\n        list(pool.map(buy, range(2)))\n" + LOST[end:]
    )
    code = pooled.replace("import threading\n", "from concurrent.futures import ThreadPoolExecutor\n")
    with runner(tmp_path, code) as made:
        search = Search(made, asked()).run(200)
    assert search.other is not None
    assert search.other.error is not None
    assert search.other.error.message == "2 left"


@pytest.mark.parametrize("seed", [0, 5])
def test_pools_queues_conditions_and_sleeps_pass_in_virtual_time(tmp_path: Path, seed: int) -> None:
    with runner(tmp_path, POOL) as made:
        ordered = replace(asked(), schedule=Schedule(seed=seed, depth=3, steps=100, threads=True))
        first, second, twin = made.run(ordered, repeats=2)
    assert first.body == b"[[1, 2, 3], [1, 2, 3], false, [true, true, true]]", first.reason
    assert first.digest == second.digest == twin.digest


def test_threads_of_an_endpoint_are_ordered_too(tmp_path: Path) -> None:
    toml = TOML.replace("main:run", "main:app").replace("function", "asgi")
    with runner(tmp_path, WEB, toml) as made:
        search = Search(made, asked("asgi")).run(200)
        assert search.found is not None
        again = made.run(search.found, repeats=2)
    assert {run.error.message if run.error else None for run in again} == {"sold twice"}


def one_after_another(incident: Path, folder: Path) -> Path:
    """An incident's recordings with answers that take so long that no two lines are bought at the same time."""
    shutil.copytree(incident / "blobs", folder / "blobs")
    told = [json.loads(line) for line in gzip.decompress((incident / "recordings.jsonl.gz").read_bytes()).splitlines()]
    for call in (call for recording in told for call in recording["outbound"]):
        call["started_ms"], call["elapsed_ms"] = None, 100.0 * (call["seq"] + 1) if call["method"] == "GET" else 1.0
    (folder / "tapes.jsonl").write_text("".join(json.dumps(recording) + "\n" for recording in told))
    return folder / "tapes.jsonl"


@pytest.mark.slow
def test_the_bundled_race_whose_calls_have_recorded_starts_fails_again_as_it_is(tmp_path: Path) -> None:
    place = bundled("payments-decimal").parent / "budgets-race"
    inv = sl.open(tmp_path / "case", source=build_source(place, tmp_path / "source").path)
    take_in(inv.case, [place / "recordings.jsonl.gz"])
    tapes = tuple(tape.id for tape in inv.recordings if tape.failed)
    assert inv.replay(recordings=tapes, times=2 * len(tapes)).outcome == "reproduced"


@pytest.mark.slow
def test_the_bundled_race_that_first_come_hides_is_found_by_a_seed(tmp_path: Path) -> None:
    place = bundled("payments-decimal").parent / "budgets-race"
    inv = sl.open(tmp_path / "case", source=build_source(place, tmp_path / "source").path)
    take_in(inv.case, [one_after_another(place, tmp_path / "tapes")])
    failed = tuple(tape.id for tape in inv.recordings if tape.failed)
    assert inv.replay(recordings=failed[:1]).outcome == "diverged"
    order = inv.explore(failed[0])
    assert (order.first, order.other) == ("201", "500 sqlalchemy.exc.IntegrityError")
    again = inv.replay(recordings=(order.found,), times=6).raise_for_divergence()
    assert "CHECK constraint failed: balanced" in again.error.message
