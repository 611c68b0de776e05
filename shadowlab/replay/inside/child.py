"""One replay in a forked child: put the request's world in place, ask once, say what happened."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

from . import calling, database, entry, guard, outcome, rpc_server, swap, unread
from .loop import VirtualLoop, take_turns_in_anyio
from .mirror import mirror
from .schedule import Schedule
from .seams import Seams
from .stopwatch import Stopwatches

_LATER_NS = 10**9
"""How long after the first delivery of a message the second one comes."""
_SOCKET = ".s.PGSQL.5432"
"""What PostgreSQL's clients look for in the folder that `PGHOST` names, which is the working folder."""


class Child:
    """A forked process with one job."""

    def __init__(self, seams: Seams, app: Any, kind: str, config: dict[str, Any]) -> None:
        self._seams = seams
        self._app = app
        self._kind = kind
        self._config = config
        self._settled = calling.Settled(lambda what: seams.watch.note("arguments", what))

    def run(self, number: int, job_fd: int, result_fd: int) -> None:
        """Do the job that can be read from `job_fd`; never returns."""
        code = 1
        try:
            with os.fdopen(job_fd, "rb") as file:
                job = json.load(file)
            with os.fdopen(result_fd, "wb") as results:
                work = self._settle(number, job)
                if "mirror" in job:
                    self._mirror(job["mirror"], Stopwatches(job["timed"], self._config["tree"]), results)
                elif "sequence" in job:
                    self._sequence(job["sequence"], work, results)
                else:
                    results.write(json.dumps(self._replay(job, work)).encode())
            code = 0
        except BaseException:
            if os.environ.get("SHADOWLAB_DEBUG"):
                traceback.print_exc()
        finally:
            os._exit(code)

    def _settle(self, number: int, job: dict[str, Any]) -> str:
        work = settle(self._config, number, job)
        self._seams.database.anywhere = bool(job.get("snapshot") and job.get("database_anywhere"))
        if self._config["guard"]:
            snapshots = {each["snapshot"] for each in (job, *job.get("sequence", ())) if each.get("snapshot")}
            guard.confine_child(work, snapshots, self._config["limits"], door=bool(self._config.get("door")))
        gc.disable()
        _forget_pools()
        take_turns_in_anyio()
        return work

    def _replay(
        self, job: dict[str, Any], work: str, served: entry.Asgi | rpc_server.Rpc | None = None
    ) -> dict[str, Any]:
        seams, places = self._seams, outcome.Places(self._config["tree"], work)
        # Only a rehearsal looks: reading every name would copy a page for nearly each.
        before = set(sys.modules) if job.get("rehearse") else set()
        cpu = os.times_result(seams.real_times())
        seams.begin(job)
        failed: str | None = None
        answer: entry.Answer = {"status": None, "headers": [], "body": b"", "error": None}
        seams.watch.on = seams.watch.deny = True
        with swap.applied(job.get("substitute"), self._config["tree"]) as swapped:
            try:
                answer = self._ask(job, served)
            except BaseException as exc:
                failed = f"{type(exc).__name__}: {places.text(str(exc))}"
        if unread.WHY in seams.tape.unrecorded:
            failed = failed or unread.WHY  # even where the service swallowed it: nobody knows what it would have done
        seams.watch.on = False
        seams.logs.end()
        after = os.times_result(seams.real_times())
        document = {
            **outcome.answer_of(answer, places),
            "failed": failed,
            "database": self._change(job),
            "outbound": seams.tape.log,
            "logs": seams.logs.rows(places),
            "unrecorded": seams.tape.unrecorded,
            "unused": seams.tape.unused(),
            "events": [[*key, times] for key, times in seams.watch.events.items()],
            "asked": sorted(seams.asked.names),
            "readings": {
                "clock": seams.clock.readings,
                "randomness": seams.chance.drawn,
                "database": seams.database.opened,
                "outbound": len(seams.tape.log),
                "steps": answer.get("steps", 0),
                "commits": self._settled.times,
                "pooled": seams.watch.pooled,
            },
            "elapsed_ns": seams.clock.wall_ns - job["time_ns"],
            "cpu_ms": (after.user - cpu.user + after.system - cpu.system) * 1000,
            "substituted": swapped.times,
        }
        if job.get("again"):
            document["again"] = self._again(job, work, places)
        if job.get("rehearse"):
            document["modules"] = sorted(set(sys.modules) - before)
        return document

    def _again(self, job: dict[str, Any], work: str, places: outcome.Places) -> dict[str, Any]:
        """What a second delivery of the same message does, to the world that the first one left."""
        seams, first = self._seams, os.path.join(work, ".tmp", "first.sqlite")
        if job.get("snapshot"):
            seams.database.copy(os.path.abspath(database.NAME), first)
        later = {**job, "time_ns": seams.clock.wall_ns + _LATER_NS, "seed": job["seed"] + 1,
                 "message": {**job["message"], "redelivered": True}}  # fmt: skip
        seams.begin(later)
        seams.watch.on = seams.watch.deny = True
        try:
            answer = self._ask(later)
        except BaseException as exc:
            answer = {"error": exc}
        seams.watch.on = False
        change = {"shape": {}, "sha256": ""}
        if job.get("snapshot"):
            change = seams.database.change(first, os.path.abspath(database.NAME))
        return {
            "error": outcome.error_of(answer["error"], places), "outbound": seams.tape.log, "database": change,
        }  # fmt: skip

    def _mirror(self, requests: list[dict[str, Any]], watches: Stopwatches, results: BinaryIO) -> None:
        if not self._serves(requests[0]):
            mirror(self._seams, self._plain, requests, watches, results)
            return
        served = self._served(requests[0], VirtualLoop(self._seams.clock))
        self._seams.begin(requests[0])
        served.start()
        mirror(self._seams, served.ask, requests, watches, results)
        self._seams.watch.on = False
        served.stop()

    def _sequence(self, jobs: list[dict[str, Any]], work: str, results: BinaryIO) -> None:
        """Replay one request after the other, each in a world of its own: only the process remembers. A line for each.

        What starts up before a request comes is started once, as in production; not for a request whose tasks have an
        order of their own.
        """
        started: dict[bool, entry.Asgi | rpc_server.Rpc] = {}
        for job in jobs:
            if job.get("snapshot"):
                self._seams.database.put_back(job["snapshot"], os.path.abspath(database.NAME))
            kept = self._serves(job) and not job.get("schedule")
            served = started.get(_by_grpc(job)) if kept else None
            if kept and served is None:
                served = started[_by_grpc(job)] = self._served(job, VirtualLoop(self._seams.clock))
                self._seams.begin(job)
                served.start()
            document = self._replay(job, work, served)
            results.write(json.dumps(document).encode() + b"\n")
            results.flush()
        for each in started.values():
            each.stop()

    def _ask(self, job: dict[str, Any], served: entry.Asgi | rpc_server.Rpc | None = None) -> entry.Answer:
        """The service's answer; `served` has started up already, and goes on when the answer is there."""
        body = bytes.fromhex(job["body"])
        schedule = Schedule(**job["schedule"]) if job.get("schedule") else None
        self._seams.tape.at_once = bool(schedule and job["schedule"]["depth"] > 0)
        called = calling.call_of(job, self._app) if job.get("plain") else None
        if called is not None or not self._serves(job):
            self._seams.logs.begin(self._config["tree"])
            with self._seams.turns.during(schedule, self._config["tree"]), self._asked(job):
                if called is not None:
                    loop = VirtualLoop(self._seams.clock, schedule)
                    answer = calling.ask_call(*called, job.get("message"), loop, self._settled)
                else:
                    answer = self._plain(job["request"], body, schedule)
            answer["steps"] = schedule.steps if schedule else 0
            return answer
        asked = served or self._served(job, VirtualLoop(self._seams.clock, schedule, self._seams.turns))
        if served is None:
            asked.start()
        # Starting up may have drawn and slept: the request begins at its own time with its own seed.
        self._seams.begin(job)
        self._seams.logs.begin(self._config["tree"])
        with self._seams.turns.during(schedule, self._config["tree"]), self._asked(job):
            answer = asked.ask(job["request"], body)
        self._seams.logs.end()
        if served is None:
            asked.stop()
        answer["steps"] = schedule.steps if schedule else 0
        return answer

    @contextlib.contextmanager
    def _asked(self, job: dict[str, Any]) -> Iterator[None]:
        """Refuse statements while a request runs that made none; what was asked before it had no true answer."""
        untouched, asked_nothing = self._seams.untouched, bool(job.get("untouched"))
        for what in untouched.early if asked_nothing else ():
            self._seams.watch.note("database", f"{what} before the request: of it nothing was recorded")
        with untouched.during(asked_nothing):
            yield

    def _plain(self, request: dict[str, Any], body: bytes, schedule: Schedule | None = None) -> entry.Answer:
        if self._kind == "wsgi":
            return entry.ask_wsgi(self._app, request, body, self._refuse)
        if request["unread"]:
            self._refuse(unread.WHY)
        return entry.ask_function(self._app, body, VirtualLoop(self._seams.clock, schedule), self._seams.session())

    def _serves(self, job: dict[str, Any]) -> bool:
        """Whether something starts up before the request comes: an ASGI application, or a gRPC server."""
        return self._kind == "asgi" or _by_grpc(job)

    def _served(self, job: dict[str, Any], loop: VirtualLoop) -> entry.Asgi | rpc_server.Rpc:
        return rpc_server.Rpc(self._app, loop) if _by_grpc(job) else entry.Asgi(self._app, loop, self._refuse)

    def _refuse(self, why: str) -> None:
        self._seams.tape.unrecorded.append(why)

    def _change(self, job: dict[str, Any]) -> dict[str, Any]:
        if not job.get("snapshot"):
            return {"shape": {}, "sha256": ""}
        return self._seams.database.change(job["snapshot"], os.path.abspath(database.NAME))


