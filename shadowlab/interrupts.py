"""Ctrl-C where Python or a library would turn it into something else: deferred, raised again, or restored."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

_DUCKDB = "Query interrupted"
"""What DuckDB makes of Ctrl-C in the middle of a statement: a RuntimeError that says this, and no KeyboardInterrupt."""


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C came; what it would have done, it does when the block ends well.

    An import of C++ that `KeyboardInterrupt` cuts short ends the process, and a thread whose start is cut short is
    one that nobody knows of. Whoever stays long in such a block asks now and then, and raises. Signals reach the main
    thread alone: in others, and where Ctrl-C is ignored or ends the process, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


_RUNNING: set[Any] = set()
"""Connections of DuckDB that may be in a statement."""
_AGAIN_S: Final = 0.1


@contextlib.contextmanager
def stoppable(con: Any) -> Iterator[None]:
    """Let Ctrl-C stop the statements of a connection of DuckDB, in whatever thread, where it is `heard`."""
    _RUNNING.add(con)
    try:
        yield
    finally:
        _RUNNING.discard(con)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Stop every statement when Ctrl-C comes: DuckDB looks at no signal in the middle of most of them.

    Python's own handler waits for the main thread, which may be in a statement or wait for the thread of one. What is
    written to its wake-up descriptor comes at once, and a thread waits there. Elsewhere than in the main thread, and
    where Ctrl-C is ignored or ends the process, nothing changes.
    """
    if not callable(signal.getsignal(signal.SIGINT)) or threading.current_thread() is not threading.main_thread():
        yield
        return
    comes, goes = os.pipe()
    os.set_blocking(goes, False)
    before = signal.set_wakeup_fd(goes, warn_on_full_buffer=False)
    waiting = threading.Thread(target=_stop_statements, args=(comes, before), name="shadowlab-interrupts", daemon=True)
    try:
        waiting.start()
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(goes)
        waiting.join()
        os.close(comes)


def _stop_statements(comes: int, before: int) -> None:
    """Until the other end is closed: what comes is handed on to who listened `before`, and Ctrl-C stops what runs."""
    came = False
    while True:
        if select.select([comes], [], [], _AGAIN_S if came else None)[0]:
            if not (told := os.read(comes, 64)):
                return
            came = came or signal.SIGINT in told
            if before >= 0:
                with contextlib.suppress(OSError):
                    os.write(before, told)
        for con in tuple(_RUNNING) if came else ():
            with contextlib.suppress(Exception):  # it was closed meanwhile
                con.interrupt()


@contextlib.contextmanager
def raised_again() -> Iterator[None]:
    """Raise Ctrl-C once more where Python drops it: in a weak reference's callback, such as those of imports."""
    before = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
        elif main := threading.main_thread().ident:
            again = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
            again.daemon = True
            again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Raise `KeyboardInterrupt` where Ctrl-C stopped the block and a library raised another exception for it."""
    try:
        yield
    except Exception as exc:
        restore(exc)
        raise


def restore(exc: BaseException | None) -> None:
    """Raise `KeyboardInterrupt` if Ctrl-C is behind `exc`: in a statement, or in the import of an extension module."""
    in_statement = isinstance(exc, RuntimeError) and str(exc) == _DUCKDB
    if in_statement or (exc is not None and isinstance(exc.__cause__, KeyboardInterrupt)):
        raise KeyboardInterrupt from exc
