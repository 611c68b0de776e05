"""Virtual time: the wall stands still until somebody sleeps, monotonic clocks tick a microsecond a reading."""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Callable
from typing import Any

REAL_PERF_NS = time.perf_counter_ns
REAL_SLEEP = time.sleep
BOOT_NS = 1_577_836_800 * 10**9
"""What the clock says while the service is imported: 2020-01-01T00:00:00Z."""
_START_MONOTONIC_NS = 10**12
_TICK_NS = 1000


class Clock:
    """One virtual clock behind every function of `time` and `datetime`."""

    def __init__(self) -> None:
        self.wall_ns = BOOT_NS
        self.monotonic_ns = _START_MONOTONIC_NS
        self.readings = 0
        self.how = ""
        self.began_ns = time.time_ns()
        """Real time, when it was made."""
        self._traveller: Any = None

    def install(self) -> None:
        """Put the virtual clock in place; must come before the service is imported."""
        self._traveller = _traveller()
        self.how = "time-machine"
        # time-machine crashes the interpreter when clock_gettime is replaced before its first travel: replace it now.
        real_gettime = time.clock_gettime_ns

        def gettime_ns(clock: int) -> int:
            if clock in (time.CLOCK_REALTIME, getattr(time, "CLOCK_TAI", -1)):
                return int(real_gettime(clock))
            return self.tick()

        patches: dict[str, Callable[..., Any]] = {"sleep": self._sleep, "clock_gettime_ns": gettime_ns}
        patches["clock_gettime"] = lambda clock: gettime_ns(clock) / 1e9
        for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
            patches[name] = lambda: self.tick() / 1e9
            patches[f"{name}_ns"] = self.tick
        for name, function in patches.items():
            setattr(time, name, function)
        os.times = self._times

    def set(self, wall_ns: int, monotonic_ns: int | None) -> None:
        """Move to the time of a recording."""
        self._shift(wall_ns - self.wall_ns)
        self.monotonic_ns = monotonic_ns if monotonic_ns is not None else _START_MONOTONIC_NS

    def advance(self, ns: int) -> None:
        """Let virtual time go by."""
        if ns > 0:
            self._shift(ns)
            self.monotonic_ns += ns

    def tick(self) -> int:
        """A monotonic reading; each is a microsecond after the one before, so that no duration is zero."""
        self.readings += 1
        self.monotonic_ns += _TICK_NS
        return self.monotonic_ns

    def _shift(self, ns: int) -> None:
        before = self.wall_ns // 1000
        self.wall_ns += ns
        micros = self.wall_ns // 1000 - before
        if micros:
            self._traveller.shift(datetime.timedelta(microseconds=micros))

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.advance(int(seconds * 1e9))

    def _times(self) -> os.times_result:
        now = self.tick() / 1e9
        return os.times_result((now, 0.0, 0.0, 0.0, now))


def _traveller() -> Any:
    """time-machine's traveller at boot time, standing still; without loading pytest for its plugin."""
    absent = "pytest" not in sys.modules
    if absent:
        sys.modules["pytest"] = None  # type: ignore[assignment]  # makes `import pytest` fail
    try:
        import time_machine
    finally:
        if absent:
            del sys.modules["pytest"]
    return time_machine.travel(BOOT_NS // 10**9, tick=False).start()
