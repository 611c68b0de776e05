"""Run recordings against one tree: a fork server per environment and per perturbation, a child per run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import msgspec

from shadowlab import errors
from shadowlab.replay import environments, preload, runners, sandboxes
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.folders import Folder
from shadowlab.replay.postgres import Postgres, needs
from shadowlab.replay.results import Calls, MirrorResult, RunResult, result_of
from shadowlab.replay.server import Ended, Server
from shadowlab.replay.world import BASE, DOOR, INSIDE, SYSTEM, environment_of
from shadowlab.source import Service

LIMITS = {
    "cpu_s": 30,
    "memory": 4 << 30,
    "file_size": 256 << 20,
    "disk": 512 << 20,
    "files": 512,
    "processes": 64,
}
"""Per replay: seconds of processor, bytes of addresses, bytes a file and in all; per server: open files, processes."""

Snapshots = Callable[[Fixture], bytes | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What is changed in a run on purpose, one thing at a time."""

    substitute: Mapping[str, Any] | None = None
    """`{"file", "function", "argument", "rule"}`: an argument replaced whenever that function is called; rules are
    those of `shadowlab.replay.inside.swap.RULES`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Values set over the recorded ones."""
    seed: int | None = None
    """Another seed than the recorded one."""
    again: bool = False
    """Whether a message is delivered a second time, to the world that the first delivery left."""


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
        self._tree = tree.resolve()
        self._service = service
        self._sandbox = sandboxes.named(sandbox)
        self._folders: list[Folder] = []
        self._tool = self._prepared(service)
        if self._tool is None:
            self._environment = environments.of(self._tree, service)
            self._preload: tuple[str, ...] = ()
            if self._environment.image is None:
                self._preload = preload.modules(self._tree, service.lock, self._environment.interpreter.path)
            elif sandbox != "docker":
                raise errors.SandboxError(
                    f"the service runs in an image, which the sandbox {sandbox} has no use for",
                    hint="replay with --sandbox docker",
                )
        else:
            self._tree, self._environment, self._preload = self._tool.tree, self._tool.environment, ()
        needed = (*self._environment.interpreter.readable, str(INSIDE), *filter(None, [self._environment.tools]))
        self._readable = tuple(dict.fromkeys((*needed, *(self._tool.readable if self._tool else ()))))
        self._snapshots = snapshots
        self._workers = workers or min(os.cpu_count() or 1, 4)
        self._timeout_s = timeout_s
        self._limits = {**LIMITS, **limits}
        self._postgres: Postgres | None = None
        self._servers: dict[tuple[bool, tuple[tuple[str, str], ...]], Server] = {}
        self._places: dict[int, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End every fork server and take its folder away."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        if self._postgres is not None:
            self._postgres.close()
            self._postgres = None
        for folder in self._folders:
            folder.remove()
        self._folders.clear()

    @property
    def enforced(self) -> tuple[str, ...]:
        """What the sandbox really holds, as probed; empty before the first run."""
        server = next(iter(self._servers.values()), None)
        return self._sandbox.enforced(server.held) if server else ()

    @property
    def sandbox(self) -> str:
        """The sandbox's name."""
        return self._sandbox.name

    @property
    def environment(self) -> environments.Environment:
        """The interpreter and the packages that the service runs on."""
        return self._environment

    @property
    def clock(self) -> str:
        """How the clock is held."""
        return next((server.clock for server in self._servers.values()), "")

    @property
    def steady(self) -> bool:
        """Whether addresses are fixed in the canonical environment."""
        return all(server.steady for (perturbed, _), server in self._servers.items() if not perturbed)

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
        if self._tool is not None:
            raise errors.SandboxError(
                f"{self._environment.said} cannot be mirrored: requests run in a process each",
                hint="its recordings can be replayed one by one",
            )
        environment = environment_of(fixtures[0], {}, twin=False, declared=self._service.database)
        server = self._server(environment, perturbed=False, fixture=fixtures[0])
        job = {
            "mirror": [
                {**_job(f, Hooks()), "answer": f.response.content.hex() if f.response else ""} for f in fixtures
            ],
            "timed": [{"file": each["file"], "function": each["function"]} for each in timed],
            "snapshot": self._placed(server, snapshot) if snapshot else None,
        }
        told = bytearray()

        def hear(part: bytes) -> None:
            told.extend(part)
            if progress is not None:
                progress("mirroring", told.count(b"\n"), len(fixtures))

        ended = list(server.run([job], timeout_s=timeout_s, on_line=hear))
        return _mirrored(fixtures, bytes(told), ended[0].why)

    def _run(
        self, turns: Sequence[tuple[int, Fixture]], environment: dict[str, str], hooks: Hooks, twin: bool
    ) -> Iterator[RunResult]:
        server = self._server(environment, perturbed=twin, fixture=turns[0][1])
        jobs = (self._prepared_job(server, fixture, hooks) for _, fixture in turns)
        # A run's database is made when its job is, and read when it has ended: one at a time.
        workers = 1 if needs(turns[0][1]) else self._workers
        ended = server.run(jobs, workers=workers, timeout_s=self._timeout_s)
        for (_, fixture), end in zip(turns, ended, strict=True):
            result = _result(fixture, end, twin, self._timeout_s, foreign=self._tool is not None)
            yield self._changed(fixture, result)

    def _prepared_job(self, server: Server, fixture: Fixture, hooks: Hooks) -> dict[str, Any]:
        """A job whose database is there: as a file, or put into PostgreSQL."""
        if self._postgres is not None and needs(fixture):
            self._postgres.ready(fixture, seed=hooks.seed)
        snapshot = self._placed(server, self._snapshots(fixture), fixture.db_snapshot)
        return {**_job(fixture, hooks), **self._handed(fixture), "snapshot": snapshot}

    def _changed(self, fixture: Fixture, result: RunResult) -> RunResult:
        """The result with what became of the rows in PostgreSQL."""
        if self._postgres is None or not needs(fixture):
            return result
        shape, sha256 = self._postgres.change()
        return replace(result, database=shape, database_sha256=sha256)

    def _handed(self, fixture: Fixture) -> dict[str, Any]:
        """What a program of another language gets: the whole recording."""
        return {"recording": msgspec.to_builtins(fixture)} if self._tool else {}

    def _launch_twins(self, wanted: Sequence[tuple[Fixture, int]], hooks: Hooks) -> None:
        """Let the servers that come last import the service while the first ones run."""
        for twin in (False, True):
            for environment in self._grouped(wanted, hooks, twin):
                self._launched(dict(environment), perturbed=twin)

    def _prepared(self, service: Service) -> runners.Tool | None:
        """The program that replays a service of another language; None for Python."""
        runner = runners.of(service)
        if runner is None:
            return None
        self._folders.append(Folder())
        try:
            return runner.prepared(self._tree, service, self._folders[-1].path)
        except BaseException:
            self.close()
            raise

    def _grouped(
        self, wanted: Sequence[tuple[Fixture, int]], hooks: Hooks, twin: bool
    ) -> dict[_Environment, list[int]]:
        """Environments with the positions of the recordings that run in them."""
        groups: dict[_Environment, list[int]] = {}
        for i, (fixture, _) in enumerate(wanted):
            found = environment_of(fixture, hooks.environment, twin=twin, declared=self._service.database)
            groups.setdefault(tuple(sorted(found.items())), []).append(i)
        return groups

    def _launched(self, environment: dict[str, str], *, perturbed: bool) -> Server:
        key = (perturbed, tuple(sorted(environment.items())))
        if key not in self._servers:
            folder = Folder()
            self._folders.append(folder)
            work = folder.path
            config, launch = self._config(work, perturbed), self._launch(environment, work, perturbed)
            if environment.get("PGHOST") == DOOR:
                self._postgres = self._postgres or Postgres()
                config["door"], config["stored"] = str(self._postgres.address), str(self._postgres.stored)
                config["socket_at"] = self._sandbox.socket_at
                launch = replace(launch, socket=str(self._postgres.address.parent))
            server = Server(self._sandbox, launch, config)
            server.launch()
            self._servers[key] = server
            self._places[id(server)] = work
        return self._servers[key]

    def _server(self, environment: dict[str, str], *, perturbed: bool, fixture: Fixture) -> Server:
        server = self._launched(environment, perturbed=perturbed)
        if not server.kind:
            server.wait()
            if self._tool is None:
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

    def _launch(self, environment: dict[str, str], work: Path, perturbed: bool) -> sandboxes.Launch:
        steady = "random" if perturbed else "steady"
        python = self._environment.interpreter
        place = str(work / "control")
        return sandboxes.Launch(
            command=(python.executable, *python.options(), str(INSIDE / "__main__.py"), place, steady),
            place=place,
            environment={
                **BASE,
                "PYTHONHASHSEED": "4242" if perturbed else "0",
                **self._environment.variables,
                **environment,
            },
            preload=self._preload,
            tools=self._environment.tools,
            readable=(str(self._tree), *self._readable),
            # An image brings its own.
            system=() if python.within else (*SYSTEM, os.path.realpath(python.executable)),
            image=self._environment.image,
            runs=self._tool is not None,
            work=work,
            limits=self._limits,
            perturbed=perturbed,
        )

    def _config(self, work: Path, perturbed: bool) -> dict[str, Any]:
        return {
            "name": self._service.name,
            "entrypoint": self._service.entrypoint,
            "kind": self._service.kind,
            "tree": str(self._tree),
            "work": str(work),
            "inside": [
                f"{self._tree}/",
                f"{work}/",
                *(f"{path}/" for path in (*self._readable, *self._environment.interpreter.within)),
                "/dev/null",
                "/proc/self/cwd/",
            ],
            "readable": [str(self._tree), *self._readable, *self._environment.interpreter.within, *SYSTEM],
            "guard": self._sandbox.guard,
            "preload": list(self._preload),
            "tools": self._environment.tools,
            "tool": list(self._tool.command) if self._tool else [],
            "limits": self._limits,
            "perturbed": perturbed,
            "switch_interval": 1e-6 if perturbed else 0.005,
        }

    def _placed(self, server: Server, snapshot: bytes | None, name: str | None = None) -> str | None:
        """The snapshot as a file that a server's children may read."""
        if snapshot is None:
            return None
        import hashlib

        digest = hashlib.sha256(snapshot).hexdigest() if name is None else name.rpartition("/")[2][:64]
        place = self._places[id(server)] / f"{digest}.sqlite"
        if not place.exists():
            place.write_bytes(snapshot)
            place.chmod(0o644)
        return str(place)


_Environment = tuple[tuple[str, str], ...]


def _job(fixture: Fixture, hooks: Hooks) -> dict[str, Any]:
    return {
        "request": msgspec.to_builtins(
            {"method": fixture.request.method, "path": fixture.request.path, "query": fixture.request.query,
             "headers": fixture.request.headers}
        ),
        "body": fixture.request.content.hex(),
        "database_name": _named_database(fixture),
        "time_ns": fixture.time_ns,
        "monotonic_ns": fixture.monotonic_ns,
        "seed": fixture.rand_seed if hooks.seed is None else hooks.seed,
        "outbound": msgspec.to_builtins(fixture.outbound),
        "schedule": msgspec.to_builtins(fixture.schedule),
        "plain": fixture.kind == "function",
        "call": msgspec.to_builtins(fixture.call) if _callable(fixture) else None,
        "message": _message(fixture),
        "again": hooks.again and fixture.message is not None,
        "substitute": dict(hooks.substitute) if hooks.substitute else None,
    }  # fmt: skip


def _callable(fixture: Fixture) -> bool:
    """Whether the recorded call names a function of the tree."""
    return fixture.call is not None and ":" in fixture.call.target


def _message(fixture: Fixture) -> dict[str, Any] | None:
    """The message as a consumer gets it, its payload in hex."""
    if fixture.message is None:
        return None
    return {**msgspec.to_builtins(fixture.message), "payload": fixture.payload.hex()}


def _named_database(fixture: Fixture) -> str | None:
    """The name under which an event expects its database in the working folder."""
    event = fixture.event if fixture.kind == "function" else None
    named = event.get("db_snapshot") if isinstance(event, dict) else None
    return os.path.basename(named) or None if isinstance(named, str) and fixture.db_snapshot else None


def _result(fixture: Fixture, end: Ended, twin: bool, timeout_s: float, *, foreign: bool) -> RunResult:
    if end.why == "timeout":
        reason = f"it had not ended after {timeout_s:g} s"
        return RunResult(recording=fixture.id, perturbed=twin, state="timeout", reason=reason)
    if end.why != "finished":
        reason = "the process died" if end.why == "died" else end.why
        return RunResult(recording=fixture.id, perturbed=twin, state="crashed", reason=reason)
    try:
        database = fixture.db_snapshot is not None
        return result_of(fixture.id, end.content, perturbed=twin, foreign=foreign, database=database)
    except errors.SandboxError as exc:
        return RunResult(recording=fixture.id, perturbed=twin, state="crashed", reason=str(exc.args[0])[:500])


def _mirrored(fixtures: Sequence[Fixture], told: bytes, why: str) -> list[MirrorResult]:
    lines = told.splitlines()
    if len(lines) != len(fixtures):
        raise errors.SandboxError(
            f"the mirrored service ended after {len(lines)} of {len(fixtures)} requests ({why})",
            hint="a single replay of the next request says why: `shadowlab replay CASE`",
        )
    results = []
    for fixture, line in zip(fixtures, lines, strict=True):
        one = msgspec.json.decode(line, type=_Line)
        results.append(
            MirrorResult(recording=fixture.id, status=one.status, error=one.error, latency_ms=one.latency_ms,
                         body_sha256=one.body, unrecorded=one.unrecorded,
                         timed=tuple(Calls(returned=n, raised=m, spent_ms=ns / 1e6) for n, m, ns in one.timed))
        )  # fmt: skip
    return results


class _Line(msgspec.Struct):
    status: int | None
    error: str | None
    latency_ms: float
    body: str
    unrecorded: int
    timed: list[tuple[int, int, int]]
