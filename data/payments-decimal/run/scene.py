"""Make the incident happen: the service at its good revision, the deploy, the service at the bad one."""

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from load import Load, secret

from shadowlab.incidents import build_source
from shadowlab.source import Source

HERE = Path(__file__).resolve().parent
INCIDENT = HERE.parent
RECORDER = INCIDENT.parent.parent / "extensions" / "recorder"
GOOD, BAD = "Release 1.7.0", "Release 1.8.0"
START = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
DEPLOY = START + timedelta(hours=2, minutes=2, seconds=17)
END = DEPLOY + timedelta(minutes=42)
GATEWAY, MAIL, OTLP, SERVICE = 9101, 9102, 4318, 8080
CUSTOMERS = 60
SEED = 20261118


class SceneError(Exception):
    """The scene cannot be set on this machine; the message says what to do."""


@dataclass
class Scene:
    """Where the service lives while the incident is made."""

    root: Path
    """What frames in the telemetry start with."""
    python: Path
    """The interpreter that runs the service."""
    work: Path
    """A temporary folder: raw telemetry, recordings, logs of the processes."""
    source: Source
    say: Callable[[str], None]

    @property
    def database(self) -> Path:
        return self.root / "var" / "payments.db"

    def revision(self, subject: str) -> str:
        """The commit with this subject."""
        commits = self.source.commits("HEAD~10", "HEAD")
        return next(commit.revision for commit in commits if commit.subject == subject)

    def put(self, revision: str) -> None:
        """Lay the tree of a revision out at the root; the environment and the database stay."""
        for entry in self.root.iterdir():
            if entry.name not in (".venv", "var"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        with self.source.checked_out(revision) as tree:
            shutil.copytree(tree, self.root, dirs_exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        """What the service's process gets: nothing of this machine's own."""
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PAYMENTS_DB": str(self.database),
            "GATEWAY_URL": f"http://127.0.0.1:{GATEWAY}",
            "GATEWAY_KEY": secret(-1),
            "MAIL_URL": f"http://127.0.0.1:{MAIL}",
            "PORT": str(SERVICE),
            **more,
        }


@contextlib.contextmanager
def scene(root: Path, python: Path, say: Callable[[str], None]) -> Iterator[Scene]:
    """A scene that is set: the history is built, the environment is installed, the ports are free."""
    free_ports()
    try:
        (root / "var").mkdir(parents=True, exist_ok=True)
        (root / "var" / "probe").write_text("")
        (root / "var" / "probe").unlink()
    except OSError as exc:
        raise SceneError(
            f"{root} cannot be written ({exc.strerror}). Stack frames carry this path, so what ships is made there: "
            f"let an administrator make the folder yours, or try with --root elsewhere (and do not ship the result)."
        ) from exc
    with tempfile.TemporaryDirectory(prefix="incident-") as folder:
        work = Path(folder)
        made = Scene(root, python, work, build_source(INCIDENT, work / "source"), say)
        made.put(made.revision(GOOD))
        install(made)
        yield made


def free_ports() -> None:
    """Refuse to start when somebody listens where the service or its peers will."""
    for port in (GATEWAY, MAIL, OTLP, SERVICE):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SceneError(f"port {port} of this machine is taken; stop who listens there and try again")


def install(made: Scene) -> None:
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
    run(str(made.python), "-m", "venv", str(made.root / ".venv"))
    pip = (str(made.root / ".venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-r", str(lock), "time-machine==3.6.0")
    copy = shutil.copytree(RECORDER, made.work / "recorder")
    run(*pip, "--no-deps", str(copy))
    stamp.write_text(wanted.hexdigest())


def run(*words: str) -> None:
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SceneError(f"{' '.join(words[:4])} … failed:\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def process(made: Scene, name: str, *words: str, stop: int = signal.SIGTERM, **options: object) -> Iterator[None]:
    """A process that is stopped, and waited for, at the end of the block."""
    with open(made.work / f"{name}.log", "ab") as log:
        child = subprocess.Popen(words, stdout=log, stderr=log, **options)  # type: ignore[call-overload]
        try:
            yield
        finally:
            child.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            child.kill()
            child.wait()


def listening(*ports: int) -> None:
    """Wait until somebody listens on each port."""
    deadline = time.monotonic() + 30
    for port in ports:
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SceneError(f"nobody listens on port {port} after 30 s")


class Clock:
    """The other end of the service's clock."""

    def __init__(self, line: socket.socket) -> None:
        self._talk = line.makefile("rw")

    async def to(self, when: float) -> None:
        """Move the clock, never back."""
        self._order(f"to {when:.6f}")

    async def flush(self) -> None:
        """Send the metrics of the minute that ends."""
        await asyncio.to_thread(self._order, "flush")

    def _order(self, words: str) -> None:
        print(words, file=self._talk, flush=True)
        if not self._talk.readline():
            raise SceneError("the service has stopped; see its log")


@contextlib.contextmanager
def service(made: Scene, revision: str, start: datetime, **more: str) -> Iterator[Clock]:
    """The service at a revision, on its own clock."""
    made.put(revision)
    ours, theirs = socket.socketpair()
    python = str(made.root / ".venv" / "bin" / "python")
    words = (python, str(HERE / "clocked.py"), str(made.root), str(start.timestamp()), str(theirs.fileno()))
    settings = {
        "DEPLOY_REVISION": revision,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{OTLP}",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-client",
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",  # exemplars draw at random, from what a replay draws again
        "OTEL_METRIC_EXPORT_INTERVAL": "86400000",  # sent by order, once in a minute of the service's clock
        "RECORDINGS": str(made.work / "recordings"),
        "SHADOWLAB_RECORDER_KEY": hashlib.sha256(revision.encode()).hexdigest(),
        **more,
    }
    with (
        ours,
        process(made, "service", *words, cwd=made.root, env=made.environment(**settings), pass_fds=[theirs.fileno()]),
    ):
        theirs.close()
        listening(SERVICE)
        yield Clock(ours)


def play(made: Scene) -> Load:
    """The whole incident; returns the load, with what it asked."""
    load = Load(SEED, f"http://127.0.0.1:{SERVICE}", START.timestamp(), (END - START).total_seconds())
    asyncio.run(_customers(made, load))
    peers = (sys.executable, str(HERE / "peers.py"), str(made.work), str(GATEWAY), str(MAIL), str(OTLP))
    with process(made, "peers", *peers):
        listening(GATEWAY, MAIL, OTLP)
        made.say(f"two hours of {GOOD}")
        with service(made, made.revision(GOOD), START, RECORDINGS_SHARE="0.01", RECORDINGS_SEED="3") as clock:
            asyncio.run(load.run(DEPLOY.timestamp(), clock.to, clock.flush))
        made.say(f"the deploy of {BAD}, and what comes of it")
        # The first draw of this seed is a control: the mirrored requests start from its database.
        mirror = {"RECORDINGS_SHARE": "0.05", "RECORDINGS_SEED": "31", "RECORDINGS_MIRROR": "1"}
        with service(made, made.revision(BAD), DEPLOY, **mirror) as clock:
            asyncio.run(load.run(END.timestamp(), clock.to, clock.flush))
    return load


async def _customers(made: Scene, load: Load) -> None:
    """Those who were customers before the story begins; made through the API, with no telemetry."""
    made.database.unlink(missing_ok=True)
    words = (str(made.root / ".venv" / "bin" / "python"), "-m", "uvicorn", "app:app", "--port", str(SERVICE))
    with process(made, "customers", *words, cwd=made.root, env=made.environment()):
        await asyncio.to_thread(listening, SERVICE)
        async with httpx.AsyncClient(base_url=load.base_url) as client:
            await load.customers(client, CUSTOMERS)
        await asyncio.sleep(0.1)
