"""Carry the request into the thread in which aiosqlite works: there, sqlite3 is heard as anywhere else."""

from __future__ import annotations

import functools
from contextvars import copy_context
from typing import Any

from shadowlab_recorder.tape import current


def watch(module: Any) -> None:
    """Wraps the one method through which every call of `aiosqlite.core` goes."""
    execute = module.Connection._execute

    @functools.wraps(execute)
    async def _execute(self: Any, function: Any, *args: Any, **named: Any) -> Any:
        if current() is None:
            return await execute(self, function, *args, **named)
        return await execute(self, copy_context().run, function, *args, **named)

    module.Connection._execute = _execute
