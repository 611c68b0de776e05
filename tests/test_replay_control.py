"""What comes from a fork server is not trusted: its socket is the service's too."""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadowlab import errors
from shadowlab.replay.control import Control


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Control, socket.socket]]:
    """The supervisor's end, and the one that a server, or the service in it, writes to."""
    control = Control(tmp_path / "control", stderr_tail=lambda: "Traceback:\n  /srv/app.py\nMemoryError: too much")
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(tmp_path / "control"))
        control.accept(alive=lambda: True, sandbox="embedded")
        yield control, server
    control.close()


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'"hello"'])
def test_what_is_no_message_is_refused_in_words(both: tuple[Control, socket.socket], content: bytes) -> None:
    control, server = both
    server.sendall(struct.pack("<I", len(content)) + content)
    with pytest.raises(errors.SandboxError, match="the fork server told nothing that can be read"):
        control.message()


def test_a_message_of_any_size_is_not_waited_for(both: tuple[Control, socket.socket]) -> None:
    control, server = both
    server.sendall(struct.pack("<I", 2**31))
    with pytest.raises(errors.SandboxError, match="told more than it may"):
        control.message()


def test_a_server_that_is_gone_is_told_with_its_last_words(both: tuple[Control, socket.socket]) -> None:
    control, server = both
    server.close()
    before = len(os.listdir("/proc/self/fd"))
    for ask in (lambda: control.fork(1, {}), lambda: control.kill(1), lambda: control.load(["json"]), control.message):
        with pytest.raises(errors.SandboxError, match=r"the fork server died: MemoryError: too much\n"):
            ask()
    assert len(os.listdir("/proc/self/fd")) == before


def test_only_one_server_is_heard(both: tuple[Control, socket.socket], tmp_path: Path) -> None:
    assert not (tmp_path / "control").exists()
