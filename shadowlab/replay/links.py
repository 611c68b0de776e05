"""Which trace a recording belongs to: the one that it names, or the one whose span names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowlab.records import Recording

if TYPE_CHECKING:
    from shadowlab.telemetry import Store


def traces(store: Store, recordings: Sequence[Recording]) -> dict[str, str]:
    """Recording id to trace id, of those whose trace the store has.

    The recorder writes the trace's id into the recording, and the recording's id onto the span
    (`shadowlab.recording.id`), so that either finds the other.
    """
    if not recordings:
        return {}
    named = {tape.id: tape.trace_id for tape in recordings if tape.trace_id}
    there = {
        row["trace_id"]
        for row in store.sql(
            "SELECT DISTINCT trace_id FROM spans WHERE trace_id IN (SELECT unnest($1))", [list(named.values())]
        ).rows()
    }
    found = {id: trace for id, trace in named.items() if trace in there}
    rest = [tape.id for tape in recordings if tape.id not in found]
    if rest:
        rows = store.sql(
            "SELECT recording_id, min(trace_id) AS trace_id FROM spans WHERE recording_id IN (SELECT unnest($1))"
            " GROUP BY recording_id",
            [rest],
        ).rows()
        found |= {row["recording_id"]: row["trace_id"] for row in rows}
    return {tape.id: found[tape.id] for tape in recordings if tape.id in found}
