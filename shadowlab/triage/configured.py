"""Configuration changes that services tell of: log records whose event's name begins with `config`.

OpenTelemetry has no convention for them. Read are `config.changed`, `configuration.reloaded` and the like, with the key
in `config.key` and the version in `config.version`, where they are told. Values stay unread: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from shadowlab.records import Change
from shadowlab.triage.burn import MINUTE, moment
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.facts import Facts
from shadowlab.triage.tables import Store

_ROLLING = 10 * MINUTE
"""Instances that tell the same, each no later than this after another, tell of one change."""

_EVENTS = """
WITH told AS (
    SELECT service, event_name, at_ns, concat_ws(' ', coalesce(nullif(attributes['config.key'], ''), event_name),
        nullif(attributes['config.version'], '')) AS what
    FROM logs WHERE at_ns > $first AND at_ns <= $last AND event_name LIKE 'config%' AND service IS NOT NULL)
SELECT * FROM told
QUALIFY coalesce(at_ns - lag(at_ns) OVER (PARTITION BY service, what ORDER BY at_ns, event_name) > $rolling, true)
ORDER BY at_ns, service, event_name, what"""


def configured(
    store: Store, seen: Facts, clocks: Mapping[str, Clock], *, first_ns: int, last_ns: int
) -> tuple[Change, ...]:
    """Every configuration change after a stamp and until another, in the time that most services have."""
    if not seen.within("log", first_ns, last_ns):
        return ()
    span = {"first": first_ns, "last": last_ns, "rolling": _ROLLING // timedelta(microseconds=1) * 1_000}
    return tuple(
        Change(
            kind="config",
            service=row["service"],
            at=moment(clocks.get(row["service"], RIGHT).right(row["at_ns"])),
            before=None,
            after=row["what"],
            evidence=(f"its log tells of {row['event_name']}",),
        )
        for row in store.sql(_EVENTS, span).rows()
    )
