"""Configuration changes that services tell of: log records whose event's name begins with `config`.

OpenTelemetry has no convention for them. Read are `config.changed`, `configuration.reloaded` and the like, with the key
in `config.key` and the version in `config.version`, where they are told. Values stay unread: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shadowlab.records import Change
from shadowlab.triage.burn import MINUTE, moment
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.facts import Facts
from shadowlab.triage.tables import Store

_ROLLING = 10 * MINUTE
"""Instances that tell the same, each no later than this after another, tell of one change."""

_EVENTS = """
SELECT service, event_name, attributes['config.key'] AS key, attributes['config.version'] AS version, at_ns
FROM logs
WHERE at_ns > $first AND at_ns <= $last AND event_name LIKE 'config%' AND service IS NOT NULL
ORDER BY at_ns, service, event_name, key, version"""


def configured(
    store: Store, seen: Facts, clocks: Mapping[str, Clock], *, first_ns: int, last_ns: int
) -> tuple[Change, ...]:
    """Every configuration change after a stamp and until another, in the time that most services have."""
    if not seen.within("log", first_ns, last_ns):
        return ()
    told: list[Change] = []
    last: dict[tuple[str, str], datetime] = {}
    for row in store.sql(_EVENTS, {"first": first_ns, "last": last_ns}).rows():
        service, event = row["service"], row["event_name"]
        what = " ".join(word for word in (row["key"] or event, row["version"]) if word)
        at = moment(clocks.get(service, RIGHT).right(row["at_ns"]))
        before = last.get((service, what))
        last[service, what] = at
        if before is None or at - before > _ROLLING:
            evidence = (f"its log tells of {event}",)
            told.append(Change(kind="config", service=service, at=at, before=None, after=what, evidence=evidence))
    return tuple(told)
