"""Ctrl-C where Python or a library would turn it into something else: deferred, raised again, or restored."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

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
