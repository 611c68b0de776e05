"""Crash dumps become log records with frames; recordings of profilers are kept as they are."""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from shadowlab import telemetry
from shadowlab.case import Case, open_case

PY_SPY = """Process 4711: python -m shop
Python v3.11.7 (/usr/bin/python3.11)

Thread 4711 (idle): "MainThread"
    select (selectors.py:468)
    serve (shop/server.py:31)
    <module> (shop/__main__.py:4)
Thread 4712 (active)
    price (shop/orders.py:12)
"""
GO = """panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.price(0xc000012345, 0x3)
\t/srv/shop/orders.go:12 +0x1d
main.main()
\t/srv/shop/main.go:7 +0x20

goroutine 18 [chan receive, 2 minutes]:
shop/queue.(*Queue).Wait(0xc0000b6000)
\t/srv/shop/queue/queue.go:40 +0x6b
created by shop/queue.New in goroutine 1
\t/srv/shop/queue/queue.go:21 +0x9c
"""
JAVA = """2026-03-10 11:00:00
Full thread dump OpenJDK 64-Bit Server VM (17.0.9+9 mixed mode):

"main" #1 prio=5 os_prio=0 cpu=1.2ms elapsed=3s tid=0x00007f nid=0x1b runnable  [0x00007f1]
   java.lang.Thread.State: RUNNABLE
\tat com.shop.Orders.price(Orders.java:12)
\tat com.shop.Main.main(Main.java:7)

"GC Thread#0" os_prio=0 cpu=0.1ms tid=0x00007e nid=0x1c runnable
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(tmp_path / "case")


def _threads(case: Case, path: Path) -> list[dict[str, object]]:
    done = telemetry.ingest(case, [path])
    assert [f.format for f in done.files] == ["crash-dump"]
    query = """SELECT attributes['crash.kind'] AS kind, attributes['thread.name'] AS thread,
        attributes['crash.frames'] AS frames, exception_message, stack FROM logs
        ORDER BY thread IN ('1', 'main', '4711') DESC"""
    with telemetry.store(case) as store:
        return [{**row, "frames": json.loads(str(row["frames"]))} for row in store.sql(query).rows()]


_DUMPED = """
import faulthandler, sys, threading
inside, waiting = threading.Event(), threading.Event()
def waits():
    inside.set()
    waiting.wait()
def dumps():
    with open(sys.argv[1], "w") as out:
        faulthandler.dump_traceback(out, all_threads=True)
