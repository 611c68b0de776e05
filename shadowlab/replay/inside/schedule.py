"""Seeded orders of asyncio tasks and of threads, so that a bug that needs one of them is found and found again.

Priorities and change points after Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding
Bugs" (ASPLOS 2010): each task gets a random priority, the highest that is ready runs, and at `depth - 1` random steps
the running task falls to the lowest. A bug of depth d among n tasks and k steps shows with probability 1/(n k^(d-1)).
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any


class Schedule:
    """Chooses the next step of a loop."""

    def __init__(self, seed: int, depth: int, steps: int, threads: bool = False) -> None:
        self.threads = threads
        """Whether threads are ordered too."""
        # An own generator: what the service draws must not change with the schedule.
        self._random = random.Random(f"schedule:{seed}")
        self._changes = {self._random.randrange(max(steps, 1)) for _ in range(max(depth - 1, 0))}
        self._plain = depth <= 0
        self._priority: dict[Any, float] = {}
        self._lowest = 0.0
        self.steps = 0

    def choose(self, ready: deque[Any]) -> int:
        """The place in `ready` of what runs next: loop callbacks as they come, then tasks by priority."""
        tasks = [_task(handle) for handle in ready]
        for place, task in enumerate(tasks):
            if task is None:
                return place
            if task not in self._priority:
                self._priority[task] = self._random.random()
        self.steps += 1
        if self._plain:
            return 0
        place = max(range(len(tasks)), key=lambda n: self._priority[tasks[n]])
        if self.steps in self._changes:
            self._lowest -= 1.0
            self._priority[tasks[place]] = self._lowest
            place = max(range(len(tasks)), key=lambda n: self._priority[tasks[n]])
        return place

    def choose_thread(self, ready: list[Any], running: Any) -> Any:
        """Who of the threads that can go on is next; `running` could as well, None when it waits."""
        for thread in ready:
            if thread not in self._priority:
                self._priority[thread] = self._random.random()
        if self._plain:
            self.steps += running is not None
            return running if running in ready else ready[0]
        if running is not None:
            self.steps += 1
            if self.steps in self._changes:
                self._lowest -= 1.0
                self._priority[running] = self._lowest
        return max(ready, key=lambda thread: self._priority[thread])


def _task(handle: Any) -> asyncio.Task[Any] | None:
    owner = getattr(handle._callback, "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None
