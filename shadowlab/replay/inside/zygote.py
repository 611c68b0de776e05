"""The fork server: hold the seams, import the service once, then fork a child for each job."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any

from . import child, entry, guard, tool
from .seams import Seams

_HEAD = struct.Struct("<cI")
FORK, KILL, LOAD = b"F", b"K", b"L"
_IDLE_STEP_S, _IDLE_S = 20.0, 300.0


def main(place: str, *, shared: bool) -> None:
    """Serve the supervisor at the socket `place` until it goes away; or fork such servers, when `shared`."""
    # Importing makes no garbage worth looking for; `_settle` collects once.
    gc.disable()
    seams = Seams()
    if shared:
        control, config = _met(place)
        _prepare(seams, config)
        _fork_servers(control, seams)
        return
    guard.die_with_parent()
    control, config = _met(place)
    if not config.get("tool"):
        _prepare(seams, config)
    _Zygote(control, config, seams).serve()


def _met(place: str) -> tuple[socket.socket, dict[str, Any]]:
    control = socket.socket(socket.AF_UNIX)
    control.connect(place)
    with open(os.path.join(os.path.dirname(place), "config.json"), "rb") as file:
        return control, json.load(file)


def _prepare(seams: Seams, config: dict[str, Any]) -> None:
    """Hold the seams, then import what the service's lock names, in one order whoever does it."""
    if config["tools"]:
        sys.path.append(config["tools"])
    seams.install()
    if config["tools"]:
        sys.path.remove(config["tools"])
    for name in config["preload"]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _fork_servers(control: socket.socket, seams: Seams) -> None:
    """Fork a server for each folder that the supervisor names; end when it has gone, or after long idleness."""
    gc.collect()
    gc.freeze()
    idle = 0
    while True:
        if not select.select([control], [], [], _IDLE_STEP_S)[0]:
            idle += 1
            if not _children() and idle * _IDLE_STEP_S >= _IDLE_S:
                return
            continue
        idle = 0
        head = control.recv(4)
        if not head:
            return
        work = _take(control, struct.unpack("<I", head)[0]).decode()
        _children()
        if os.fork() == 0:
            control.close()
            _serve_forked(work, seams)


def _serve_forked(work: str, seams: Seams) -> None:
    code = 1
    try:
        os.setsid()
        guard.die_with_parent()
        os.chdir(work)
        stderr = os.open(os.path.join(work, "stderr"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(stderr, 2)
        control, config = _met(os.path.join(work, "control"))
        _Zygote(control, config, seams).serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _children() -> bool:
    """Whether there are any; those that have ended are let go."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


class _Zygote:
    def __init__(self, control: socket.socket, config: dict[str, Any], seams: Seams) -> None:
        self._control = control
        self._config = config
        self._seams = seams
        self._children: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._forker: child.Child | tool.Tool | None = None

    def serve(self) -> None:
        """Get ready, say so, and work until the supervisor hangs up."""
        if not self._ready():
            return
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        waiting = selectors.DefaultSelector()
        waiting.register(self._control, selectors.EVENT_READ)
        waiting.register(wake, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in waiting.select()]
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
                self._reap()
            if self._control in ready and not self._step():
                break
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ready(self) -> bool:
        config, seams = self._config, self._seams
        if config.get("tool"):
            return self._ready_for_tool()
        pid, steady = guard.real_pid(), guard.steady_addresses()
        seams.boot(tuple(config["inside"]), os.path.join(config["work"], "config.json"))
        os.environ["HOME"] = config["work"]
        time.tzset()  # what was preloaded began in another zone
        held = guard.confine_server(config) if config["guard"] else {}
        self._tell({"hello": held, "pid": pid, "python": sys.version.split()[0], "steady": steady})
        if config.get("door") and not config["socket_at"]:
            listener = guard.hand_connections_over()
            socket.send_fds(self._control, [b"D"], [listener])
            os.close(listener)
        try:
            sys.argv = [config["entrypoint"]]
            sys.path.insert(0, config["tree"])
            seams.asked.tree = f"{config['tree']}/"
            app = entry.find(config["entrypoint"])
            kind = entry.kind_of(app, config.get("kind"))
            seams.clients.install()
        except BaseException as exc:
            known = isinstance(exc, LookupError) and str(exc.args[0] if exc.args else "").startswith("entrypoint")
            self._tell({"failed": str(exc.args[0]) if known else f"{type(exc).__name__}: {exc}", "known": known})
            return False
        sys.setswitchinterval(config.get("switch_interval", 0.005))
        self._forker = child.Child(seams, app, kind, config)
        self._settle()
        self._tell({"ready": kind, "clock": seams.clock.how})
        return True

    def _ready_for_tool(self) -> bool:
        steady = guard.steady_addresses()
        held = guard.confine_server(self._config) if self._config["guard"] else {}
        self._tell({"hello": held, "pid": guard.real_pid(), "python": sys.version.split()[0], "steady": steady})
        self._forker = tool.Tool(self._config)
        self._tell({"ready": "tool", "clock": "by the runner"})
        return True

    def _settle(self) -> None:
        child.find_engines()
        gc.collect()
        gc.freeze()

    def _step(self) -> bool:
        """One message of the supervisor; False when it has gone."""
        head, fds, _, _ = socket.recv_fds(self._control, _HEAD.size, 2)
        if len(head) < _HEAD.size:
            return False
        what, number = _HEAD.unpack(head)
        if what == FORK:
            self._fork(number, *fds)
        elif what == KILL and number in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._children[number], signal.SIGKILL)
        elif what == LOAD:
            self._load(json.loads(_take(self._control, number)))
        return True

    def _fork(self, number: int, job_fd: int, result_fd: int) -> None:
        pid = os.fork()
        if pid == 0:
            assert self._forker is not None
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            guard.die_with_parent()
            self._control.close()
            self._forker.run(number, job_fd, result_fd)
        os.close(job_fd)
        os.close(result_fd)
        self._children[number] = pid
        self._pids[pid] = number

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                number = self._pids.pop(pid, None)
                if number is not None:
                    del self._children[number]
                    self._tell({"ended": number, "status": os.waitstatus_to_exitcode(status)})

    def _load(self, names: list[str]) -> None:
        """Import what a rehearsal had to import, so that no child has to again."""
        for name in names:
            with contextlib.suppress(BaseException):
                importlib.import_module(name)
        self._seams.clients.install()
        self._settle()
        self._tell({"loaded": len(names)})

    def _tell(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        self._control.sendall(struct.pack("<I", len(content)) + content)


def _take(stream: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = stream.recv(size)
        if not part:
            raise SystemExit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