threading.Thread(target=waits).start()
inside.wait()
dumps()
waiting.set()
"""
"""A process of its own: of a hundred threads, which other tests may have left in ours, the oldest is not dumped."""


def test_faulthandlers_own_dump_is_read(case, tmp_path):
    path = tmp_path / "crash.txt"
    subprocess.run([sys.executable, "-c", _DUMPED, path], check=True)
    threads = _threads(case, path)
    assert {row["kind"] for row in threads} == {"python-faulthandler"}
    functions = [[frame["function"] for frame in row["frames"]] for row in threads]
    assert any(names[-1] == "dumps" for names in functions)
    assert any("waits" in names for names in functions)


@pytest.mark.parametrize(
    ("text", "kind", "count", "outermost", "innermost"),
    [
        (PY_SPY, "py-spy", 2, ("<module>", 4), ("select", 468)),
        (GO, "go-panic", 2, ("main.main", 7), ("main.price", 12)),
        (JAVA, "java-thread-dump", 2, ("com.shop.Main.main", 7), ("com.shop.Orders.price", 12)),
    ],
)
def test_other_dumps_are_read_outermost_first(case, tmp_path, text, kind, count, outermost, innermost):
    (tmp_path / "dump").write_text(text)
    threads = _threads(case, tmp_path / "dump")
    assert (len(threads), threads[0]["kind"]) == (count, kind)
    first, last = threads[0]["frames"][0], threads[0]["frames"][-1]
    assert (first["function"], first["line"]) == outermost
    assert (last["function"], last["line"]) == innermost
    assert telemetry.ingest(case, [tmp_path / "dump"]).logs == 0


def test_a_go_panic_says_why(case, tmp_path):
    (tmp_path / "dump").write_text(GO)
    assert "index out of range" in str(_threads(case, tmp_path / "dump")[0]["exception_message"])


def _rr(folder: Path) -> bytes:
    """The folder of an rr trace as a tar file."""
    trace = folder / "shop-0"
    trace.mkdir()
    contents = {
        "version": b"85\n",
        "events": b"\0" * 700,
        "mmaps": b"x",
        "tasks": b"",
        "mmap_clone_3_libc.so": b"y" * 9000,
    }
    for name, content in contents.items():
        (trace / name).write_bytes(content)
    with tarfile.open(folder / "trace.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(trace, arcname="shop-0")
    return (folder / "trace.tar").read_bytes()


@pytest.mark.parametrize("kind", ["perf", "jfr", "rr"])
def test_profilers_recordings_are_kept_under_their_digest(case, tmp_path, kind):
    starts = {"perf": b"PERFILE2", "jfr": b"FLR\0\0\2"}
    content = starts[kind] + bytes(5000) if kind in starts else _rr(tmp_path)
    (tmp_path / "recorded.bin").write_bytes(content)
    done = telemetry.ingest(case, [tmp_path / "recorded.bin"])
    kept = next((case.telemetry / "attachments").iterdir())
    assert kept.name == f"{hashlib.sha256(content).hexdigest()}-recorded.bin"
    assert (done.files[0].format, done.files[0].sha256, kept.read_bytes()) == (kind, kept.name[:64], content)


def test_a_folder_of_rr_is_kept_as_one_tar_file(case, tmp_path):
    _rr(tmp_path)
    (tmp_path / "trace.tar").unlink()
    (tmp_path / "shop-0" / "data").symlink_to("/etc/hostname")
    for named in (tmp_path, tmp_path / "shop-0"):
        done = telemetry.ingest(case, [named])
        assert [(Path(told.file).name, told.format) for told in done.files] == [("shop-0", "rr")]
    (kept,) = (case.telemetry / "attachments").iterdir()
    assert kept.name == f"{done.files[0].sha256}-shop-0.tar"
    with tarfile.open(kept) as tar:
        assert tar.getnames() == [
            f"shop-0/{n}" for n in ("events", "mmap_clone_3_libc.so", "mmaps", "tasks", "version")
        ]


def test_a_tar_of_anything_else_is_refused(case, tmp_path):
    (tmp_path / "notes.txt").write_text("no trace")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "notes.txt", arcname="notes.txt")
    assert len(telemetry.ingest(case, [tmp_path / "a.tar"]).refused) == 1


def test_a_dump_that_was_cut_before_its_first_thread_is_refused(case, tmp_path):
    (tmp_path / "dump").write_text(JAVA[: JAVA.index('"main"') + 12])
    (refused,) = telemetry.ingest(case, [tmp_path / "dump"]).refused
    assert refused.reason == "is a crash dump that shows no thread"


@pytest.mark.parametrize(
    "line", ['"x" ' + " " * 100_000 + "#", '"x" ' + "a " * 50_000 + "#", "goroutine 1 " + "[" * 100_000]
)
def test_a_long_line_of_a_dump_is_read_once(case, tmp_path, line):
    for name, text in (("java", JAVA), ("go", GO)):
        (tmp_path / name).write_text(text + line + "\n")
        assert len(_threads(case, tmp_path / name)) >= 1


def test_the_state_of_a_java_thread_is_all_of_its_words(case, tmp_path):
    (tmp_path / "dump").write_text(JAVA.replace("runnable  [0x00007f1]", "in Object.wait()  [0x00007f1]"))
    telemetry.ingest(case, [tmp_path / "dump"])
    with telemetry.store(case) as store:
        told = store.sql("SELECT attributes['thread.state'] AS state FROM logs ORDER BY 1").rows()
    assert told == [{"state": "in Object.wait()"}, {"state": "runnable"}]
