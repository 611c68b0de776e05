"""What an incident has of its own, and where it is made: stories, their acts, the stage."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from making.load import Load
from shadowlab import errors
from shadowlab.records import Commit
from shadowlab.source import Source

HERE = Path(__file__).resolve().parent
PORT = 8080


class StageError(Exception):
    """The incident cannot be made on this machine; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Another service with telemetry of its own: a module beside the story, served like the service itself."""

    module: str
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Act:
    """From `start` on the service runs like this. What is as in the act before is not started anew."""

    start: datetime
    release: str
    """The subject of the commit that runs."""
    settings: Mapping[str, str] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Story:
    """What one incident has of its own."""

    incident: Path
    service: str
    acts: tuple[Act, ...]
    end: datetime
    load: type[Load]
    seed: int
    database: str
    """The variable that names the SQLite file."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What else the service's environment holds."""
    ports: tuple[int, ...] = ()
    """Where the story's peers listen."""
    plain: tuple[str, ...] = ("-m", "uvicorn", "app:app", "--port", str(PORT))
    """What serves it without telemetry, for what is there before the story begins; empty for what takes messages."""
    servers: tuple[tuple[str, ...], ...] = ()
    """Commands of this machine that run all the while, in a temporary folder: a queue."""
    failing: int | None = None
    """Recordings of failed requests that ship; None is all of them."""
    controls: int | None = None


@dataclass(frozen=True)
class Stage:
    """Where the service lives while the incident is made."""

    story: Story
    root: Path
    """What frames in the telemetry start with."""
    python: Path
    """The interpreter that runs the service."""
    work: Path
    """A temporary folder: raw telemetry, recordings, logs of the processes."""
    source: Source
    otlp: int
    say: Callable[[str], None]

    @property
    def interpreter(self) -> str:
        """That of the service's own environment."""
        return str(self.root / ".venv" / "bin" / "python")

    @property
    def database(self) -> Path:
        return self.root / "var" / f"{self.story.service}.db"

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
            self.story.database: str(self.database),
            "PORT": str(PORT),
            **self.story.settings,
            **more,
        }

    def telemetry(self) -> dict[str, str]:
        """What its telemetry is told."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.otlp}",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-client",
            "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",  # exemplars draw at random, from what a replay draws again
            "OTEL_METRIC_EXPORT_INTERVAL": "86400000",  # sent by order, once in a minute of the service's clock
        }


def revision(source: Source, subject: str) -> str:
    """The commit with this subject; raises `StageError` when there is none."""
    found = [commit.revision for commit in history(source) if commit.subject == subject]
    if len(found) != 1:
        raise StageError(f"{len(found)} commits of the history are called {subject!r}; a story names exactly one")
    return found[0]


def history(source: Source) -> tuple[Commit, ...]:
    """Every commit but the very first, oldest first."""
    number = 1
    while True:
        try:
            source.revision(f"HEAD~{number}")
        except errors.SourceError:
            return source.commits(f"HEAD~{number - 1}", "HEAD")
        number += 1
