"""Run a command on a private copy of a tree so that it reaches nothing else.

Held with kernel namespaces where they are to be had (any recent Linux; no root needed): no network, everything but the
run's own folder read-only, temporary folders, sockets and devices out of sight, own process ids, no capability. Where
they are not, Landlock and seccomp hold the same but for other processes' sight, and a test may not talk to itself over
the network; where there is neither, only the private copy, the clean environment and the limits remain. `held` says so.
Not held: what the command may *read* of this machine, and how fast it may use the processor until its time is up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadowlab.replay.world import INSIDE

_LAUNCH = Path(__file__).with_name("confine.sh")
_WITHIN = Path(__file__).with_name("confine_within.py")
_NAMESPACES = (
    "unshare", "--user", "--map-root-user", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child",
    "--mount-proc", "--",
)  # fmt: skip
_COVERED = ("/tmp", "/var/tmp", "/run", "/sys")
LARGEST_FILE = 256 * 2**20
TAIL = 4000
"""Bytes of a command's output that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """How a confined command ended."""

    code: int | None
    """Exit code; None when it had to be stopped."""
    seconds: float
    output: str
    """The end of what it wrote to standard output and error, for a person; nothing is judged by it."""
    held: tuple[str, ...]


def run(
    words: Sequence[str], tree: Path, *, timeout_s: float, environment: Mapping[str, str] | None = None,
    reads: Sequence[str] = (),
) -> Ran:  # fmt: skip
    """Run `words` in `tree`, whose parent folder is the command's own: nothing else of the disk can be written.

    `reads` are folders that the command needs; they stay in sight wherever they lie.
    """
    folder = tree.parent
    env = {"PATH": os.environ.get("PATH", os.defpath), **variables(folder), **(environment or {})}
    wrapped = [*(_LAUNCHES[walls()](folder, reads) if walls() else ()), *words]
    began = time.monotonic()
    with tempfile.TemporaryFile() as sink:
        process = subprocess.Popen(
            wrapped, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
            preexec_fn=functools.partial(_limit, timeout_s),
        )  # fmt: skip
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        sink.seek(max(0, sink.seek(0, os.SEEK_END) - TAIL))
        output = sink.read().decode(errors="replace").replace(str(tree), ".")
    return Ran(code=code, seconds=time.monotonic() - began, output=output, held=held())


def variables(folder: Path) -> dict[str, str]:
    """The clean environment of a run whose own folder this is; its home and its folder for scratch are made."""
    for name in ("home", "scratch"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "scratch"), "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def held() -> tuple[str, ...]:
    """What a run here is kept from, in words."""
    always = ("private copy", "clean environment", "time limit")
    return (*always, "no network", "no write outside of the copy", *_SAID[walls()]) if walls() else always


@functools.cache
def walls() -> str:
    """What this machine gives us, `namespaces` or `landlock`, empty for neither: tried once each.

    The try is a run that must fail to write beside itself and to reach out.
    """
    return next((name for name, launch in _LAUNCHES.items() if _holds(launch)), "")


_Launch = Callable[[Path, Sequence[str]], list[str]]


def _holds(launch: _Launch) -> bool:
    with tempfile.TemporaryDirectory(prefix="shadowlab-probe-") as name:
        folder, beside = Path(name, "run"), Path(name, "beside")
        (folder / "tree").mkdir(parents=True)
        words = [*launch(folder, ()), sys.executable, "-I", "-S", "-c", _PROBE, str(beside), str(folder / "out")]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(words, capture_output=True, timeout=20, check=False)
            return done.returncode == 0 and not beside.exists() and (folder / "out").exists()
    return False


_PROBE = """
import socket, sys
open(sys.argv[2], "w").close()
for what in (lambda: open(sys.argv[1], "w"), lambda: socket.create_connection(("192.0.2.1", 9), 1)):
    try:
        what()
    except OSError:
        continue
    sys.exit(1)
"""


def _namespaced(folder: Path, reads: Sequence[str]) -> list[str]:
    return [*_NAMESPACES, "/bin/sh", str(_LAUNCH), str(folder), ":".join(_coverable(reads)), sys.executable]


def _landlocked(folder: Path, reads: Sequence[str]) -> list[str]:
    # Landlock lets everything be read; `reads` need nothing.
    return [sys.executable, "-I", "-S", str(_WITHIN), str(INSIDE), str(folder)]


_LAUNCHES: dict[str, _Launch] = {"namespaces": _namespaced, "landlock": _landlocked}
_SAID = {"namespaces": (), "landlock": ("held by Landlock and seccomp: no namespaces are to be had here",)}


def _coverable(reads: Sequence[str]) -> list[str]:
    """Folders that may be hidden: none that the interpreter, the package, the launcher or `reads` lie in."""
    needed = [Path(p).resolve() for p in (sys.prefix, sys.base_prefix, *sys.path, __file__, *reads) if p]
    return [place for place in _COVERED if not any(path.is_relative_to(place) for path in needed)]


def _limit(timeout_s: float) -> None:
    seconds = int(timeout_s) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
