"""Ctrl-C where it must not cut in: noted at once, raised a moment later."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def noted() -> Iterator[Callable[[], bool]]:
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
