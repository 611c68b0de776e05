"""Let aiosqlite work where it is asked to, not in a thread of its own: the copy on this disk answers at once."""

from __future__ import annotations

from typing import Any

from .put import put


def install(core: Any) -> None:
    """Take the place of the thread and the queue of `aiosqlite.core`, in the versions before 0.22 as well."""
    put(core, SimpleQueue=_Queue, Thread=_Thread)
    if hasattr(core.Connection, "run"):
        put(core.Connection, start=lambda connection: None)


class _Queue:
    """Does what is put into it."""

    def put_nowait(self, job: Any) -> None:
        if not isinstance(job, tuple):
            return
        future, function = job
        try:
            result = function()
        except BaseException as exc:
            if future is not None and not future.done():
                future.set_exception(exc)
        else:
            if future is not None and not future.done():
                future.set_result(result)


class _Thread:
    """Is never started."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.daemon = True

    def start(self) -> None:
        """There is nothing to do."""

    join = start
