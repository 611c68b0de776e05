"""Look for an order of asyncio tasks in which a request does something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from shadowlab.replay.fixture import Fixture, Schedule
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner

_BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Explored:
    """What came of running one request in many orders."""

    first: RunResult
    """First come, first served."""
    schedules: int
    """Orders that were tried."""
    found: Fixture | None
    """The recording with the schedule in which it came out otherwise; None when none was found."""
    other: RunResult | None
    outcomes: int
    """Different outcome keys that were seen."""


def explore(
    runner: Runner,
    fixture: Fixture,
    *,
    schedules: int = 200,
    depth: int = 3,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Explored:
    """Run a recording in up to `schedules` seeded orders of its tasks, until its outcome key changes.

    Only tasks of the event loop are reordered; threads take turns. Nothing found is no proof that there is nothing.
    """
    first = runner.run(_with(fixture, Schedule(seed=0, depth=0)), repeats=1, perturb=False)[0]
    steps = max((first.readings or {}).get("steps", 0), 1)
    keys = {first.key}
    for start in range(0, schedules, _BATCH):
        batch = [
            _with(fixture, Schedule(seed=seed + n, depth=depth, steps=steps))
            for n in range(start, min(start + _BATCH, schedules))
        ]
        runs = runner.run_many([(one, 1) for one in batch], perturb=False)
        if progress is not None:
            progress("exploring orders", start + len(batch), schedules)
        for one, (run,) in zip(batch, runs, strict=True):
            keys.add(run.key)
            if run.key != first.key:
                tried = start + batch.index(one) + 1
                return Explored(first=first, schedules=tried, found=one, other=run, outcomes=len(keys))
    return Explored(first=first, schedules=schedules, found=None, other=None, outcomes=len(keys))


def _with(fixture: Fixture, schedule: Schedule) -> Fixture:
    return msgspec.structs.replace(fixture, schedule=schedule)
