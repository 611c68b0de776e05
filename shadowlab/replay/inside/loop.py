"""An event loop in virtual time, and threads that take turns: one order of events, every time."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import heapq
import itertools
import selectors
import sys
import threading
from collections.abc import Callable
from typing import Any

from .clock import Clock
from .put import put
from .schedule import Schedule
from .threads import Turns

_GRACE_S = 0.05
"""Real seconds that a foreign thread gets to wake the loop before a timer is let go off."""
_ANSWER_S = 5.0
"""Real seconds that a database gets to answer before virtual time goes on."""
_OURS = ("MainThread", "AnyIO worker thread", "shadowlab-turn")


class Deadlock(RuntimeError):
    """Nothing can happen any more, and the request has not ended."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never waits: with nothing to do, a worker gets its turn, else time jumps to the next timer."""

    # asyncio's own, of which its stubs say nothing
    _ready: collections.deque[Any]
    _scheduled: list[asyncio.TimerHandle]
    _selector: selectors.BaseSelector
    _stopping: bool
    _timer_cancelled_count: int
    _process_events: Callable[[list[Any]], None]

    def __init__(self, clock: Clock, schedule: Schedule | None = None, turns: Turns | None = None) -> None:
        super().__init__(selectors.SelectSelector())
        self._turns = turns
        self._clock = clock
        self._schedule = schedule
        self.waiting: collections.deque[threading.Event] = collections.deque()
        """Workers that have a job and wait for their turn, first come first served."""
        self.busy = 0
        """Workers whose job has not come back yet."""

    def time(self) -> float:
        """Seconds of virtual monotonic time."""
        return self._clock.monotonic_ns / 1e9

    def _run_once(self) -> None:
        if not self._ready and not self._stopping:
            self._poll(0)
            while not self._ready:
                self._idle()
                self._poll(0)
                if self._due():
                    break
        if self._schedule is not None and self._ready:
            self._one_step(self._schedule)
        else:
            super()._run_once()  # type: ignore[misc]  # asyncio's own step

    def _one_step(self, schedule: Schedule) -> None:
        ready = self._ready
        place = schedule.choose(ready)
        chosen = ready[place]
        del ready[place]
        held = list(ready)
        ready.clear()
        ready.append(chosen)
        super()._run_once()  # type: ignore[misc]  # asyncio's own step
        ready.extendleft(reversed(held))

    def _idle(self) -> None:
        if self._turns is not None and self._turns.on and self._turns.others():
            return self._let_others()
        if self.waiting:
            self.waiting.popleft().set()
        if self.busy:
            return self._poll(None)
        foreign = sum(not thread.name.startswith(_OURS) for thread in threading.enumerate())
        connected = len(self._selector.get_map()) > 1
        if foreign or connected:
            self._poll(_ANSWER_S if connected else _GRACE_S)
            if self._ready:
                return None
        timers = self._scheduled
        while timers and timers[0].cancelled():
            self._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]  # a timer's own
        if timers:
            self._clock.advance(int((timers[0].when() - self.time()) * 1e9) + 1000)
        elif not foreign and not connected:
            raise Deadlock("the request waits for something that will never happen")
        return None

    def _let_others(self) -> None:
        """Let threads in lock-step go on until one of them wakes the loop, or a timer is due."""
        assert self._turns is not None
        if self.waiting:
            self.waiting.popleft().set()
        timers = self._scheduled
        left = max(timers[0].when() - self.time(), 0) if timers else None
        self._turns.wait(lambda: bool(self._selector.select(0)), left)

    def _due(self) -> bool:
        timers = self._scheduled
        return bool(timers) and timers[0].when() <= self.time()

    def _poll(self, timeout: float | None) -> None:
        self._process_events(self._selector.select(timeout))


def take_turns() -> None:
    """Make thread pools run one job at a time, while whoever handed it in waits; before the service is imported."""
    put(concurrent.futures.ThreadPoolExecutor, submit=_submit)


def take_turns_in_anyio() -> None:
    """The same for anyio's worker threads, which run `def` endpoints; after anyio was imported."""
    module = sys.modules.get("anyio._backends._asyncio")
    if module is None or getattr(module.AsyncIOBackend, "takes_turns", False):
        return
    inner = module.AsyncIOBackend.run_sync_in_worker_thread.__func__

    async def run_sync(
        backend: Any, func: Callable[..., Any], args: Any = (), abandon_on_cancel: bool = False, limiter: Any = None
    ) -> Any:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            return await inner(backend, func, args, abandon_on_cancel, limiter)
        turn = threading.Event()

        def in_turn(*args: Any) -> Any:
            turn.wait()
            return func(*args)

        loop.waiting.append(turn)
        loop.busy += 1
        try:
            return await inner(backend, in_turn, args, abandon_on_cancel, limiter)
        finally:
            loop.busy -= 1
            turn.set()

    put(module.AsyncIOBackend, run_sync_in_worker_thread=classmethod(run_sync), takes_turns=True)


class _Turn(concurrent.futures.Future[Any]):
    """A future whose place in a set does not depend on where it lies in memory."""

    made = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self._number = next(self.made)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


def _submit(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    future = _Turn()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)

    thread = threading.Thread(target=work, name="shadowlab-turn_0", daemon=True)
    thread.start()
    if function is not asyncio.run:  # asgiref's, for an async view below WSGI: it hands work back to whoever waits here
        thread.join()
    return future
