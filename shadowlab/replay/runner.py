"""Run recordings against one tree: a fork server per environment and per perturbation, a child per run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import msgspec

from shadowlab import errors
from shadowlab.replay import jobs
from shadowlab.replay.environments import Environment
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.jobs import Hooks
from shadowlab.replay.postgres import needs
from shadowlab.replay.results import MirrorResult, RunResult
from shadowlab.replay.server import Server
from shadowlab.replay.servers import LIMITS, Servers, placed
from shadowlab.replay.world import ELSEWHERE, environment_of
from shadowlab.source import Service

_Environment = tuple[tuple[str, str], ...]
Snapshots = Callable[[Fixture], bytes | None]


class Runner:
    """Runs recordings against one tree in one sandbox. Use as a context manager; nothing is left when it ends.

    `tree` is a private copy (`Source.checked_out`), `snapshots` gives a recording's database as bytes.
    """

    def __init__(
        self,
        tree: Path,
        service: Service,
        *,
        sandbox: str = "embedded",
        snapshots: Snapshots = lambda fixture: None,
        workers: int | None = None,
        timeout_s: float = 30.0,
        limits: Mapping[str, int] = LIMITS,
    ) -> None:
        self._service = service
        self._servers = Servers(tree, service, sandbox=sandbox, limits=limits)
        self._snapshots = snapshots
        self._workers = workers or min(os.cpu_count() or 1, 4)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End every fork server and take its folder away."""
        self._servers.close()

    @property
    def enforced(self) -> tuple[str, ...]:
        """What the sandbox really holds, as probed; empty before the first run."""
        return self._servers.enforced

    @property
    def sandbox(self) -> str:
        """The sandbox's name."""
        return self._servers.sandbox

    @property
    def environment(self) -> Environment:
        """The interpreter and the packages that the service runs on."""
        return self._servers.environment

    @property
    def clock(self) -> str:
        """How the clock is held."""
        return self._servers.clock

    @property
    def steady(self) -> bool:
        """Whether addresses are fixed in the canonical environment."""
        return self._servers.steady

    def run(
        self, fixture: Fixture, *, repeats: int = 2, perturb: bool = True, hooks: Hooks | None = None
    ) -> list[RunResult]:
        """One recording run `repeats` times in the canonical environment, then once in the perturbed twin.

        Raises `SourceError` when the tree has no such entrypoint, `SandboxError` when the sandbox is not to be had.
        """
        return self.run_many([(fixture, repeats)], perturb=perturb, hooks=hooks)[0]

    def run_many(
        self,
        wanted: Sequence[tuple[Fixture, int]],
        *,
        perturb: bool = True,
        hooks: Hooks | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> list[list[RunResult]]:
        """The same for several recordings, `(fixture, repeats)` each; results in their order, the twin's last."""
        hooks = hooks or Hooks()
        if perturb:
            self._launch_twins(wanted, hooks)
        results: list[list[RunResult]] = [[] for _ in wanted]
        total = sum(repeats + perturb for _, repeats in wanted)
        done = 0
        for twin in (False, True) if perturb else (False,):
            for environment, members in self._grouped(wanted, hooks, twin).items():
                turns = [(i, wanted[i][0]) for i in members for _ in range(1 if twin else wanted[i][1])]
                for (i, _), result in zip(turns, self._run(turns, dict(environment), hooks, twin), strict=True):
                    results[i].append(result)
                    done += 1
                    if progress is not None:
                        progress("replaying", done, total)
        return results

    def launch(self, fixtures: Sequence[Fixture], hooks: Hooks | None = None) -> None:
        """Let the servers that these will need import the service while others run.

        A server ends with the thread that launched it: call this first where other threads are to use the runner.
        """
        for environment in self._grouped([(fixture, 1) for fixture in fixtures], hooks or Hooks(), False):
            self._servers.launched(dict(environment), perturbed=False)

    def mirror(
        self,
        fixtures: Sequence[Fixture],
        snapshot: bytes | None = None,
        *,
        timed: Sequence[Mapping[str, str]] = (),
        progress: Callable[[str, int, int], None] | None = None,
        timeout_s: float = 300.0,
    ) -> list[MirrorResult]:
        """All requests in their order in one process, state carried along from `snapshot`, real latency of each.

        Outbound calls are answered from each request's own tape; the clock and the seed are each request's own.
        `timed` names functions to time as well, `{"file", "function"}` each, the latter by its qualified name;
        asynchronous generators are not timed.
        Raises `SandboxError` when the process ended before the last request.
        """
        if not fixtures:
            return []
        if self._servers.tool is not None:
            raise errors.SandboxError(
                f"{self.environment.name} cannot be mirrored: requests run in a process each",
                hint="its recordings can be replayed one by one",
            )
        environment = environment_of(fixtures[0], {}, twin=False, declared=self._service.database)
        server = self._server(environment, perturbed=False, fixture=fixtures[0])
        job = {**jobs.mirror(fixtures, timed), "snapshot": placed(server, snapshot or None)}
        output = bytearray()

        def hear(part: bytes) -> None:
            output.extend(part)
            if progress is not None:
                progress("mirroring", output.count(b"\n"), len(fixtures))

        ended = list(server.run([job], timeout_s=timeout_s, on_line=hear))
        return jobs.mirrored(fixtures, bytes(output), ended[0].why)

    def sequence(self, fixtures: Sequence[Fixture], *, timeout_s: float = 300.0) -> list[RunResult]:
        """Recordings one after the other in one process, which remembers those before; results in their order.

        Each has its own time, seed, tape and database. One process for each environment; a database in PostgreSQL is
        the first recording's and carried along. Raises `SandboxError` where requests run in a process each.
        """
        if self._servers.tool is not None:
            raise errors.SandboxError(
                f"{self.environment.name} answers no two requests in one process",
                hint="its recordings can be replayed one by one",
            )
        results: dict[int, RunResult] = {}
        for environment, members in self._grouped([(each, 1) for each in fixtures], Hooks(), False).items():
            group = [fixtures[i] for i in members]
            server = self._server(dict(environment), perturbed=False, fixture=group[0])
            prepared = [self._prepared_job(server, group[0], Hooks())]
            prepared += [
                {**jobs.job(each, Hooks()), "snapshot": placed(server, self._snapshots(each), each.db_snapshot)}
                for each in group[1:]
            ]
            (end,) = server.run([jobs.sequence(prepared)], timeout_s=timeout_s)
            results.update(zip(members, jobs.sequenced(group, end, timeout_s=timeout_s), strict=True))
        return [results[i] for i in range(len(fixtures))]

    def _run(
        self, turns: Sequence[tuple[int, Fixture]], environment: dict[str, str], hooks: Hooks, twin: bool
    ) -> Iterator[RunResult]:
        server = self._server(environment, perturbed=twin, fixture=turns[0][1])
        prepared = (self._prepared_job(server, fixture, hooks) for _, fixture in turns)
        # A run's database is made when its job is, and read when it has ended: one at a time.
        workers = 1 if needs(turns[0][1]) else self._workers
        ended = server.run(prepared, workers=workers, timeout_s=self._timeout_s)
        foreign = self._servers.tool is not None
        for (_, fixture), end in zip(turns, ended, strict=True):
            result = jobs.result(fixture, end, perturbed=twin, timeout_s=self._timeout_s, foreign=foreign)
            yield self._changed(fixture, result)

    def _prepared_job(self, server: Server, fixture: Fixture, hooks: Hooks) -> dict[str, Any]:
        """A job whose database is there: as a file, or put into PostgreSQL."""
        if self._servers.postgres is not None and needs(fixture):
            self._servers.postgres.ready(fixture, seed=hooks.seed)
        snapshot = placed(server, self._snapshots(fixture), fixture.db_snapshot)
        return {**jobs.job(fixture, hooks), **self._handed(fixture), "snapshot": snapshot}

    def _changed(self, fixture: Fixture, result: RunResult) -> RunResult:
        """The result with what became of the rows in PostgreSQL."""
        if self._servers.postgres is None or not needs(fixture):
            return result
        shape, sha256 = self._servers.postgres.change()
        return replace(result, database=shape, database_sha256=sha256)

    def _handed(self, fixture: Fixture) -> dict[str, Any]:
        """What a program of another language gets: the whole recording."""
        return {"recording": msgspec.to_builtins(fixture)} if self._servers.tool else {}

    def _launch_twins(self, wanted: Sequence[tuple[Fixture, int]], hooks: Hooks) -> None:
        """Let the servers that come last import the service while the first ones run."""
        for twin in (False, True):
            for environment in self._grouped(wanted, hooks, twin):
                self._servers.launched(dict(environment), perturbed=twin)

    def _grouped(
        self, wanted: Sequence[tuple[Fixture, int]], hooks: Hooks, twin: bool
    ) -> dict[_Environment, list[int]]:
        """Environments with the positions of the recordings that run in them."""
        groups: dict[_Environment, list[int]] = {}
        for i, (fixture, _) in enumerate(wanted):
            changed = {**(ELSEWHERE if hooks.elsewhere else {}), **hooks.environment}
            stood_in = twin or hooks.elsewhere
            found = environment_of(fixture, changed, twin=stood_in, declared=self._service.database)
            groups.setdefault(tuple(sorted(found.items())), []).append(i)
        return groups

    def _server(self, environment: dict[str, str], *, perturbed: bool, fixture: Fixture) -> Server:
        server = self._servers.launched(environment, perturbed=perturbed)
        if not server.kind:
            server.wait()
            if self._servers.tool is None:
                self._rehearse(server, fixture)
        return server

    def _rehearse(self, server: Server, fixture: Fixture) -> None:
        """Run once so that what is imported late is imported once, not in every child."""
        job = {**self._prepared_job(server, fixture, Hooks()), "rehearse": True}
        for ended in server.run([job], workers=1, timeout_s=self._timeout_s):
            with contextlib.suppress(msgspec.DecodeError, TypeError, AttributeError):
                names = msgspec.json.decode(ended.content).get("modules") or []
                if names:
                    server.load([str(name) for name in names])