def _by_grpc(job: dict[str, Any]) -> bool:
    return bool(job["request"]["method"] == "GRPC")


def settle(config: dict[str, Any], number: int, job: dict[str, Any]) -> str:
    """Make the replay's own folder the world: working folder, temporary files, database; its path."""
    work = os.path.join(config["work"], f"{number:08d}")
    os.mkdir(work, 0o700)
    os.mkdir(os.path.join(work, ".tmp"))
    for name in sorted(os.listdir(config["tree"])):
        os.symlink(os.path.join(config["tree"], name), os.path.join(work, name))
    if job.get("snapshot"):
        shutil.copyfile(job["snapshot"], os.path.join(work, database.NAME))
        if job.get("database_name"):
            os.symlink(database.NAME, os.path.join(work, job["database_name"]))
    if config.get("socket_at"):
        os.symlink(os.path.join(config["socket_at"], _SOCKET), os.path.join(work, _SOCKET))
    os.chdir(work)
    os.environ["TMPDIR"] = tempfile.tempdir = os.path.join(work, ".tmp")
    os.environ["HOME"] = work
    return work


def _forget_pools() -> None:
    """Let SQLAlchemy open connections of its own: one that was opened before the fork belongs to the fork server."""
    module = sys.modules.get("sqlalchemy.engine.base")
    if module is None:
        return
    for engine in ENGINES:
        with contextlib.suppress(Exception):
            engine.dispose(close=False)


ENGINES: list[Any] = []
"""SQLAlchemy engines that were made while the service was imported; the fork server fills it."""


def find_engines() -> None:
    """Remember the engines that are there."""
    module = sys.modules.get("sqlalchemy.engine.base")
    if module is not None:
        ENGINES[:] = [thing for thing in gc.get_objects() if issubclass(type(thing), module.Engine)]
