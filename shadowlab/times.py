"""Windows and times as people write them: `30m`, `6h`, `2d`; RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shadowlab import errors

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def window(text: str | timedelta) -> timedelta:
    """The length that `text` says, such as `30m` or `1h30m`; raises `UsageError` for anything else."""
    if isinstance(text, timedelta):
        length = text
    else:
        parts = re.findall(r"(\d{1,6})([smhdw])", text)
        if "".join(number + unit for number, unit in parts) != text.strip() or not parts:
            raise errors.UsageError(f"{text!r} is no window", hint="write it as 30m, 6h or 2d")
        length = timedelta(**{_UNITS[unit]: 0 for _, unit in parts})
        for number, unit in parts:
            length += timedelta(**{_UNITS[unit]: int(number)})
    if length <= timedelta(0):
        raise errors.UsageError(f"a window of {text} is empty", hint="write it as 30m, 6h or 2d")
    return length


def spoken(length: timedelta) -> str:
    """The shortest way to write a window: `30m`, `6h`, `2d`."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment(text: str | datetime | None) -> datetime | None:
    """The time that `text` says, aware and in UTC; None for `last`, the newest timestamp of the case."""
    if text is None or text == "last":
        return None
    try:
        at = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError as exc:
        raise errors.UsageError(f"{text!r} is no time", hint="write it as 2026-11-18T12:00:00Z, or `last`") from exc
    if at.tzinfo is None:
        raise errors.UsageError(f"{text} has no time zone", hint="end it with Z for UTC")
    return at.astimezone(UTC)
