"""The write-ahead log: what was acknowledged is read back, whatever happened to the file's end."""

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowlab.telemetry.receiver import log
from shadowlab.telemetry.receiver.commit import Committer
from shadowlab.telemetry.receiver.log import Header, Kind, Log, packed, read

bodies = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _written(folder: Path, told: list[bytes]) -> Path:
    for old in log.files(folder):
        old.unlink()
    written = Log(folder, Header(redaction="default"))
    for body in told:
        written.append([packed(Kind.TRACES_JSON, body)])
    path = written.path
    written.seal()
    assert path is not None
    return path


@quick
@given(told=bodies)
def test_what_was_written_is_read(tmp_path, told):
    content = read(_written(tmp_path, told))
    assert [body for _, body in content.records] == told
    assert (content.header, content.damaged) == (Header(redaction="default"), 0)


@quick
@given(told=bodies, cut=st.integers(0, 5000))
def test_a_file_that_was_cut_off_gives_every_record_before_the_cut(tmp_path, told, cut):
    path = _written(tmp_path, told)
    path.chmod(0o600)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    ends = [
        len(content) - sum(len(packed(Kind.TRACES_JSON, body)) for body in told[n:]) for n in range(1, len(told) + 1)
    ]
    whole = sum(end <= len(content) - cut for end in ends)
    assert [body for _, body in read(path).records] == told[:whole]


@quick
@given(told=bodies, tail=st.binary(max_size=100))
def test_what_follows_the_last_record_hides_none_before_it(tmp_path, told, tail):
    path = _written(tmp_path, told)
    path.write_bytes(path.read_bytes() + tail)
    assert [body for _, body in read(path).records][: len(told)] == told


@quick
@given(told=bodies, data=st.data())
def test_a_byte_that_flipped_costs_one_record_at_most(tmp_path, told, data):
    path = _written(tmp_path, told)
    content = bytearray(path.read_bytes())
    start = len(content) - sum(9 + len(body) for body in told)
    which = data.draw(st.integers(0, len(told) - 1))
    at = start + sum(9 + len(body) for body in told[:which]) + 8 + data.draw(st.integers(0, len(told[which])))
    content[at] ^= 0x40
    path.write_bytes(bytes(content))
    found = read(path)
    assert [body for _, body in found.records] == told[:which] + told[which + 1 :]
    assert found.damaged == 9 + len(told[which])


def test_a_foreign_file_gives_nothing_and_says_how_much(tmp_path):
    (tmp_path / ".000000000001.log").write_bytes(b"x" * 50)
    assert read(log.files(tmp_path)[0]) == log.Content(None, (), 50)


def test_only_the_owner_may_read_a_log(tmp_path):
    assert _written(tmp_path, [b"a secret"]).stat().st_mode & 0o077 == 0


def test_a_new_log_goes_on_after_the_numbers_that_are_there(tmp_path):
    first = _written(tmp_path, [b"a"])
    second = Log(tmp_path, Header(redaction="off"))
    second.append([packed(Kind.LOGS_JSON, b"b")])
    assert second.seal() == log.number(first) + 2
    assert [len(read(path).records) for path in log.files(tmp_path)] == [1, 1]


def test_a_write_that_fails_is_taken_back_and_the_next_one_lands(tmp_path, monkeypatch):
    written = Log(tmp_path, Header(redaction="off"))
    written.append([packed(Kind.LOGS_JSON, b"first")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _full)
        with pytest.raises(OSError, match="No space left"):
            written.append([packed(Kind.LOGS_JSON, b"second")])
    written.append([packed(Kind.LOGS_JSON, b"third")])
    written.seal()
    assert [body for path in log.files(tmp_path) for _, body in read(path).records] == [b"first", b"third"]


def _full(fd: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_many_threads_share_a_flush_and_each_is_told(tmp_path, monkeypatch):
    flushes = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (flushes.append(fd), real(fd)))
    committer = Committer(Log(tmp_path, Header(redaction="off")))
    futures = [committer.submit(packed(Kind.LOGS_JSON, f"{n}".encode())) for n in range(200)]
    committer.start()
    threads = [threading.Thread(target=future.result) for future in futures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    bound = committer.seal()
    committer.close()
    assert sorted(int(body) for p in log.files(tmp_path) for _, body in read(p).records) == list(range(200))
    assert len(flushes) < 10
    assert [log.number(p) < bound for p in log.files(tmp_path)] == [True]
    assert committer.waiting == 0
