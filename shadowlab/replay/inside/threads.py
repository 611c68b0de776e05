"""Threads in lock-step: one runs at a time, and who is next is drawn from the schedule's seed.

A thread is switched between two bytecodes of the tree's own code, and wherever it waits: locks, conditions, queues,
events, joins and sleeps are built on a lock of ours. Not held: code in C that waits by itself, threads that C code
starts, and switches inside of libraries, which run as if they were one step.
"""

from __future__ import annotations

import _thread
import concurrent.futures
import concurrent.futures.thread
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .clock import REAL_SLEEP, Clock
from .put import put
from .schedule import Schedule

_get_ident = _thread.get_ident
_Real = _thread.allocate_lock
_submit = concurrent.futures.ThreadPoolExecutor.submit


class Stuck(RuntimeError):
    """Threads wait for each other."""


class Held:
    """One thread in lock-step."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = False
        self.until: Callable[[], bool] | None = None
        """What it waits for; None when it can go on."""
        self.deadline_ns: int | None = None
        self.gate = _Real()
        self.gate.acquire()

    def __hash__(self) -> int:
        return self.number

    def ready(self, now_ns: int) -> bool:
        """Whether it can go on."""
        if self.done:
            return False
        late = self.deadline_ns is not None and self.deadline_ns <= now_ns
        return self.until is None or late or self.until()


class Turns:
    """Hands the turn from thread to thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: dict[int, Held] = {}
        self._objects: dict[Any, Held] = {}
        self._schedule: Schedule | None = None
        self._tree = ""
        self._stuck = False
        self.on = False

    def install(self) -> None:
        """Put locks, joins, sleeps and thread starts of ours in place; before the service is imported."""
        lock = _lock_class(self)
        put(threading, Lock=lock, _allocate_lock=lock, RLock=threading._PyRLock)  # type: ignore[attr-defined]  # CPython's own
        put(queue, SimpleQueue=queue._PySimpleQueue)  # type: ignore[attr-defined]  # CPython's own
        put(concurrent.futures.thread, _global_shutdown_lock=lock())
        put(concurrent.futures.ThreadPoolExecutor, submit=_submit)
        for name in ("_start_new_thread", "_start_joinable_thread"):
            if hasattr(threading, name):
                put(threading, **{name: self._starting(getattr(threading, name))})
        joined, alive = threading.Thread.join, threading.Thread.is_alive
        put(threading.Thread, join=self._joining(joined), is_alive=self._living(alive))
        put(time, sleep=self._sleeping(time.sleep))

    @contextlib.contextmanager
    def during(self, schedule: Schedule | None, tree: str) -> Iterator[None]:
        """This thread, and all that it starts, take turns as `schedule` draws them; later ones are not seen."""
        if schedule is None or not schedule.threads:
            yield
            return
        self._schedule, self._tree = schedule, f"{tree.rstrip('/')}/"
        self._threads = {_get_ident(): Held(0)}
        self.on = True
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)
            self.on = False

    def others(self) -> bool:
        """Whether another thread has not ended yet."""
        return sum(not held.done for held in self._threads.values()) > 1

    def wait(self, until: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Let others go on until `until` holds; False when `timeout_s` of virtual time ended it."""
        me = self._threads.get(_get_ident()) if self.on else None
        if me is None:
            while not until():
                REAL_SLEEP(0.001)
            return True
        if until():
            return True
        me.until = until
        me.deadline_ns = None if timeout_s is None else self._clock.monotonic_ns + max(int(timeout_s * 1e9), 0)
        self._pass_on(me)
        me.until = me.deadline_ns = None
        if self._stuck and me.number == 0:
            raise Stuck("the threads of this request wait for each other")
        return until()

    def _point(self) -> None:
        """Between two bytecodes: another thread may be next."""
        me = self._threads.get(_get_ident())
        if me is None or not self.on or not self.others():
            return
        self._pass_on(me, preempting=True)

    def _pass_on(self, me: Held, *, preempting: bool = False) -> None:
        chosen = self._chosen(me, preempting=preempting)
        if chosen is not me:
            chosen.gate.release()
            if not me.done:
                me.gate.acquire()

    def _chosen(self, me: Held, *, preempting: bool) -> Held:
        """Who goes on. When nobody can, time goes by to the next timeout; without one the main thread hears of it."""
        assert self._schedule is not None
        alive = sorted(self._threads.values(), key=lambda held: held.number)
        while True:
            ready = [held for held in alive if held.ready(self._clock.monotonic_ns)]
            if ready:
                chosen: Held = self._schedule.choose_thread(ready, me if preempting else None)
                return chosen
            deadlines = [held.deadline_ns for held in alive if held.deadline_ns is not None and not held.done]
            if not deadlines:
                self._stuck = True
                return alive[0]
            self._clock.advance(max(min(deadlines) - self._clock.monotonic_ns, 1))

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._tree):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self._point()
        return self._step

    def _starting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        def started(function: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.on or _get_ident() not in self._threads:
                return start(function, *args, **kwargs)
            held = Held(len(self._threads))
            key = -held.number
            self._threads[key] = held
            self._objects[getattr(function, "__self__", None)] = held

            def run(*args: Any, **kwargs: Any) -> None:
                held.gate.acquire()
                del self._threads[key]
                self._threads[_get_ident()] = held
                try:
                    function(*args, **kwargs)
                finally:
                    held.done = True
                    if self.on:
                        self._pass_on(held)

            run.in_turn = True  # type: ignore[attr-defined]  # what watches threads need not name this one
            return start(run, *args, **kwargs)

        return started

    def _joining(self, join: Callable[..., None]) -> Callable[..., None]:
        def joined(thread: Any, timeout: float | None = None) -> None:
            held = self._objects.get(thread)
            if held is None or not self.on:
                return join(thread, timeout)
            self.wait(lambda: held.done, timeout)
            return None

        return joined

    def _living(self, alive: Callable[..., bool]) -> Callable[..., bool]:
        return lambda thread: not held.done if (held := self._objects.get(thread)) and self.on else alive(thread)

    def _sleeping(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        def slept(seconds: float) -> None:
            if seconds < 0 or not self.on or not self.others():
                sleep(seconds)
            else:
                self.wait(lambda: False, seconds)

        return slept


def _lock_class(turns: Turns) -> type:
    class Lock:
        """`threading.Lock` for threads that take turns: nothing can come between looking and taking."""

        def __init__(self) -> None:
            self._locked = False

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            """Take it; False when it is not to be had, or not in time."""
            if self._locked and not blocking:
                return False
            if self._locked and not turns.wait(lambda: not self._locked, None if timeout < 0 else timeout):
                return False
            self._locked = True
            return True

        def release(self) -> None:
            """Let go of it."""
            if not self._locked:
                raise RuntimeError("release unlocked lock")
            self._locked = False

        def locked(self) -> bool:
            """Whether somebody has it."""
            return self._locked

        def _at_fork_reinit(self) -> None:
            self._locked = False

        def __enter__(self) -> bool:
            return self.acquire()

        def __exit__(self, *exc: object) -> None:
            self.release()

    return Lock
