"""The recorder's own faults stay the recorder's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

log = logging.getLogger("shadowlab_recorder")


def quietly(do: Callable[..., Result], *arguments: Any) -> Result | None:
    """What `do` gives; None, and a line in the log that names no value, when it raised."""
    try:
        return do(*arguments)
    except Exception as error:  # whatever it is, the service must not notice
        log_fault(error, getattr(do, "__name__", do))
        return None


def log_fault(error: Exception, where: object) -> None:
    """A line in the log. What every request passes catches its faults by itself: a call more would be felt."""
    log.warning("shadowlab-recorder: %s in %s", type(error).__name__, where)
