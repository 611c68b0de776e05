"""One line that says what a receiver does: rewritten in place in a terminal, now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

_QUIET_S = 30.0


class Counting(Protocol):
    """What is counted."""

    last_error: str | None

    def line(self, rate: float) -> str:
        """All of it on one line."""


class Saying(Protocol):
    """What is told about once a second."""

    @property
    def status(self) -> Counting:
        """The counters."""

    @property
    def rate(self) -> float:
        """Records per second."""

    @property
    def doors(self) -> Sequence[str]:
        """Where it listens."""

    @property
    def warnings(self) -> Sequence[str]:
        """What whoever starts it should know."""


class StatusLine:
    """Writes to standard error; call it with what is told."""

    def __init__(self, to: TextIO | None = None) -> None:
        self._to = to or sys.stderr
        self._begun = False
        self._said = ""
        self._error: str | None = None
        self._next = 0.0

    def __call__(self, state: Saying) -> None:
        if not self._begun:
            self._begin(state)
        line, now = state.status.line(state.rate), time.monotonic()
        if self._to.isatty():
            self._to.write(f"\r\x1b[K{line}")
        elif state.status.last_error != self._error or (now >= self._next and line != self._said):
            self._to.write(f"{line}\n")
            self._said, self._error, self._next = line, state.status.last_error, now + _QUIET_S
        self._to.flush()

    def _begin(self, state: Saying) -> None:
        self._begun, self._next = True, time.monotonic() + _QUIET_S
        self._to.write(f"receiving OTLP on {' and '.join(state.doors)}; Ctrl-C ends it\n")
        self._to.writelines(f"warning: {warning}\n" for warning in state.warnings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._begun and self._to.isatty():
            self._to.write("\n")
