"""The service's source: a tree under git, and what its `shadowlab.toml` says of it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from shadowlab import errors
from shadowlab.records import Commit
from shadowlab.scratch import Scratch

# A tree under investigation may carry its own git configuration; none of it may run anything here.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")


_Setting = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Table `[service.database]`: the environment variables that say where PostgreSQL is, one a part of the address."""

    url: _Setting | None = None
    host: _Setting | None = None
    port: _Setting | None = None
    user: _Setting | None = None
    password: _Setting | None = None
    name: _Setting | None = None

    @property
    def parts(self) -> dict[str, str]:
        """Variable to what it holds: `url`, `host`, `port`, `user`, `password` or `name`."""
        return {name: part for part, name in msgspec.structs.asdict(self).items() if name}


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Table `[service]` of `shadowlab.toml`."""

    name: str
    """Equals `service.name` in the telemetry."""
    entrypoint: str
    """`module:attribute`."""
    kind: str | None = None
    """`asgi`, `wsgi`, `function`; found out when not said."""
    frames: tuple[str, ...] = ()
    """Path prefixes of production frames, such as `/srv/payments-api/`."""
    tests: str | None = None
    """Command that runs the service's tests, in its tree."""
    lock: str | None = None
    """Requirements file of pinned versions; replays run on exactly these."""
    tests_lock: str | None = None
    """Requirements file of what the tests need beyond `lock`, in pinned versions; it may not change one of those."""
    runtime: str | None = None
    """`python` when not said, or `node`."""
    runner: str | None = None
    """Program that replays a service of another language: see docs/runners.md."""
    image: str | None = None
    """Container image that brings Python and the packages, as `name@sha256:…`; for the docker sandbox."""
    environment_command: str | None = None
    """Command that ends in the name of a Python, such as `nix develop -c python`: replays run on that one."""
    owners: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    """Names that the service needs."""
    database: Settings = Settings()
    """Where it looks for PostgreSQL, when that is not found out."""
    invariants: tuple[str, ...] = ()
    """Sentences of what must hold after every change; the pull request asks its readers for each of them."""


@dataclass(frozen=True, slots=True)
class Source:
    """A service's repository. Make one with `open_source`."""

    path: Path

    def revision(self, name: str = "HEAD") -> str:
        """The full commit id of a revision; raises `SourceError` when there is none."""
        return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()

    def service(self, revision: str) -> Service:
        """What `shadowlab.toml` says at a revision; raises `SourceError` when it is missing or wrong."""
        return parse_service(self.read("shadowlab.toml", revision), where=f"{self.path} at {revision[:9]}")

    def read(self, file: str, revision: str) -> str:
        """The text of a file at a revision; raises `SourceError` when it is not there."""
        return self._git("show", f"{self.revision(revision)}:{file}")

    def files(self, revision: str) -> tuple[str, ...]:
        """Every file at a revision, as paths relative to the tree."""
        return tuple(self._git("ls-tree", "-r", "-z", "--name-only", self.revision(revision)).rstrip("\0").split("\0"))

    def commits(self, good: str, bad: str) -> tuple[Commit, ...]:
        """The commits that `bad` has and `good` has not, oldest first."""
        form = "%x01%H%x00%P%x00%cI%x00%s%x00"
        span = f"{self.revision(good)}..{self.revision(bad)}"
        log = self._git("log", "--reverse", "--topo-order", f"--format={form}", "--name-only", "-z", span)
        return tuple(_commit(entry) for entry in log.split("\x01")[1:])

    def diff(self, before: str, after: str, *, context: int = 3) -> str:
        """The unified diff between two revisions."""
        return self._git("diff", f"--unified={context}", "--no-ext-diff", "--no-textconv", before, after)

    @contextlib.contextmanager
    def checked_out(self, revision: str) -> Iterator[Path]:
        """A private copy of the tree at a revision, without its history; gone when the block ends.

        The original is never written.
        """
        with Scratch("shadowlab-tree-") as scratch:
            tree = scratch.path / "tree"
            tree.mkdir()
            archive = subprocess.Popen(
                [*_GIT, "-C", self.path, "archive", "--format=tar", self.revision(revision)], stdout=subprocess.PIPE
            )
            unpacked = subprocess.run(["tar", "-x", "-C", tree], stdin=archive.stdout, capture_output=True)
            if archive.wait() or unpacked.returncode:
                raise errors.SourceError(f"{self.path} at {revision[:9]} cannot be checked out")
            yield tree

    def _git(self, *words: str) -> str:
        # Bytes: Python's text mode would turn a file's CRLF into LF, and no diff against it would apply.
        done = subprocess.run([*_GIT, "-C", self.path, *words], capture_output=True)
        if done.returncode:
            complaint = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            reason = complaint[0] if complaint else f"no such revision or file: {words[-1].removesuffix('^{commit}')}"
            raise errors.SourceError(
                f"{self.path}: {reason}", hint="name a revision and a file that the repository has"
            )
        return done.stdout.decode(errors="replace")


def open_source(path: str | Path) -> Source:
    """The repository at `path`; raises `SourceError` when the folder is none, or git is missing."""
    folder = Path(path)
    if not folder.is_dir():
        raise errors.SourceError(f"{folder} is no folder", hint="name the service's repository with --source")
    if shutil.which("git") is None:
        raise errors.SourceError("git is not installed", hint="install it: the source's history is read with it")
    done = subprocess.run([*_GIT, "-C", folder, "rev-parse", "--show-prefix", "HEAD"], capture_output=True, text=True)
    if done.returncode or done.stdout.splitlines()[:1] != [""]:
        raise errors.SourceError(
            f"{folder} is not the top of a git repository with a commit",
            hint="shadowlab compares revisions; clone the service's repository and name its top folder",
        )
    return Source(folder.resolve())


def parse_service(text: str, *, where: str) -> Service:
    """Table `[service]` of a `shadowlab.toml`; raises `SourceError` that names what is wrong."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(document.get("service", {}), Service)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise errors.SourceError(
            f"shadowlab.toml of {where}: {exc}",
            hint='[service] needs name = "…" and entrypoint = "module:attribute"',
        ) from exc


def _commit(entry: str) -> Commit:
    revision, parents, at, subject, names = entry.split("\0", 4)
    files = tuple(name.strip("\n") for name in names.split("\0") if name.strip("\n"))
    parent = parents.split()[0] if parents else None
    return Commit(revision=revision, subject=subject, at=datetime.fromisoformat(at), files=files, parent=parent)
