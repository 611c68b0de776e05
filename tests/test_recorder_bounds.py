"""What the recorder may take: recordings a minute, memory, disk; and that no fault of it reaches the service."""

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
import threading
import weakref

import pytest
import shadowlab_recorder
from recorded import kept, read
from shadowlab_recorder.bounds import Bucket
from shadowlab_recorder.room import Room


def test_a_bucket_lets_so_many_through_at_once_and_so_many_a_minute():
    bucket = Bucket(20)
    assert sum(bucket.take("a", now=0.0) for _ in range(100)) == 20
    assert sum(bucket.take("b", now=0.0) for _ in range(100)) == 20
    assert sum(bucket.take("a", now=30.0) for _ in range(100)) == 10
    assert sum(bucket.take("a", now=3000.0) for _ in range(100)) == 20


def test_a_bucket_forgets_the_oldest_of_many_fingerprints():
    bucket = Bucket(1)
    assert all(bucket.take(n, now=0.0) for n in range(5000))
    assert len(bucket._left) == 1024


def failing(path="/"):
    def app(environ, start_response):
        start_response("500 No", [])
        return [b"no"]

    return app


def ask(app, path="/"):
    return b"".join(app({"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": None}, lambda *_: None))


def test_ten_thousand_failures_write_no_more_than_the_bucket_allows(tmp_path):
    app = shadowlab_recorder.record(failing(), directory=tmp_path, share=0, per_minute=7)
    for n in range(10_000):
        assert ask(app, f"/orders/{n}") == b"no"
    assert len(kept(app.recorder, tmp_path)) == 7  # a minute later there would be seven more
    assert app.recorder.counts["limited"] == 9_993


def test_another_failure_has_tokens_of_its_own(tmp_path):
    app = shadowlab_recorder.record(failing(), directory=tmp_path, share=0, per_minute=1)
    for path in ("/a/1", "/a/2", "/b/1"):
        ask(app, path)
    assert sorted(each["request"]["path"] for each in kept(app.recorder, tmp_path)) == ["/a/1", "/b/1"]


def test_a_room_gives_no_more_than_all_rooms_have_together():
    house = Room(100)
    first, second = Room(80, house), Room(80, house)
    assert (first.take(90), second.take(90)) == (80, 20)
    first.leave()
    assert (second.take(90), house.used) == (60, 80)


def test_a_little_of_each_room_is_not_counted_in_the_room_of_all():
    house = Room(100)
    room = Room(80, house, 10)
    assert (room.take(10), house.used) == (10, 0)
    assert (room.take(100), house.used) == (70, 70)
    room.leave()
    room.leave()
    assert (room.take(1), house.used) == (0, 0)


@pytest.fixture
def often_switched():
    """Threads that take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_of_a_request_that_outlive_it_keep_nothing_of_the_room_of_all(often_switched):
    """A thread that asks while the request ends: either its portion is given back with the rest, or it gets none."""
    house, began = Room(1 << 30), threading.Barrier(5, timeout=60)
    rooms = [Room(1 << 24, house) for _ in range(200)]

    def work() -> None:
        for room in rooms:
            began.wait()
            for _ in range(20):
                room.take(20_000)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for room in rooms:
        began.wait()
        room.leave()
    for each in workers:
        each.join()
    assert (house.used, sum(room.granted for room in rooms)) == (0, 0)


def test_what_a_request_holds_in_memory_is_bounded_and_said(tmp_path):
    def app(environ, start_response):
        start_response("500 No", [])
        return [b"x" * 60_000, b"y" * 60_000]

    recorded = shadowlab_recorder.record(app, directory=tmp_path, request_bytes=30_000, body_limit=100_000)
    assert len(ask(recorded)) == 120_000
    [one] = kept(recorded.recorder, tmp_path)
    assert (len(one["response"]["body"]), one["truncated"]) == (30_000, ["response.body"])
    assert recorded.recorder._memory.used == 0


def test_a_folder_that_is_full_takes_no_more_and_the_service_goes_on(tmp_path, caplog):
    app = shadowlab_recorder.record(failing(), directory=tmp_path, disk_bytes=8_000)
    for n in range(20):
        assert ask(app, f"/{'abcdefghijklmnopqrst'[n]}") == b"no"
    written = kept(app.recorder, tmp_path)
    assert 0 < len(written) == app.recorder.counts["written"] < 20
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8_000
    assert app.recorder.counts["dropped"] == 20 - len(written)
    assert "holds 0 MiB" in caplog.text


ALONE = """
import os, sys, resource, signal, logging, shadowlab_recorder
logging.basicConfig()
def app(environ, start_response):
    start_response("500 No", [])
    return [b"no" * 4000]
{before}
app = shadowlab_recorder.record(app, directory=sys.argv[1])
for n in range(3):
    environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": None}}
    assert b"".join(app(environ, lambda *_: None)) == b"no" * 4000
