"""The incidents that a watched case knows of, in its `case.json`, each with a folder for a case of its own."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shadowlab.case import Case

_SETTING: Final = "watch"
_REMEMBERED: Final = 500
"""Incidents that are kept; the oldest that are closed, or came to nothing, are forgotten."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident that was seen: from an alert's start to its end."""

    key: str
    """The objective's name, or the page's source and id."""
    service: str
    case: str
    """Folder of its case."""
    at: str
    """RFC 3339: the newest telemetry when it was seen, or the time that the page names."""
    state: str = "seen"
    """`seen` (its case is being made), `open`, `closed`, or `empty` (no telemetry of that service then)."""
    quiet_since: str | None = None
    """Since when the alert is off; it is over when that is a window ago."""


@dataclass(frozen=True, slots=True)
class Register:
    """Who watches and who is paged write into it from threads of their own. Raises what writing a case raises."""

    case: Case
    out: Path
    """Folder below which cases are made."""

    def known(self) -> dict[str, Incident]:
        """Incidents by key, oldest first."""
        kept = self.case.settings().get(_SETTING) or []
        return {one["key"]: Incident(**one) for one in kept}

    def begin(self, key: str, service: str, at: datetime) -> Incident:
        """Remember an incident as seen, with a folder that no other has."""
        with self.case.writing("watch"):
            one = Incident(key, service, str(self._place(service, at)), at.isoformat())
            self.remember(one)
        return one

    def remember(self, one: Incident) -> None:
        """Remember what has become of an incident."""
        with self.case.writing("watch"):
            known = {**self.known(), one.key: one}
            over = [key for key, old in known.items() if old.state in ("closed", "empty")]
            spare = set(over[: max(0, len(known) - _REMEMBERED)])
            self.case.remember(**{_SETTING: [asdict(old) for key, old in known.items() if key not in spare]})

    def _place(self, service: str, at: datetime) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", service).strip("-.") or "incident"
        stem = f"{name}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        taken = {one.case for one in self.known().values()}
        places = (self.out / (f"{stem}-{n}" if n else stem) for n in range(_REMEMBERED + 1))
        return next(place for place in places if str(place) not in taken and not place.exists())
