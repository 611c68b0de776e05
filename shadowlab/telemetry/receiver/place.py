"""Where a case keeps what it receives, and that only one receiver is at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case


class Held(errors.CaseError):
    """Somebody else is at the log."""


def folder(case: Case) -> Path:
    """The folder of the log, below the case's telemetry."""
    return case.telemetry / "incoming"


@contextlib.contextmanager
def held(case: Case, who: str) -> Iterator[Path]:
    """Be the one who reads and writes the log; gives its folder. Raises `Held` that names the holder.

    The lock is the kernel's (`flock`): a killed receiver leaves none behind.
    """
    place = folder(case)
    place.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(place / ".receiver", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 300, 0).decode(errors="replace") or "another process"
            raise Held(
                f"{case.path} is being received into by {holder}",
                hint="send there, or stop it first; another case takes another receiver",
            ) from None
        with contextlib.suppress(OSError):  # a full disk must not keep the log from being taken in
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()} ({who})".encode(), 0)
        _sweep(place)
        yield place
    finally:
        os.close(fd)


def is_held(case: Case) -> bool:
    """Whether somebody is at the log. Looks at the kernel's list of locks and touches nothing.

    Where that list does not show the holder, another container's or host's, the answer is no.
    """
    try:
        seen = os.stat(folder(case) / ".receiver")
        locks = Path("/proc/locks").read_text()
    except OSError:
        return False
    inode = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    return any("FLOCK" in line and inode in line.split() for line in locks.splitlines())


def _sweep(place: Path) -> None:
    """Remove what a killed process was making."""
    for left_over in (*place.glob(".handed-*"), *place.glob(".merged-*")):
        shutil.rmtree(left_over, ignore_errors=True)
        with contextlib.suppress(OSError):
            left_over.unlink()