assert app.recorder.flush()
print(app.recorder.counts)
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))", "OSError"),
        ("os.getuid() or os.setuid(65534)", "PermissionError"),
    ],
    ids=["a disk that fails", "a folder that is read-only"],
)
def test_a_disk_that_refuses_is_counted_and_leaves_no_torn_file(tmp_path, before, said):
    folder = tmp_path / "recordings"
    folder.mkdir()
    folder.chmod(0o555 if "setuid" in before else 0o777)
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(before=before), folder], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "{'written': 0, 'dropped': 0, 'failed': 3, 'limited': 0}", done.stderr
    assert said in done.stderr
    assert list(folder.iterdir()) == []


def test_a_disk_that_hangs_holds_up_neither_the_request_nor_the_loop(tmp_path):
    gate, written = threading.Event(), []

    def hang(tape):
        gate.wait(600)
        written.append(tape)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    recorded = shadowlab_recorder.record(app, directory=tmp_path / "folder", queue_length=2, per_minute=1000)
    recorded.recorder._writer._write = hang

    async def many():
        for n in range(50):
            scope = {"type": "http", "method": "GET", "path": f"/{n}", "headers": []}
            await recorded(scope, None, lambda message: asyncio.sleep(0))

    asyncio.run(many())
    assert written == []  # nobody has waited until the disk took one
    assert recorded.recorder.counts["dropped"] >= 47
    gate.set()


def test_a_recorder_that_is_broken_inside_never_reaches_the_service(tmp_path, monkeypatch, caplog):
    app = shadowlab_recorder.record(failing(), directory=tmp_path)

    def broken(*_, **__):
        raise RuntimeError("inside of the recorder")

    for name in ("start", "finish", "link"):
        monkeypatch.setattr(app.recorder, name, broken)
        assert ask(app) == b"no"
    assert "RuntimeError" in caplog.text


def test_a_wrong_bound_is_refused_when_the_service_starts(tmp_path):
    with pytest.raises(ValueError, match="disk_bytes must be 1 or more"):
        shadowlab_recorder.record(failing(), directory=tmp_path, disk_bytes=0)
    with pytest.raises(ValueError, match="no regular expression"):
        shadowlab_recorder.record(failing(), directory=tmp_path, redact_patterns=("(",))
    with pytest.raises(ValueError, match="not understood"):
        shadowlab_recorder.record(failing(), directory=tmp_path, redact_paths=("$.a[b",))


def test_json_of_a_written_recording_is_whole(tmp_path):
    app = shadowlab_recorder.record(failing(), directory=tmp_path)
    ask(app)
    assert app.recorder.flush()
    [path] = tmp_path.glob("*.json")
    assert read(path) == json.loads(path.read_text())


def test_a_failure_lets_go_of_what_its_frames_held(tmp_path):
    held = []

    @shadowlab_recorder.record(directory=tmp_path, share=0, per_minute=1)
    def call():
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError("refused")

    gc.disable()  # nothing may need it: what a service held is freed when the request is over
    try:
        for _ in range(2):  # one that is written, and one too many for the bucket
            with contextlib.suppress(ValueError):
                call()
            assert held[-1]() is None
    finally:
        gc.enable()


class Large:
    """Something that a service has in its hands when it fails."""
