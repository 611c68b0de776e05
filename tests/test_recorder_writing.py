"""The writer: folders that fail, full queues, several processes, forks."""

import gc
import subprocess
import sys
import threading
import time
import weakref

from recorded import read
from shadowlab_recorder.room import Limits
from shadowlab_recorder.tape import Tape
from shadowlab_recorder.writer import Writer


def test_a_folder_that_cannot_be_written_is_counted_and_the_service_goes_on(recorded, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    client, recordings, app = recorded(directory=tmp_path / "file" / "recordings")
    assert [client.get("/status/500").status_code for _ in range(3)] == [500, 500, 500]
    recordings()
    assert app.recorder.counts == {"written": 0, "dropped": 0, "failed": 3, "limited": 0}
    assert "recordings so far: 1 (NotADirectoryError" in caplog.text


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path):
    gate, built = threading.Event(), []

    def build(tape, blob):
        gate.wait(600)
        built.append(tape)
        return {"id": tape.id}

    writer = Writer(tmp_path, build, queue_length=2, queue_bytes=1 << 20)
    tapes = [Tape("asgi", "GET", "/", "", [], Limits(10, 100, 1000)) for _ in range(6)]
    taken = [writer.put(tape) for tape in tapes]
    assert built == []  # nobody has waited until one was written
    gate.set()
    assert writer.flush()
    assert taken.count(False) == writer.counts["dropped"] >= 3
    assert writer.counts["written"] == taken.count(True) == len(list(tmp_path.glob("*.json")))


def test_the_writer_rests_between_slices_of_its_work_unless_somebody_waits_for_it(tmp_path, monkeypatch):
    sleep, rests, gate = time.sleep, [], threading.Event()
    monkeypatch.setattr(time, "sleep", lambda seconds: rests.append(seconds) or sleep(seconds))

    def build(tape, blob):
        gate.wait(60)
        begun = time.thread_time()
        while time.thread_time() - begun < 0.01:
            writer.pause()
        return {"id": tape.id, "rests": len(rests)}

    writer = Writer(tmp_path, build, queue_length=99, queue_bytes=1 << 20)
    made = [Tape("asgi", "GET", "/", "", [], Limits(10, 100, 1000)) for _ in range(2)]
    gate.set()
    writer.put(made[0])
    while writer.counts["written"] < 1:
        sleep(0.01)
    calm = len(rests)
    gate.clear()
    writer.put(made[1])
    waits = threading.Thread(target=writer.flush)
    waits.start()
    sleep(0.1)
    begun = len(rests)
    gate.set()
    waits.join(60)
    assert (calm > 20, len(rests) - begun) == (True, 0)


def test_writers_in_several_processes_share_a_folder_without_tearing_a_file(tmp_path, database):
    script = (
        "import sys, asyncio, shadowlab_recorder as r\n"
        "async def app(scope, receive, send): raise RuntimeError(scope['path'])\n"
        "app = r.record(app, directory=sys.argv[1], per_minute=99, snapshot=r.SqliteSnapshot(sys.argv[2]))\n"
        "async def once(n):\n"
        "    try: await app({'type': 'http', 'method': 'GET', 'path': f'/{n}', 'headers': []}, None, None)\n"
        "    except RuntimeError: pass\n"
        "for n in range(40): asyncio.run(once(n))\n"  # no flush: leaving the process is enough
    )
    folder = tmp_path / "shared"
    runs = [subprocess.Popen([sys.executable, "-c", script, folder, database]) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert len(list(map(read, folder.glob("*.json")))) == 80
    assert [path.suffix for path in (folder / "blobs").iterdir()] == [".xz"]
    assert not list(folder.rglob(".*"))


def test_a_forked_worker_writes_with_a_thread_of_its_own(tmp_path, database):
    script = (
        "import sys, os, asyncio, shadowlab_recorder as r\n"
        "async def app(scope, receive, send): raise RuntimeError(scope['path'])\n"
        "app = r.record(app, directory=sys.argv[1], snapshot=r.SqliteSnapshot(sys.argv[2]))\n"
        "async def once():\n"
        "    try: await app({'type': 'http', 'method': 'GET', 'path': f'/{os.getpid()}', 'headers': []}, None, None)\n"
        "    except RuntimeError: pass\n"
        "asyncio.run(once())\n"
        "assert app.recorder.flush()\n"
        "child = os.fork()\n"
        "asyncio.run(once())\n"
        "assert app.recorder.flush()\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "forked", database], check=True, timeout=60)
    kept = list(map(read, (tmp_path / "forked").glob("*.json")))
    assert len(kept) == 3
    assert len({each["request"]["path"] for each in kept}) == 2
    assert all(each["db_snapshot"] for each in kept)


def test_a_writer_that_nobody_uses_any_more_is_let_go_of(tmp_path):
    made = weakref.ref(Writer(tmp_path, lambda tape, blob: {}, queue_length=1, queue_bytes=1))
    gc.collect()
    assert made() is None
