"""Make an incident happen: a service at one revision after another, under load, on a clock that is moved."""

import asyncio
import contextlib
import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from making.load import Load
from making.scene import HERE, PORT, Act, Stage, StageError, Story, revision
from shadowlab.incidents import build_source

RECORDER = HERE.parent.parent / "extensions" / "recorder"


@contextlib.contextmanager
def stage(story: Story, root: Path, python: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """A stage that is set: the history is built, the environment is installed, the ports are free."""
    free_ports(PORT, *story.ports, *(each.port for act in story.acts for each in act.neighbours))
    try:
        (root / "var").mkdir(parents=True, exist_ok=True)
        (root / "var" / "probe").write_text("")
        (root / "var" / "probe").unlink()
    except OSError as exc:
        raise StageError(
            f"{root} cannot be written ({exc.strerror}). Stack frames carry this path, so what ships is made there: "
            f"let an administrator make the folder yours, or try with --root elsewhere (and do not ship the result)."
        ) from exc
    with tempfile.TemporaryDirectory(prefix="incident-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        otlp = probe.getsockname()[1]
        probe.close()
        work = Path(folder)
        made = Stage(story, root, python, work, build_source(story.incident, work / "source"), otlp, say)
        made.put(revision(made.source, story.acts[0].release))
        install(made)
        yield made


def free_ports(*ports: int) -> None:
    """Refuse to start when somebody listens where the service or its peers will."""
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise StageError(f"port {port} of this machine is taken; stop who listens there and try again")


def install(made: Stage) -> None:
    """The service's environment: its lock, the recorder of this repository, and the clock."""
    lock = made.root / "serve.lock"
    wanted = hashlib.sha256(lock.read_bytes() + str(made.python).encode())
    for file in sorted(RECORDER.rglob("*.py")):
        wanted.update(file.read_bytes())
    stamp = made.root / ".venv" / "stamp"
    if stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return
    made.say("installing the service's environment")
    shutil.rmtree(made.root / ".venv", ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    run(uv, "venv", "--quiet", "--python", str(made.python), str(made.root / ".venv"))
    pip = (uv, "pip", "install", "--quiet", "--python", made.interpreter)
    run(*pip, "-r", str(lock), "time-machine==3.6.0")
    copy = shutil.copytree(RECORDER, made.work / "recorder")
    run(*pip, "--no-deps", str(copy))
    stamp.write_text(wanted.hexdigest())


def run(*words: str) -> None:
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise StageError(f"{' '.join(words[:4])} … failed:\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def process(made: Stage, name: str, *words: str, stop: int = signal.SIGTERM, **options: object) -> Iterator[None]:
    """A process that is stopped, and waited for, at the end of the block."""
    with open(made.work / f"{name}.log", "ab") as log:
        child = subprocess.Popen(words, stdout=log, stderr=log, **options)  # type: ignore[call-overload]  # options vary
        try:
            yield
        finally:
            child.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            child.kill()
            child.wait()


def listening(made: Stage, *ports: int) -> None:
    """Wait until somebody listens on each port."""
    deadline = time.monotonic() + 60
    for port in ports:
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            logs = "\n".join(file.read_text(errors="replace")[-2000:] for file in sorted(made.work.glob("*.log")))
            raise StageError(f"nobody listens on port {port} after a minute:\n{logs}")


class Clock:
    """The other end of the clocks of everything that runs on the stage."""

    def __init__(self) -> None:
        self.lines: dict[str, Any] = {}

    async def to(self, when: float) -> None:
        """Move the clocks, never back."""
        self._order(f"to {when:.6f}")

    async def flush(self) -> None:
        """Send the metrics of the minute that ends."""
        await asyncio.to_thread(self._order, "flush")

    def _order(self, words: str) -> None:
        for line in self.lines.values():
            print(words, file=line, flush=True)
            if not line.readline():
                raise StageError("a service has stopped; see its log")


@contextlib.contextmanager
def served(
    made: Stage, clock: Clock, module: str, root: Path, start: datetime, port: int | None, settings: Mapping[str, str]
) -> Iterator[None]:
    """A module's application, on its own clock."""
    ours, theirs = socket.socketpair()
    # Stacks name its place, and must not name one of this machine's.
    clocked = shutil.copy(HERE / "clocked.py", made.root / ".venv")
    words = (made.interpreter, str(clocked), str(root), module, str(start.timestamp()))
    options = {"cwd": root, "env": made.environment(**made.telemetry(), **settings), "pass_fds": [theirs.fileno()]}
    with ours, process(made, module, *words, str(theirs.fileno()), **options):
        theirs.close()
        if port:
            listening(made, port)
        clock.lines[module] = ours.makefile("rw")
        try:
            yield
        finally:
            clock.lines.pop(module).close()


def play(made: Stage) -> Load:
    """The whole incident; returns the load, with what it asked."""
    story = made.story
    start = story.acts[0].start
    seconds = (story.end - start).total_seconds()
    load = story.load(story.seed, f"http://127.0.0.1:{PORT}", start.timestamp(), seconds)
    clock = Clock()
    ends = [*(act.start for act in story.acts[1:]), story.end]
    peers = (sys.executable, str(HERE / "peers.py"), str(made.work), str(story.incident / "run"), str(made.otlp))
    running: dict[str, tuple[object, contextlib.ExitStack]] = {}
    with process(made, "peers", *peers), contextlib.ExitStack() as everything:
        for words in story.servers:
            everything.enter_context(process(made, Path(words[0]).name, *words, cwd=made.work))
        listening(made, made.otlp, *story.ports)
        asyncio.run(_before(made, load))
        for act, until in zip(story.acts, ends, strict=True):
            made.say(f"{act.release}, from {act.start:%H:%M:%S} to {until:%H:%M:%S}")
            for name, (what, begin) in _cast(made, clock, act).items():
                before, stack = running.get(name, (None, None))
                if before == what:
                    continue
                if stack is not None:
                    stack.close()
                stack = everything.enter_context(contextlib.ExitStack())
                stack.enter_context(begin())
                running[name] = (what, stack)
            asyncio.run(load.run(until.timestamp(), clock.to, clock.flush))
    return load


def _cast(made: Stage, clock: Clock, act: Act) -> dict[str, tuple[object, Callable[[], Any]]]:
    """Who is on stage in an act: what tells one from the next of the same name, and how to begin it."""
    cast: dict[str, tuple[object, Callable[[], Any]]] = {}
    for each in act.neighbours:
        cast[each.module] = (each, lambda each=each: served(
            made, clock, each.module, made.story.incident / "run", act.start, each.port,
            {**each.settings, "PORT": str(each.port)}))  # fmt: skip
    cast["serve"] = ((act.release, act.settings), lambda: _service(made, clock, act))
    return cast


@contextlib.contextmanager
def _service(made: Stage, clock: Clock, act: Act) -> Iterator[None]:
    commit = revision(made.source, act.release)
    made.put(commit)
    settings = {
        "DEPLOY_REVISION": commit,
        "RECORDINGS": str(made.work / "recordings"),
        "SHADOWLAB_RECORDER_KEY": hashlib.sha256(commit.encode()).hexdigest(),
        **act.settings,
    }
    with served(made, clock, "serve", made.root, act.start, PORT if made.story.plain else None, settings):
        yield


async def _before(made: Stage, load: Load) -> None:
    """What is there before the story begins; made through the API, with no telemetry."""
    made.database.unlink(missing_ok=True)
    if not made.story.plain:
        return
    options = {"cwd": made.root, "env": made.environment()}
    with process(made, "before", made.interpreter, *made.story.plain, **options):
        await asyncio.to_thread(listening, made, PORT)
        async with httpx.AsyncClient(base_url=load.base_url, timeout=30) as client:
            await load.before(client)
        await asyncio.sleep(0.1)
