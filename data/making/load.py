"""Who asks, what and when: a seeded plan on the service's clock."""

import asyncio
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import ClassVar

import httpx


class Load:
    """Everything that is asked between the start and the end, in order of time.

    What is planned does not depend on answers. An incident says in `MIX` what is asked how often, in `ask` with which
    words, and in `before` what was there already when the story begins.
    """

    PER_MINUTE: ClassVar[float] = 30
    MIX: ClassVar[Mapping[str, float]] = {}
    TOGETHER: ClassVar[int] = 4
    """How many requests, at most, are under way at once."""

    def __init__(self, seed: int, base_url: str, start: float, seconds: float) -> None:
        self.rng = random.Random(seed)
        self.base_url = base_url
        self.start = start
        """Seconds since 1970 on the service's clock."""
        self.seconds = seconds
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._plan: list[tuple[float, int, str]] = []
        for at, what in self.arrivals():
            self.push(at, what)

    def arrivals(self) -> Iterator[tuple[float, str]]:
        """Arrivals at random."""
        names, weights, at = list(self.MIX), list(self.MIX.values()), 1.0
        while at < self.seconds - 1:
            yield at, self.rng.choices(names, weights)[0]
            at += self.rng.expovariate(self.PER_MINUTE / 60)

    def push(self, at: float, what: str) -> int:
        """Plan one more request, `at` seconds from the start."""
        number = next(self._numbers)
        heapq.heappush(self._plan, (at, number, what))
        return number

    async def before(self, client: httpx.AsyncClient) -> None:
        """Ask for what is there already when the story begins; no telemetry tells of it."""

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        """Ask for one thing."""
        raise NotImplementedError

    async def probe(self, client: httpx.AsyncClient) -> None:
        """Ask whether it lives, as a cluster does."""
        await client.get("/health", headers={"user-agent": "kube-probe/1.33"})

    async def run(
        self, until: float, move: Callable[[float], Awaitable[None]], minute: Callable[[], Awaitable[None]]
    ) -> None:
        """Ask everything that is planned before `until` (seconds on the service's clock).

        `move` sets the service's clock, `minute` is called once in each minute of it.
        """
        # No connection is used twice: the server closes one after a request that failed.
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.base_url, timeout=30, limits=limits) as client:
            turn = self.start + 60 * (1 + int((self._plan[0][0]) // 60)) if self._plan else until
            while self._plan and self.start + self._plan[0][0] < until:
                burst = self._burst()
                now = self.start + burst[0][0]
                if now >= turn:
                    await move(turn)
                    await minute()
                    turn += 60 * (1 + int((now - turn) // 60))
                await move(now)
                await asyncio.gather(*(self._counted(client, *each) for each in burst))

    def _burst(self) -> list[tuple[float, int, str]]:
        """What comes within a quarter of a second is asked at the same time."""
        burst = [heapq.heappop(self._plan)]
        while self._plan and self._plan[0][0] - burst[0][0] < 0.25 and len(burst) < self.TOGETHER:
            burst.append(heapq.heappop(self._plan))
        return burst

    async def _counted(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        self.counts[what] += 1
        await self.ask(client, at, number, what)
