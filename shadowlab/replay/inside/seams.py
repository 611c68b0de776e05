"""All seams between a service and its world, put in place in the one order that works."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from . import aiohttp_calls, at_once, host, http_calls, redis_calls, rpc_calls, untouched_postgres, urllib3_calls
from .chance import BOOT_SEED, Chance
from .clock import BOOT_NS, Clock
from .database import Database
from .environs import Asked
from .import_hooks import ImportHooks
from .logs import Logs
from .loop import take_turns
from .session import Session
from .tape import Tape
from .threads import Turns
from .untouched import UntouchedDatabase
from .watch import Watch


class Seams:
    """Clock, randomness, network, database, threads, host: held before the service is imported."""

    def __init__(self) -> None:
        self.real_times: Callable[[], Any] = os.times
        self.clock = Clock()
        self.chance = Chance()
        self.tape = Tape(self.clock)
        self.untouched = UntouchedDatabase(lambda what: self.tape.unrecorded.append(what))
        self.watch = Watch()
        self.asked = Asked()
        self.database = Database(self.clock, self.chance, self.untouched, self.watch.note)
        self.clients = http_calls.Clients(self.tape, self.clock.advance)
        self.logs = Logs()
        self.turns = Turns(self.clock)
        self._stat = os.stat

    def install(self) -> None:
        """Put all of them in place, but for the clients, which wait until the service has imported them."""
        self.clock.install()
        self.chance.install()
        self.database.install()
        take_turns()
        host.install(self.clock, elsewhere=bool(os.environ.pop("SHADOWLAB_ELSEWHERE", None)))
        self.watch.install()
        self.asked.install()
        self.logs.install()
        ImportHooks(
            {
                "grpc": lambda grpc: rpc_calls.install(grpc, self.tape, self.clock.advance),
                "aiohttp": lambda aiohttp: aiohttp_calls.install(aiohttp, self.tape),
                "redis": lambda redis: redis_calls.install(redis, self.tape, self.clock.advance),
                "urllib3": lambda urllib3: urllib3_calls.install(urllib3, self.tape, self.clock.advance),
                "aiosqlite.core": at_once.install,
                "psycopg": lambda psycopg: untouched_postgres.install(psycopg, self.untouched),
                "psycopg2": lambda psycopg2: untouched_postgres.install_psycopg2(psycopg2, self.untouched),
            }
        ).install()
        if os.environ.pop("SHADOWLAB_THREADS", None):
            self.turns.install()

    def boot(self, inside: tuple[str, ...], newborn: str) -> None:
        """Start from the same time and seed, whatever was imported before; `newborn` is a file that was just made."""
        self.watch.inside = inside
        self.clock.began_ns = self._stat(newborn).st_mtime_ns
        self.clock.set(BOOT_NS, None)
        self.chance.seed(BOOT_SEED)

    def begin(self, job: dict[str, Any]) -> None:
        """Go to the time, the seed and the tape of one request."""
        self.clock.set(job["time_ns"], job.get("monotonic_ns"))
        self.chance.seed(job["seed"])
        self.tape.insert(job["outbound"])

    def session(self) -> Session:
        """A requests-like object that answers from the tape."""
        return Session(self.tape)
