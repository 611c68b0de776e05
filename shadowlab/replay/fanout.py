"""Replays spread over the machines of a Dask cluster; each worker runs the same runner on its share.

The scheduler and its workers are trusted as this machine is: they get the source, the recordings and the snapshots, and
Dask carries all of it as pickles. Name a scheduler that is yours, over `tls://` when others share the network.
"""

from __future__ import annotations

import importlib
import io
import socket
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import shadowlab
from shadowlab import errors
from shadowlab.replay.environments import Environment
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.jobs import Hooks
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner, Snapshots
from shadowlab.scratch import Scratch
from shadowlab.source import Service

Progress = Callable[[str, int, int], None]
_CONNECT_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one worker is asked to run."""

    tree: bytes
    """The patched tree as a tar."""
    service: Service
    sandbox: str
    hooks: Hooks | None
    perturb: bool
    wanted: tuple[tuple[Fixture, int], ...]
    snapshots: tuple[bytes | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What it came to."""

    runs: list[list[RunResult]]
    version: str
    clock: str
    steady: bool
    enforced: tuple[str, ...]
    environment: Environment


class Fanned:
    """Stands for a `Runner`, but runs on the workers of the scheduler at `address`. Use as a context manager.

    Raises `UsageError` when `distributed` is not installed, `SandboxError` when no scheduler answers, it has no
    workers, or these cannot replay.
    """

    def __init__(self, address: str, tree: Path, service: Service, *, sandbox: str, snapshots: Snapshots) -> None:
        self._client = _client(address)
        self._service, self._sandbox, self._snapshots = service, sandbox, snapshots
        self._tree = _packed(tree)
        self._done: list[Done] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def run(
        self, fixture: Fixture, *, repeats: int = 2, perturb: bool = True, hooks: Hooks | None = None
    ) -> list[RunResult]:
        """As `Runner.run`."""
        return self.run_many([(fixture, repeats)], perturb=perturb, hooks=hooks)[0]

    def run_many(
        self,
        wanted: Sequence[tuple[Fixture, int]],
        *,
        perturb: bool = True,
        hooks: Hooks | None = None,
        progress: Progress | None = None,
    ) -> list[list[RunResult]]:
        """As `Runner.run_many`: each recording with all its repeats and its twin on one worker."""
        distributed = _distributed()
        workers = _workers(self._client)
        places = [list(range(len(wanted)))[n :: len(workers)] for n in range(len(workers))]
        places = [place for place in places if place]
        # A share is no pure function of its words: the same question is asked again every time.
        futures = [
            self._client.submit(
                _run, self._share([wanted[i] for i in place], perturb, hooks), pure=False, workers=[who]
            )
            for place, who in zip(places, workers, strict=False)
        ]
        try:
            for n, _ in enumerate(distributed.as_completed(futures, loop=self._client.loop), 1):
                if progress is not None:
                    progress("replaying on workers", n, len(futures))
            done = [_result(future) for future in futures]
        finally:
            self._client.cancel(futures)
        self._done += done
        self._agreed()
        found = {
            i: runs for place, one in zip(places, done, strict=True) for i, runs in zip(place, one.runs, strict=True)
        }
        return [found[i] for i in range(len(wanted))]

    @property
    def clock(self) -> str:
        """How the clock is held."""
        return self._done[0].clock

    @property
    def steady(self) -> bool:
        """Whether addresses are fixed on every worker."""
        return all(one.steady for one in self._done)

    @property
    def enforced(self) -> tuple[str, ...]:
        """What every worker's sandbox really holds; what only some hold is said as well."""
        enforced = [one.enforced for one in self._done]
        common = tuple(line for line in enforced[0] if all(_held(line) in map(_held, other) for other in enforced))
        some = {line for lines in enforced for line in lines if _held(line) not in map(_held, common)}
        return (*common, *(f"on some workers only: {line}" for line in sorted(some)))

    @property
    def environment(self) -> Environment:
        """What the service ran on, the same on all workers."""
        return self._done[0].environment

    def _share(self, wanted: Sequence[tuple[Fixture, int]], perturb: bool, hooks: Hooks | None) -> Share:
        snapshots = tuple(self._snapshots(fixture) for fixture, _ in wanted)
        return Share(tree=self._tree, service=self._service, sandbox=self._sandbox, hooks=hooks, perturb=perturb,
                     wanted=tuple(wanted), snapshots=snapshots)  # fmt: skip

    def _agreed(self) -> None:
        versions = {one.version for one in self._done} | {shadowlab.__version__}
        packages = {(one.environment.name, one.environment.digest) for one in self._done}
        if len(versions) > 1 or len(packages) > 1:
            what = f"shadowlab {' and '.join(sorted(versions))}" if len(versions) > 1 else "other packages"
            raise errors.SandboxError(
                f"the workers do not run the same: {what}", hint="install the same on all of them, or name a lock"
            )


def _held(line: str) -> str:
    """What a line says, whoever the user is: each server of root's takes another one."""
    return "user" if line.startswith("user: ") else line


def _run(share: Share) -> Done:
    """On a worker: run one share."""
    snapshots = {fixture.id: snapshot for (fixture, _), snapshot in zip(share.wanted, share.snapshots, strict=True)}
    with Scratch("shadowlab-tree-") as scratch:
        tree = scratch.path / "tree"
        with tarfile.open(fileobj=io.BytesIO(share.tree)) as tar:
            tar.extractall(tree, filter="tar")
        with Runner(
            tree,
            share.service,
            sandbox=share.sandbox,
            snapshots=lambda fixture: snapshots[fixture.id],
            workers=1,
        ) as runner:
            runs = runner.run_many(share.wanted, perturb=share.perturb, hooks=share.hooks)
            return Done(runs=runs, version=shadowlab.__version__, clock=runner.clock, steady=runner.steady,
                        enforced=runner.enforced, environment=runner.environment)  # fmt: skip


def _packed(tree: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(tree, arcname=".")
    return content.getvalue()


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as exc:
        raise errors.UsageError(
            "replays on workers need the package distributed", hint="pip install 'shadowlab[dask]'"
        ) from exc


def _client(address: str) -> Any:
    distributed = _distributed()
    try:
        _knock(address)
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exc:
        raise errors.SandboxError(
            f"no scheduler answers at {address}",
            hint="start one with `dask scheduler` and name it as tcp://HOST:8786, or leave --workers out",
        ) from exc
    if not _workers(client):
        client.close()
        raise errors.SandboxError(
            f"the scheduler at {address} has no workers", hint=f"start some: `dask worker {address}`"
        )
    return client


def _workers(client: Any) -> list[str]:
    """The addresses of all workers; some versions tell of five if nobody asks for more."""
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def _knock(address: str) -> None:
    """Raise `OSError` or `ValueError` where nobody listens: a client that finds nobody prints tracebacks."""
    place = urlsplit(address if "://" in address else f"tcp://{address}")
    if place.scheme in ("tcp", "tls"):
        if not place.port:
            raise ValueError(f"{address} names no port")
        socket.create_connection((place.hostname, place.port), timeout=_CONNECT_S).close()


def _result(future: Any) -> Done:
    try:
        done = future.result()
    except errors.ShadowlabError:
        raise
    except Exception as exc:
        raise errors.SandboxError(
            f"a worker cannot replay: {type(exc).__name__}: {str(exc)[:200]}",
            hint=f"each needs Linux and shadowlab {shadowlab.__version__}",
        ) from exc
    assert isinstance(done, Done)
    return done
